import type { Entry } from '../domain/entry.js'
import type { Connection } from './connection.js'
import type { Tables } from './manual-edits.js'
import type { UpsertCounts } from './store.js'
import { AGE_STEP_SEC } from './tuple-ages.js'
import { keyValues } from './tuple-table.js'
import { upsertEntries } from './upsert-entries.js'
import { commentValue, wireValue } from './wire-value.js'

/** Up to this many entries, storing one after the other is faster than staging. */
const STAGING_THRESHOLD = 20_000

const STAGING_TABLES = `
  CREATE TEMP TABLE staged_hosts (ip TEXT, first INTEGER, pass INTEGER, expire INTEGER, bcount INTEGER,
    pcount INTEGER, comment TEXT);
  CREATE TEMP TABLE staged_tuples (ip TEXT, helo TEXT, "from" TEXT, "to" TEXT, first INTEGER, pass INTEGER,
    expire INTEGER, bcount INTEGER, pcount INTEGER);
  CREATE TEMP TABLE staged_spamtraps (address TEXT, first INTEGER, comment TEXT)`
const DROP_STAGING_TABLES = `
  DROP TABLE IF EXISTS temp.staged_hosts;
  DROP TABLE IF EXISTS temp.staged_tuples;
  DROP TABLE IF EXISTS temp.staged_spamtraps`

const TEXT = 'CAST(? AS TEXT)'
const STAGE_HOST = `INSERT INTO staged_hosts VALUES (${TEXT}, ?, ?, ?, ?, ?, ?)`
const STAGE_TUPLE = `INSERT INTO staged_tuples VALUES (${TEXT}, ${TEXT}, ${TEXT}, ${TEXT}, ?, ?, ?, ?, ?)`
const STAGE_SPAMTRAP = `INSERT INTO staged_spamtraps VALUES (${TEXT}, ?, ?)`

const NEW_TIMES =
  'first = excluded.first, pass = excluded.pass, expire = excluded.expire, bcount = excluded.bcount, pcount = excluded.pcount'
const NEW_COMMENT = 'comment = coalesce(excluded.comment, comment)'

/** How each staged table is merged, in the order of its key and, for one key, in the order of arrival. */
const MERGES = [
  { table: 'hosts', key: 'ip', update: `${NEW_TIMES}, ${NEW_COMMENT}` },
  { table: 'tuples', key: 'ip, helo, "from", "to"', update: NEW_TIMES },
  { table: 'spamtraps', key: 'address', update: `first = excluded.first, ${NEW_COMMENT}` },
] as const

const RECOUNT_AGES = `
  DELETE FROM tuple_ages;
  INSERT INTO tuple_ages SELECT max(first / ${AGE_STEP_SEC}, 0), count(*) FROM tuples GROUP BY 1;
  INSERT INTO tuple_ages SELECT -1, count(*) FROM tuples`

/**
 * Stores any number of entries in one transaction; see `Store.upsertAll`. More than a few are first put
 * aside in temporary tables, then merged in the order of their keys: the pages of the database are then
 * filled once and in full, which takes a quarter of the time and less space than their order of arrival.
 * The write lock is held for the merge only.
 */
export async function loadEntries(
  connection: Connection,
  tables: Tables,
  batches: AsyncIterable<readonly Entry[]> | Iterable<readonly Entry[]>,
  options: { ifMissing: boolean },
): Promise<UpsertCounts> {
  const waiting: Entry[] = []
  let stagedCount = 0
  try {
    for await (const batch of batches) {
      for (const entry of batch) waiting.push(entry)
      if (waiting.length <= STAGING_THRESHOLD) continue
      if (stagedCount === 0) connection.read('upsertAll', () => connection.database.exec(STAGING_TABLES))
      stageEntries(connection, waiting)
      stagedCount += waiting.length
      waiting.length = 0
    }
    if (stagedCount === 0) {
      return connection.write('upsertAll', () => upsertEntries(tables, waiting, options))
    }
    stageEntries(connection, waiting)
    stagedCount += waiting.length
    return connection.write('upsertAll', () => mergeStaged(connection, stagedCount, options.ifMissing))
  } finally {
    if (stagedCount > 0) connection.database.exec(DROP_STAGING_TABLES)
  }
}

/** Temporary tables are a file of their own: this waits for nobody and nobody for it. */
function stageEntries(connection: Connection, entries: readonly Entry[]): void {
  connection.read('upsertAll', () => {
    const { database } = connection
    database.exec('BEGIN')
    try {
      for (const entry of entries) stageEntry(connection, entry)
      database.exec('COMMIT')
    } catch (error) {
      if (database.inTransaction) database.exec('ROLLBACK')
      throw error
    }
  })
}

function stageEntry(connection: Connection, entry: Entry): void {
  switch (entry.kind) {
    case 'WHITE':
    case 'TRAPPED': {
      const { ip, first, pass, expire, bcount, pcount, comment } = entry
      connection
        .prepare(STAGE_HOST)
        .run(wireValue(ip), first, pass, expire, bcount, pcount, commentValue(comment))
      return
    }
    case 'SPAMTRAP':
      connection
        .prepare(STAGE_SPAMTRAP)
        .run(wireValue(entry.address), entry.first, commentValue(entry.comment))
      return
    case 'GREY': {
      const { first, pass, expire, bcount, pcount } = entry
      connection.prepare(STAGE_TUPLE).run(...keyValues(entry), first, pass, expire, bcount, pcount)
    }
  }
}

function mergeStaged(connection: Connection, stagedCount: number, ifMissing: boolean): UpsertCounts {
  const { database } = connection
  let added = 0
  for (const { table, key, update } of MERGES) {
    const countRows = database.prepare(`SELECT count(*) FROM ${table}`).pluck()
    const before = countRows.get() as number
    const onConflict = ifMissing ? 'DO NOTHING' : `(${key}) DO UPDATE SET ${update}`
    database.exec(
      `INSERT INTO ${table} SELECT * FROM temp.staged_${table} WHERE true ORDER BY ${key}, rowid ON CONFLICT ${onConflict}`,
    )
    added += (countRows.get() as number) - before
  }
  database.exec(RECOUNT_AGES)
  const rest = stagedCount - added
  return { added, updated: ifMissing ? 0 : rest, skipped: ifMissing ? rest : 0 }
}
