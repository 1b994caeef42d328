/** The history of a database of schema 2 that has a row of the table for each change, brought into the form of history.ts. */
import { CHANGE_RULES } from '../domain/change.js'
import { isByHand } from '../domain/history.js'
import { KINDS } from './history-rows.js'
import type { SqliteDatabase } from './sqlite-driver.js'

const SLICE = `SELECT seq, event, at, rule, actor, kind, key, before, after FROM history_before
   WHERE seq > ? ORDER BY seq LIMIT 10000`
/** The settings, which the last column of row 0 held. */
const SETTINGS =
  "INSERT INTO history SELECT 0, 0, 0, 0, 0, after FROM history_before WHERE seq = 0 AND after <> ''"
const INSERT = 'INSERT INTO history (last, first, event, at, by_hand, rows) VALUES (?, ?, ?, ?, ?, ?)'

type RowBefore = [
  seq: number,
  event: number,
  at: number,
  rule: number,
  actor: string | null,
  kind: number,
  key: string,
  before: string | null,
  after: string | null,
]

/**
 * Recreates the table with `createTable`; each old row becomes a chunk of its own under its old number. Does nothing if
 * the history is already in chunks. Runs in the transaction of the caller.
 */
export function chunkHistory(database: SqliteDatabase, createTable: string): void {
  const columns = database.pragma('table_info(history)') as { name: string }[]
  if (columns.some(({ name }) => name === 'rows')) return
  database.exec(`ALTER TABLE history RENAME TO history_before; ${createTable}; ${SETTINGS}`)
  const slice = database.prepare(SLICE).raw()
  const insert = database.prepare(INSERT)
  for (let after = 0; ; ) {
    const rows = slice.all(after) as RowBefore[]
    for (const [seq, event, at, rule, actor, kind, key, before, behind] of rows) {
      const row = [kind, rule, actor, fieldsOf(before), fieldsOf(behind), ...partsOf(kind, key)]
      const byHand = Number(isByHand(CHANGE_RULES[rule] ?? 'merge'))
      insert.run(seq, seq, event, at, byHand, JSON.stringify([row]))
      after = seq
    }
    if (rows.length === 0) break
  }
  database.exec('DROP TABLE history_before')
}

const fieldsOf = (text: string | null): unknown => (text === null ? null : JSON.parse(text))

/** The parts of a key from the text that stood for it: `IP ["helo","from","to"]`, a sign and a text, or the text alone. */
function partsOf(kind: number, key: string): string[] {
  switch (KINDS[kind]) {
    case 'tuple': {
      const at = key.indexOf(' ')
      return [key.slice(0, at), ...(JSON.parse(key.slice(at + 1)) as string[])]
    }
    case 'spamtrap':
    case 'release':
      return [key.slice(1)]
    default:
      return [key]
  }
}
