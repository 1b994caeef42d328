import type { EntryTimes, Tuple } from '../../domain/entry.js'
import type { Connection } from '../connection.js'
import type { SqlValue } from '../sqlite-driver.js'
import { TupleAges } from './tuple-ages.js'
import { wireValue } from './wire-value.js'

const KEY = '(CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT))'
const WHERE_KEY =
  'WHERE ip = CAST(? AS TEXT) AND helo = CAST(? AS TEXT) AND "from" = CAST(? AS TEXT) AND "to" = CAST(? AS TEXT)'
const SELECT = `SELECT first, pass, expire, bcount, pcount FROM tuples ${WHERE_KEY}`
const INSERT = `INSERT OR IGNORE INTO tuples VALUES ${KEY.slice(0, -1)}, ?, ?, ?, ?, ?)`
const UPDATE = `UPDATE tuples SET first = ?, pass = ?, expire = ?, bcount = ?, pcount = ? ${WHERE_KEY}`
const DELETE = `DELETE FROM tuples ${WHERE_KEY} RETURNING first`
const DELETE_ALL = 'DELETE FROM tuples WHERE ip = CAST(? AS TEXT) RETURNING first'
// Qualified in ORDER BY: a bare name would mean the cast value, which has no index.
const BY_KEY = 'tuples.ip, tuples.helo, tuples."from", tuples."to"'
const BLOB_KEY =
  'CAST(ip AS BLOB) AS ip, CAST(helo AS BLOB) AS helo, CAST("from" AS BLOB) AS "from", CAST("to" AS BLOB) AS "to"'
const OLDEST = `SELECT ${BLOB_KEY}, first FROM tuples WHERE ip = CAST(? AS TEXT) ORDER BY first, ${BY_KEY} LIMIT ?`
const COUNT = 'SELECT count(*) AS tuple_count FROM (SELECT 1 FROM tuples WHERE ip = CAST(? AS TEXT) LIMIT ?)'
const SELECT_OLD_IN_STRETCH = `SELECT ${BLOB_KEY}, first FROM (
    SELECT * FROM tuples WHERE (ip, helo, "from", "to") > ${KEY} ORDER BY ${BY_KEY} LIMIT ?
  ) WHERE first < ? ORDER BY first`
const KEY_AT = `SELECT ${BLOB_KEY}, first FROM tuples WHERE (ip, helo, "from", "to") > ${KEY}
  ORDER BY ${BY_KEY} LIMIT 1 OFFSET ?`

/** The key of a stored tuple as its bytes, with its creation time. */
export interface StoredTuple {
  ip: Buffer
  helo: Buffer
  from: Buffer
  to: Buffer
  first: number
}

/** Sorts before every key. */
export const BEFORE_FIRST_TUPLE: readonly SqlValue[] = ['', '', '', '']

/** GREY tuples, one statement a method; the caller owns the transaction and flushes `ages` in it. */
export class TupleTable {
  readonly ages: TupleAges
  readonly #connection: Connection

  constructor(connection: Connection) {
    this.#connection = connection
    this.ages = new TupleAges(connection)
  }

  get(tuple: Tuple): EntryTimes | undefined {
    return this.#connection.prepare(SELECT).get(...keyValues(tuple)) as EntryTimes | undefined
  }

  /** Adds a tuple; false, and no change, when it is there. */
  insert(tuple: Tuple, times: EntryTimes): boolean {
    const { first, pass, expire, bcount, pcount } = times
    const result = this.#connection
      .prepare(INSERT)
      .run(...keyValues(tuple), first, pass, expire, bcount, pcount)
    if (result.changes === 0) return false
    this.ages.noteAdded(first)
    return true
  }

  /** Replaces the times of an existing tuple. */
  update(tuple: Tuple, oldFirst: number, times: EntryTimes): void {
    const { first, pass, expire, bcount, pcount } = times
    this.#connection.prepare(UPDATE).run(first, pass, expire, bcount, pcount, ...keyValues(tuple))
    if (first !== oldFirst) {
      this.ages.noteRemoved(oldFirst)
      this.ages.noteAdded(first)
    }
  }

  /** False when there is none. */
  delete(tuple: Tuple): boolean {
    return this.#deleteByValues(keyValues(tuple))
  }

  deleteStored(tuple: StoredTuple): boolean {
    return this.#deleteByValues(storedKeyValues(tuple))
  }

  /** Deletes every tuple of an address; how many there were. */
  deleteAll(ip: string): number {
    const removed = this.#connection.prepare(DELETE_ALL).all(wireValue(ip)) as { first: number }[]
    for (const { first } of removed) this.ages.noteRemoved(first)
    return removed.length
  }

  /** Tuples of an address, oldest first, those of one second by key. */
  oldestOf(ip: string, limit: number): StoredTuple[] {
    return this.#connection.prepare(OLDEST).all(wireValue(ip), limit) as StoredTuple[]
  }

  /** How many tuples an address has, counted up to `limit`. */
  countOf(ip: string, limit: number): number {
    return (this.#connection.prepare(COUNT).get(wireValue(ip), limit) as { tuple_count: number }).tuple_count
  }

  /** Of the `stretch` tuples that follow a key, those created before a time, oldest first. */
  oldInStretch(after: readonly SqlValue[], stretch: number, createdBefore: number): StoredTuple[] {
    return this.#connection
      .prepare(SELECT_OLD_IN_STRETCH)
      .all(...after, stretch, createdBefore) as StoredTuple[]
  }

  /** The key that lies `count` tuples behind another; undefined beyond the last. */
  keyBehind(after: readonly SqlValue[], count: number): SqlValue[] | undefined {
    const row = this.#connection.prepare(KEY_AT).get(...after, count - 1) as StoredTuple | undefined
    return row === undefined ? undefined : storedKeyValues(row)
  }

  #deleteByValues(values: readonly SqlValue[]): boolean {
    const removed = this.#connection.prepare(DELETE).get(...values) as { first: number } | undefined
    if (removed === undefined) return false
    this.ages.noteRemoved(removed.first)
    return true
  }
}

/** The key of a tuple as statements take it. */
export function keyValues(tuple: Tuple): SqlValue[] {
  return [wireValue(tuple.ip), wireValue(tuple.helo), wireValue(tuple.from), wireValue(tuple.to)]
}

/** The key of a stored tuple as statements take it. */
export function storedKeyValues(tuple: StoredTuple): SqlValue[] {
  return [tuple.ip, tuple.helo, tuple.from, tuple.to]
}
