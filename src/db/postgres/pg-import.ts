/** Whole entries in any number, in one transaction: they are put aside on the server and then merged; see pg-staged.ts. */
import type { Entry } from '../../domain/entry.js'
import type { Stamp } from '../../domain/stamp.js'
import type { UpsertCounts } from '../store.js'
import { packStamp } from '../tables/marks-codec.js'
import type { PgHistory } from './pg-history.js'
import { appendEverything } from './pg-journal.js'
import type { Statements } from './pg-link.js'
import { STAGED_SQL, type StagedSql } from './pg-staged.js'
import type { TupleBalance } from './pg-writes.js'

type TableName = keyof typeof STAGED_SQL

const TABLES = Object.entries(STAGED_SQL) as [TableName, StagedSql][]

const STAGE = [
  'SET LOCAL idle_in_transaction_session_timeout = 0',
  ...TABLES.flatMap(([name, { columns }]) => [
    `CREATE TEMP TABLE staged_${name} (n bigint, ${columns}) ON COMMIT DROP`,
    `CREATE TEMP TABLE chosen_${name} (place bigint PRIMARY KEY, n bigint, ${columns}) ON COMMIT DROP`,
  ]),
].join('; ')
const ANALYZE = TABLES.map(([name]) => `ANALYZE staged_${name}`).join('; ')

/** Entries that one statement puts aside. */
const CHUNK = 5000
/** Entries about which is decided at a time. */
const SLICE = 2000

interface ImportOptions {
  ifMissing: boolean
  stamp: () => Stamp
  now: number
  history: PgHistory
  /** Decides about entries, and stores what comes of it. */
  decide: (entries: readonly Entry[]) => Promise<void>
}

/** See `Store.upsertAll`; within a transaction. Returns the outcome and the new tuples. */
export async function importEntries(
  statements: Statements,
  batches: AsyncIterable<readonly Entry[]> | Iterable<readonly Entry[]>,
  { ifMissing, stamp, now, history, decide }: ImportOptions,
): Promise<{ counts: UpsertCounts; balance: TupleBalance }> {
  await statements.run(STAGE)
  const staged = await stageAll(statements, batches)
  await statements.run(ANALYZE)
  const at = stamp()
  const values: Record<TableName, unknown[]> = {
    hosts: [packStamp(at), at.node, ifMissing],
    spamtraps: [packStamp(at), at.node, ifMissing],
    tuples: [ifMissing],
  }
  const [fresh, written] = await Promise.all([
    Promise.all(TABLES.map(([, { countNew }]) => statements.rows(countNew))),
    Promise.all(TABLES.map(([name, { merge }]) => statements.rows(merge, values[name]))),
  ])
  for (const [index, [name, table]] of TABLES.entries()) {
    if (ifMissing || (written[index]![0]![0] as number) < staged[name]) {
      await decideChosen(statements, name, table, values[name], decide)
    }
  }
  const [hosts, spamtraps, tuples] = fresh.map(([row]) => row as number[]) as [number[], number[], number[]]
  const [newTuples, newPools, newBytes] = tuples as [number, number, number]
  const added = hosts[0]! + spamtraps[0]! + newTuples + newPools
  const rest = staged.hosts + staged.spamtraps + staged.tuples - added
  const counts = { added, updated: ifMissing ? 0 : rest, skipped: ifMissing ? rest : 0 }
  const sent: Promise<unknown>[] = []
  const send = (sql: string, parameters: readonly unknown[]): void => {
    sent.push(statements.rows(sql, parameters))
  }
  appendEverything('import', at, send)
  const texts = Object.entries(counts).map(([name, count]) => `${count} ${name}`)
  await history.appendSummaries(
    { rule: 'import', at: now > 0 ? now : at.time / 1000, summaries: [{ text: texts.join(', ') }] },
    send,
    statements,
  )
  await Promise.all(sent)
  return { counts, balance: { count: newTuples, pools: newPools, bytes: newBytes } }
}

/** Decides what the statements left, in the order of keys and, for one key, in that of arrival; a slice at a time. */
async function decideChosen(
  statements: Statements,
  name: TableName,
  { choose, order, read, entryOf }: StagedSql,
  values: readonly unknown[],
  decide: ImportOptions['decide'],
): Promise<void> {
  await statements.rows(
    `INSERT INTO chosen_${name} SELECT row_number() OVER (ORDER BY ${order}), s.* FROM ${choose}`,
    values,
  )
  for (let start = 0; ; start += SLICE) {
    const rows = await statements.rows(read, [start, start + SLICE])
    if (rows.length === 0) return
    await decide(rows.map(entryOf))
  }
}

/** How many entries of each table were put aside. */
async function stageAll(
  statements: Statements,
  batches: AsyncIterable<readonly Entry[]> | Iterable<readonly Entry[]>,
): Promise<Record<TableName, number>> {
  const counts = { hosts: 0, spamtraps: 0, tuples: 0 }
  let total = 0
  let staging: Promise<unknown> = Promise.resolve()
  for await (const batch of batches) {
    for (let start = 0; start < batch.length; start += CHUNK) {
      const chunk = batch.slice(start, start + CHUNK)
      const columns = stagedColumns(chunk, total)
      total += chunk.length
      for (const [name] of TABLES) counts[name] += columns[name][0]!.length
      // One chunk is on its way while the next is read.
      await staging
      const filled = TABLES.filter(([name]) => columns[name][0]!.length > 0)
      staging = Promise.all(filled.map(([name, { stage }]) => statements.rows(stage, columns[name])))
      staging.catch(() => {})
    }
  }
  await staging
  return counts
}

function stagedColumns(entries: readonly Entry[], startNumber: number): Record<TableName, unknown[][]> {
  const [hosts, spamtraps, tuples] = TABLES.map(([, { columnCount }]) =>
    Array.from({ length: columnCount }, (): unknown[] => []),
  ) as [unknown[][], unknown[][], unknown[][]]
  for (const [index, entry] of entries.entries()) {
    const n = startNumber + index
    switch (entry.kind) {
      case 'GREY':
        STAGED_SQL.tuples.append(tuples, n, entry)
        break
      case 'SPAMTRAP':
        STAGED_SQL.spamtraps.append(spamtraps, n, entry)
        break
      // They are created by daemons and never imported.
      case 'POOL':
        break
      default:
        STAGED_SQL.hosts.append(hosts, n, entry)
    }
  }
  return { hosts, spamtraps, tuples }
}
