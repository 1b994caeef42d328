import { decideImport, importedMarks, selectEntries } from '../domain/decide-import.js'
import type { Entry, HostEntry } from '../domain/entry.js'
import type { HostMarks } from '../domain/held.js'
import { isPoolTuple } from '../domain/pool-key.js'
import type { UpsertCounts } from '../domain/requests.js'
import type { Stamp } from '../domain/stamp.js'
import { AppError } from '../platform/app-error.js'
import type { Connection } from './connection.js'
import { COUNT_TUPLE_BYTES, IS_POOL_TUPLE } from './schema.js'
import type { SqliteDatabase, SqliteStatement, SqlValue } from './sqlite-driver.js'
import { encodeHostMarks, encodeStamp, hostMarkColumns } from './tables/marks-codec.js'
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
  PRAGMA staging.cache_size = -4096;
  CREATE TABLE staging.staged_hosts (ip TEXT, first INTEGER, pass INTEGER, expire INTEGER, bcount INTEGER,
    pcount INTEGER, comment TEXT);
  CREATE TABLE staging.staged_tuples (ip TEXT, helo TEXT, "from" TEXT, "to" TEXT, first INTEGER, pass INTEGER,
    expire INTEGER, bcount INTEGER, pcount INTEGER);
  CREATE TABLE staging.staged_spamtraps (address TEXT, first INTEGER, comment TEXT)`
const CLOSE_STAGING = 'DETACH staging'
/**
 * Cache of the database while the merge runs, in KiB. SQLite sorts in runs of this size: those that fit into
 * the processor's own cache take a tenth less time, and rows that arrive in key order do not need more.
 */
const MERGE_CACHE_KIB = 4096
/** Source: https://sqlite.org/tempfiles.html section 5. */
const TEMPORARY_HINT = 'free space where temporary files go: SQLITE_TMPDIR, else TMPDIR, else /var/tmp'

const NEW_TIMES =
  'first = excluded.first, pass = excluded.pass, expire = excluded.expire, bcount = excluded.bcount, pcount = excluded.pcount'
const NEW_COMMENT = 'comment = coalesce(excluded.comment, comment)'

interface Merge {
  key: string
  update: string
  /** Columns of the entries, and the column of stamps with its value. */
  columns: string
  marks: string
  value: string
}

/** Marks of an imported address: numbers, but bytes for one that a pin or a comment fixes; see marks-codec.ts. */
const IS_PLAIN = 'expire <> 0 AND comment IS NULL'
const HOST_MARKS = `iif(${IS_PLAIN}, @packed, NULL), iif(${IS_PLAIN}, @granted, NULL), iif(${IS_PLAIN}, @node, NULL),
  CASE WHEN expire = 0 THEN iif(pcount = -1, @pinnedTrapped, @pinnedWhite)
  WHEN comment IS NOT NULL THEN iif(pcount = -1, @notedTrapped, @notedWhite) END`
const HOST_MARK_COLUMNS = ['stamp', 'granted', 'node', 'marks']

/** How each staged table is merged, in the order of its key and, for one key, in the order of arrival. */
const MERGES = {
  hosts: {
    key: 'ip',
    update: [NEW_TIMES, NEW_COMMENT, ...HOST_MARK_COLUMNS.map((name) => `${name} = excluded.${name}`)].join(
      ', ',
    ),
    columns: 'ip, first, pass, expire, bcount, pcount, comment',
    marks: HOST_MARK_COLUMNS.join(', '),
    value: HOST_MARKS,
  },
  tuples: {
    key: 'ip, helo, "from", "to"',
    update: `${NEW_TIMES}, last = NULL, marks = NULL`,
    columns: 'ip, helo, "from", "to", first, pass, expire, bcount, pcount',
    marks: 'marks',
    value: 'NULL',
  },
  spamtraps: {
    key: 'address',
    update: `first = excluded.first, ${NEW_COMMENT}, stamp = excluded.stamp`,
    columns: 'address, first, comment',
    marks: 'stamp',
    value: '@stamp',
  },
} satisfies Record<string, Merge>

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
  options: { ifMissing: boolean },
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
      if (waiting.length <= STAGING_THRESHOLD) continue
      staging = new Staging(connection, transactions)
      staging.add(waiting)
      waiting.length = 0
    }
    if (staging === undefined) {
      return transactions.decide('upsertAll', now, selectEntries(waiting), (draft) =>
        decideImport(draft, waiting, options),
      ).outcomes
    }
    return staging.merge(options.ifMissing, now)
  } finally {
    staging?.close()
  }
}

/** Values of the marks that SQL chooses from. */
type MarkValues = Record<'notedWhite' | 'notedTrapped' | 'pinnedWhite' | 'pinnedTrapped' | 'stamp', Buffer> &
  Record<'packed' | 'granted' | 'node', number | null>

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
      this.#hosts = new StagedTable(database, 'hosts', 1, 6)
      this.#tuples = new StagedTable(database, 'tuples', 4, 5)
      this.#spamtraps = new StagedTable(database, 'spamtraps', 1, 2)
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
  merge(ifMissing: boolean, now: number): UpsertCounts {
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
      const values = this.#marksOf(stamp)
      this.#mergeTable(this.#hosts, MERGES.hosts, ifMissing, values)
      this.#mergeTable(this.#spamtraps, MERGES.spamtraps, ifMissing, values)
      this.#mergeTable(this.#tuples, MERGES.tuples, ifMissing, values)
      journal.appendEverything('import', stamp)
      this.#transactions.tuples.sources = undefined
      const tables = [this.#hosts, this.#tuples, this.#spamtraps]
      const added = tables.reduce((sum, table) => sum + table.addedCount, 0)
      const rest = tables.reduce((sum, table) => sum + table.rowCount, -added)
      // Existing tuples have other ages now, which only reading all of them reveals.
      if (this.#tuples.addedCount < this.#tuples.rowCount) this.#connection.database.exec(RECOUNT_AGES)
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

  /** The marks of everything that one import stores. */
  #marksOf(stamp: Stamp): MarkValues {
    const { nodes } = this.#transactions.journal
    const marksOf = (entry: Pick<HostEntry, 'kind'> & { expire?: number; comment?: string }): HostMarks => {
      const whole = { ip: '', first: 0, pass: 0, expire: 1, bcount: 0, pcount: 0, ...entry }
      return importedMarks(whole, stamp)
    }
    const encode = (entry: Parameters<typeof marksOf>[0]): Buffer => encodeHostMarks(marksOf(entry), nodes)!
    const [packed, granted, node] = hostMarkColumns('WHITE', marksOf({ kind: 'WHITE' }), nodes)
    return {
      packed,
      granted,
      node,
      notedWhite: encode({ kind: 'WHITE', comment: ' ' }),
      notedTrapped: encode({ kind: 'TRAPPED', comment: ' ' }),
      pinnedWhite: encode({ kind: 'WHITE', expire: 0 }),
      pinnedTrapped: encode({ kind: 'TRAPPED', expire: 0 }),
      stamp: encodeStamp(stamp, nodes),
    }
  }

  #mergeTable(
    staged: StagedTable,
    { key, update, columns, marks, value }: Merge,
    ifMissing: boolean,
    values: MarkValues,
  ): void {
    const { database } = this.#connection
    const countRows = database.prepare(`SELECT count(*) FROM main.${staged.name}`).pluck()
    const before = countRows.get() as number
    const onConflict = ifMissing ? 'DO NOTHING' : `(${key}) DO UPDATE SET ${update}`
    database
      .prepare(
        `INSERT INTO main.${staged.name} (${columns}, ${marks}) SELECT ${columns}, ${value}
         FROM staging.staged_${staged.name} WHERE true ORDER BY ${key}, rowid ON CONFLICT ${onConflict}`,
      )
      .run(values)
    staged.addedCount = (countRows.get() as number) - before
  }
}

/** Staged data fills another file system than the database. */
function withTemporaryHint(error: unknown): unknown {
  if (!(error instanceof AppError) || error.code !== 'ERR_DB_FULL') return error
  return new AppError(error.code, error.message, { hint: TEMPORARY_HINT, cause: error.cause })
}

/** Maximum number of rows per statement: more gain nothing. */
const ROWS_PER_STATEMENT = 32

/** One table of staged entries, filled many rows at a time. */
class StagedTable {
  readonly name: string
  rowCount = 0
  /** Rows that were new in the merge. */
  addedCount = 0
  readonly #values: SqlValue[] = []
  readonly #columnCount: number
  readonly #insertMany: SqliteStatement
  readonly #insertOne: SqliteStatement
  #hasBytes = false

  constructor(database: SqliteDatabase, name: string, textCount: number, otherCount: number) {
    this.name = name
    this.#columnCount = textCount + otherCount
    const places = (text: string): string =>
      `(${[...Array<string>(textCount).fill(text), ...Array<string>(otherCount).fill('?')].join(', ')})`
    const into = `INSERT INTO staging.staged_${name} VALUES`
    const rows = Array<string>(ROWS_PER_STATEMENT).fill(places('?'))
    this.#insertMany = database.prepare<unknown[], unknown>(`${into} ${rows.join(', ')}`)
    this.#insertOne = database.prepare<unknown[], unknown>(`${into} ${places('CAST(? AS TEXT)')}`)
  }

  /** The values of one row, those that hold bytes from the wire first. */
  add(wireValues: readonly SqlValue[], otherValues: readonly SqlValue[]): void {
    for (const value of wireValues) {
      this.#values.push(value)
      if (typeof value === 'object') this.#hasBytes = true
    }
    for (const value of otherValues) this.#values.push(value)
    this.rowCount += 1
    if (this.#values.length === ROWS_PER_STATEMENT * this.#columnCount) this.flush()
  }

  /** Stores the remaining rows. */
  flush(): void {
    if (this.#values.length === ROWS_PER_STATEMENT * this.#columnCount && !this.#hasBytes) {
      this.#insertMany.run(...this.#values)
    } else {
      for (let start = 0; start < this.#values.length; start += this.#columnCount) {
        this.#insertOne.run(...this.#values.slice(start, start + this.#columnCount))
      }
    }
    this.#values.length = 0
    this.#hasBytes = false
  }
}
