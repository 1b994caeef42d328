import { decideImport, selectEntries } from '../domain/decide-import.js'
import type { Entry } from '../domain/entry.js'
import { isPoolTuple } from '../domain/pool-key.js'
import type { UpsertCounts } from '../domain/requests.js'
import { AppError } from '../platform/app-error.js'
import type { Connection } from './connection.js'
import { StagedMerge } from './merge-staged.js'
import { COUNT_TUPLE_BYTES, IS_POOL_TUPLE } from './schema.js'
import { STAGED, StagedTable } from './staged-table.js'
import { AGE_STEP_SEC } from './tables/tuple-ages.js'
import { commentValue, wireValue } from './tables/wire-value.js'
import type { Transactions } from './transactions.js'

/** Up to this many entries, storing one after the other is faster than staging. */
const STAGING_THRESHOLD = 20_000

/**
 * Where entries are staged: a separate database in an unnamed temporary file, because discarding it is free,
 * while dropping its tables would read every page again. Losing it is harmless: no journal.
 */
const OPEN_STAGING = "ATTACH '' AS staging"
const CREATE_STAGING = `
  PRAGMA staging.page_size = 32768;
  PRAGMA staging.journal_mode = OFF;
  PRAGMA staging.cache_size = -4096;`
const CLOSE_STAGING = 'DETACH staging'
/**
 * Cache of the database while the merge runs, in KiB. SQLite sorts in runs of this size: those that fit into
 * the processor's own cache take a tenth less time, and rows that arrive in key order do not need more.
 */
const MERGE_CACHE_KIB = 4096
/** Source: https://sqlite.org/tempfiles.html section 5. */
const TEMPORARY_HINT = 'free space where temporary files go: SQLITE_TMPDIR, else TMPDIR, else /var/tmp'

const RECOUNT_AGES = `
  DELETE FROM tuple_ages;
  INSERT INTO tuple_ages SELECT max(first / ${AGE_STEP_SEC}, 0), count(*) FROM tuples WHERE NOT ${IS_POOL_TUPLE} GROUP BY 1;
  INSERT INTO tuple_ages SELECT -1, count(*) FROM tuples WHERE NOT ${IS_POOL_TUPLE};
  INSERT INTO tuple_ages SELECT -3, count(*) FROM tuples WHERE ${IS_POOL_TUPLE};
  ${COUNT_TUPLE_BYTES}`

/**
 * Stores any number of entries in one transaction; see `Store.upsertAll`. More than a few are first staged,
 * then merged in the order of their keys: the pages of the database are then filled once and in full, which
 * takes a quarter of the time and less space than their order of arrival. The write lock is held for the
 * merge only.
 */
export async function loadEntries(
  connection: Connection,
  transactions: Transactions,
  batches: AsyncIterable<readonly Entry[]> | Iterable<readonly Entry[]>,
  { ifMissing, maxDecided = STAGING_THRESHOLD }: { ifMissing: boolean; maxDecided?: number | undefined },
  now: number,
): Promise<UpsertCounts> {
  const waiting: Entry[] = []
  let staging: Staging | undefined
  try {
    for await (const batch of batches) {
      if (staging !== undefined) {
        staging.add(batch)
        continue
      }
      for (const entry of batch) waiting.push(entry)
      if (waiting.length <= maxDecided) continue
      staging = new Staging(connection, transactions)
      staging.add(waiting)
      waiting.length = 0
    }
    if (staging === undefined) {
      return transactions.decide('upsertAll', now, selectEntries(waiting), (draft) =>
        decideImport(draft, waiting, { ifMissing }),
      ).outcomes
    }
    return staging.merge({ ifMissing }, now)
  } finally {
    staging?.close()
  }
}

/** Staged entries, and how they get into the database. */
class Staging {
  readonly #connection: Connection
  readonly #transactions: Transactions
  readonly #hosts: StagedTable
  readonly #tuples: StagedTable
  readonly #spamtraps: StagedTable
  /** Creation times of tuples, by the step of the age table: other calls of the store may run between two batches. */
  readonly #tupleTimes = new Map<number, number>()
  #tupleBytes = 0
  #poolCount = 0

  constructor(connection: Connection, transactions: Transactions) {
    this.#connection = connection
    this.#transactions = transactions
    const { database } = connection
    connection.read('upsertAll', () => database.exec(OPEN_STAGING))
    try {
      connection.read('upsertAll', () => database.exec(CREATE_STAGING))
      this.#hosts = connection.read('upsertAll', () => new StagedTable(database, STAGED.hosts))
      this.#tuples = connection.read('upsertAll', () => new StagedTable(database, STAGED.tuples))
      this.#spamtraps = connection.read('upsertAll', () => new StagedTable(database, STAGED.spamtraps))
    } catch (error) {
      this.close()
      throw withTemporaryHint(error)
    }
  }

  /** Waits for nobody and blocks nobody: the database itself is not used. */
  add(entries: readonly Entry[]): void {
    try {
      this.#connection.read('upsertAll', () => this.#addInTransaction(entries))
    } catch (error) {
      throw withTemporaryHint(error)
    }
  }

  /** Stores everything in one transaction. */
  merge({ ifMissing }: { ifMissing: boolean }, now: number): UpsertCounts {
    const { database } = this.#connection
    const usualCache = database.pragma('cache_size', { simple: true }) as number
    database.pragma(`cache_size = -${MERGE_CACHE_KIB}`)
    try {
      return this.#mergeAll(ifMissing, now)
    } finally {
      database.pragma(`cache_size = ${usualCache}`)
    }
  }

  #mergeAll(ifMissing: boolean, now: number): UpsertCounts {
    return this.#transactions.write('upsertAll', now, (journal) => {
      const stamp = journal.clock.next(now)
      const merge = new StagedMerge(this.#connection, this.#transactions, { journal, stamp, now, ifMissing })
      const { tuples } = this.#transactions
      tuples.sources = undefined
      const addedHosts = merge.merge(this.#hosts)
      const addedSpamtraps = merge.merge(this.#spamtraps)
      const addedTuples = merge.merge(this.#tuples)
      journal.appendEverything('import', stamp)
      const added = addedHosts + addedSpamtraps + addedTuples
      const rest = this.#hosts.rowCount + this.#spamtraps.rowCount + this.#tuples.rowCount - added
      // All of them are counted here, those that were decided too.
      tuples.ages.reset()
      // Existing tuples have other ages now, which only reading all of them reveals.
      if (addedTuples < this.#tuples.rowCount) this.#connection.database.exec(RECOUNT_AGES)
      else this.#noteAges()
      const counts = { added, updated: ifMissing ? 0 : rest, skipped: ifMissing ? rest : 0 }
      const texts = Object.entries(counts).map(([name, count]) => `${count} ${name}`)
      this.#transactions.history.appendSummaries('import', now > 0 ? now : stamp.time / 1000, [
        { text: texts.join(', ') },
      ])
      return counts
    })
  }

  close(): void {
    this.#connection.database.exec(CLOSE_STAGING)
  }

  #addInTransaction(entries: readonly Entry[]): void {
    const { database } = this.#connection
    database.exec('BEGIN')
    try {
      for (const entry of entries) this.#addEntry(entry)
      for (const table of [this.#hosts, this.#tuples, this.#spamtraps]) table.flush()
      database.exec('COMMIT')
    } catch (error) {
      if (database.inTransaction) database.exec('ROLLBACK')
      throw error
    }
  }

  #addEntry(entry: Entry): void {
    switch (entry.kind) {
      case 'WHITE':
      case 'TRAPPED': {
        const { first, pass, expire, bcount, pcount, comment } = entry
        this.#hosts.add([wireValue(entry.ip)], [first, pass, expire, bcount, pcount, commentValue(comment)])
        return
      }
      case 'SPAMTRAP':
        this.#spamtraps.add([wireValue(entry.address)], [entry.first, commentValue(entry.comment)])
        return
      case 'GREY': {
        const { ip, helo, from, to, first, pass, expire, bcount, pcount } = entry
        const key = [wireValue(ip), wireValue(helo), wireValue(from), wireValue(to)]
        this.#tuples.add(key, [first, pass, expire, bcount, pcount])
        const age = Math.floor(first / AGE_STEP_SEC)
        this.#tupleBytes += helo.length + from.length + to.length
        if (isPoolTuple(entry)) {
          this.#poolCount += 1
          return
        }
        this.#tupleTimes.set(age, (this.#tupleTimes.get(age) ?? 0) + 1)
        return
      }
      // Daemons create them, and no file contains them.
      case 'POOL':
    }
  }

  #noteAges(): void {
    const { ages } = this.#transactions.tuples
    ages.noteBytes(this.#tupleBytes)
    ages.notePools(this.#poolCount)
    for (const [age, count] of this.#tupleTimes) ages.noteAdded(age * AGE_STEP_SEC, count)
  }
}

/** Staged data fills another file system than the database. */
function withTemporaryHint(error: unknown): unknown {
  if (!(error instanceof AppError) || error.code !== 'ERR_DB_FULL') return error
  return new AppError(error.code, error.message, { hint: TEMPORARY_HINT, cause: error.cause })
}
