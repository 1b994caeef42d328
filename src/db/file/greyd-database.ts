/**
 * The SQLite database of greyd, read for an import: table `entries` (ip, helo, from, to, first, pass, expire, bcount,
 * pcount; a host has three empty texts, pcount -1 is TRAPPED), `spamtraps` (address) and, in later versions,
 * `domains` (domain). Addresses have no angle brackets there.
 */
import type { Entry, WireText } from '../../domain/entry.js'
import { canonicalPaddedIp } from '../../ip/padded-address.js'
import { toDbError } from '../db-error.js'
import { openSqlite, type SqliteDatabase } from '../sqlite-driver.js'

export type GreydItem =
  | { type: 'entry'; entry: Entry }
  | { type: 'domain'; domain: WireText }
  | { type: 'bad'; key: WireText; reason: string }

export interface GreydDatabase {
  /** All its content, unchanged; throws `ERR_DB_...` of `toDbError` for a damaged file. */
  items(nowSec: number): Generator<GreydItem>
  close(): void
}

interface EntryRow {
  ip: Buffer | null
  helo: Buffer | null
  from: Buffer | null
  to: Buffer | null
  first: number
  pass: number
  expire: number
  bcount: number
  pcount: number
}

/** Opens the file read-only; `undefined` when it is not greyd's. */
export function openGreydDatabase(path: string): GreydDatabase | undefined {
  let database: SqliteDatabase
  try {
    database = openSqlite(path, { readonly: true, fileMustExist: true })
  } catch (error) {
    throw toDbError(error)
  }
  try {
    const tables = new Set(
      (
        database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all() as { name: string }[]
      ).map(({ name }) => name),
    )
    if (tables.has('entries') && tables.has('spamtraps')) {
      return {
        items: (nowSec) => readItems(database, tables.has('domains'), nowSec),
        close: () => void database.close(),
      }
    }
    database.close()
    return undefined
  } catch (error) {
    database.close()
    throw toDbError(error)
  }
}

function* readItems(database: SqliteDatabase, hasDomains: boolean, nowSec: number): Generator<GreydItem> {
  try {
    const columns = ['ip', 'helo', 'from', 'to']
      .map((name) => `CAST("${name}" AS BLOB) AS "${name}"`)
      .join(', ')
    const rows = database
      .prepare(`SELECT ${columns}, first, pass, expire, bcount, pcount FROM entries`)
      .iterate()
    for (const row of rows) yield itemOf(row as EntryRow)
    for (const row of database.prepare('SELECT CAST(address AS BLOB) AS text FROM spamtraps').iterate()) {
      const address = textOf((row as { text: Buffer | null }).text)
      yield address.includes('@')
        ? { type: 'entry', entry: { kind: 'SPAMTRAP', address, first: nowSec } }
        : { type: 'bad', key: address, reason: 'a spamtrap is an e-mail address' }
    }
    if (!hasDomains) return
    for (const row of database.prepare('SELECT CAST(domain AS BLOB) AS text FROM domains').iterate()) {
      yield { type: 'domain', domain: textOf((row as { text: Buffer | null }).text) }
    }
  } catch (error) {
    throw toDbError(error)
  }
}

function itemOf(row: EntryRow): GreydItem {
  const [ipText, helo, from, to] = [textOf(row.ip), textOf(row.helo), textOf(row.from), textOf(row.to)]
  const ip = canonicalPaddedIp(ipText)
  if (ip === undefined) return { type: 'bad', key: ipText, reason: 'not an ip address' }
  const counts = {
    first: Number(row.first),
    pass: Number(row.pass),
    expire: Number(row.expire),
    bcount: Number(row.bcount),
    pcount: Number(row.pcount),
  }
  if (Object.values(counts).some((count) => !Number.isSafeInteger(count))) {
    return { type: 'bad', key: ipText, reason: 'times and counters are not whole numbers' }
  }
  if (helo === '' && from === '' && to === '') {
    return { type: 'entry', entry: { kind: counts.pcount === -1 ? 'TRAPPED' : 'WHITE', ip, ...counts } }
  }
  return {
    type: 'entry',
    entry: { kind: 'GREY', ip, helo, from: inBrackets(from), to: inBrackets(to), ...counts },
  }
}

function textOf(bytes: Buffer | null): WireText {
  return bytes === null ? '' : bytes.toString('latin1')
}

function inBrackets(address: WireText): WireText {
  return address.startsWith('<') ? address : `<${address}>`
}
