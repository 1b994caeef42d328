import type { GreyEntry, Tuple } from '../../domain/entry.js'
import type { HeldTuple } from '../../domain/held.js'
import { isPoolTuple } from '../../domain/pool-key.js'
import type { Connection } from '../connection.js'
import type { SqlValue } from '../sqlite-driver.js'
import { encodeTupleMarks, type NodeNumbers, tupleMarksOf } from './marks-codec.js'
import type { StoredTuple } from './stored-tuple.js'
import { TupleAges } from './tuple-ages.js'
import type { TupleSources } from './tuple-sources.js'
import { wireValue } from './wire-value.js'

const KEY = '(CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT))'
const WHERE_KEY =
  'WHERE ip = CAST(? AS TEXT) AND helo = CAST(? AS TEXT) AND "from" = CAST(? AS TEXT) AND "to" = CAST(? AS TEXT)'
const COLUMNS = 'first, pass, expire, bcount, pcount, last, marks'
const OLD_COLUMNS = COLUMNS.replace('last, marks', 'NULL, NULL')
const INSERT = `INSERT INTO tuples (ip, helo, "from", "to", ${COLUMNS}) VALUES ${KEY.slice(0, -1)}, ?, ?, ?, ?, ?, ?, ?)`
const UPDATE = `UPDATE tuples SET first = ?, pass = ?, expire = ?, bcount = ?, pcount = ?, last = ?, marks = ? ${WHERE_KEY}`
const DELETE = `DELETE FROM tuples ${WHERE_KEY} RETURNING first`
// Qualified in ORDER BY: a bare name would mean the cast value, which has no index.
const BY_KEY = 'tuples.ip, tuples.helo, tuples."from", tuples."to"'
const BLOB_KEY =
  'CAST(ip AS BLOB) AS ip, CAST(helo AS BLOB) AS helo, CAST("from" AS BLOB) AS "from", CAST("to" AS BLOB) AS "to"'
/** The bytes of a key as one value, since no field contains NUL: four values cost as much as the rest of the row. */
const RAW_KEY = `CAST(ip || char(0) || helo || char(0) || "from" || char(0) || "to" AS BLOB)`
const SELECT_OLD_IN_STRETCH = `SELECT ${BLOB_KEY}, first, bcount FROM (
    SELECT * FROM tuples WHERE (ip, helo, "from", "to") > ${KEY} ORDER BY ${BY_KEY} LIMIT ?
  ) WHERE first < ? ORDER BY bcount > 1, first`
const KEY_AT = `SELECT ${BLOB_KEY}, first, bcount FROM tuples WHERE (ip, helo, "from", "to") > ${KEY}
  ORDER BY ${BY_KEY} LIMIT 1 OFFSET ?`

/** Addresses counted by one statement; more gain nothing. */
const COUNTED_AT_ONCE = 32

/** Sorts before every key. */
export const BEFORE_FIRST_TUPLE: readonly SqlValue[] = ['', '', '', '']

type TimesRow = [number, number, number, number, number, number | null, Buffer | null]
type KeyedRow = [Buffer, ...TimesRow]

/** GREY tuples, one statement a method; the caller owns the transaction and flushes `ages` in it. */
export class TupleTable {
  readonly ages: TupleAges
  /** The space used by each source; present while the limits are near. */
  sources: TupleSources | undefined
  readonly #connection: Connection
  readonly #nodes: NodeNumbers

  constructor(connection: Connection, nodes: NodeNumbers) {
    this.#connection = connection
    this.#nodes = nodes
    this.ages = new TupleAges(connection)
  }

  get(tuple: Tuple): HeldTuple | undefined {
    const select = `SELECT ${this.#columns()} FROM tuples ${WHERE_KEY}`
    const row = this.#connection.prepareRaw(select).get(...keyValues(tuple)) as TimesRow | undefined
    return row === undefined ? undefined : this.#decode(tuple, row)
  }

  insert(entry: GreyEntry, marks: HeldTuple['marks']): void {
    const { first, pass, expire, bcount, pcount } = entry
    const encoded = encodeTupleMarks(marks, this.#nodes)
    this.#connection
      .prepare(INSERT)
      .run(...keyValues(entry), first, pass, expire, bcount, pcount, marks?.last ?? null, encoded)
    this.#count(entry, first, 1)
    this.#noteBytes(entry, 1)
  }

  /** Replaces the times of an existing tuple. */
  update(entry: GreyEntry, oldFirst: number, marks: HeldTuple['marks']): void {
    const { first, pass, expire, bcount, pcount } = entry
    const encoded = encodeTupleMarks(marks, this.#nodes)
    this.#connection
      .prepare(UPDATE)
      .run(first, pass, expire, bcount, pcount, marks?.last ?? null, encoded, ...keyValues(entry))
    if (first !== oldFirst) {
      this.#count(entry, oldFirst, -1)
      this.#count(entry, first, 1)
    }
  }

  delete(tuple: Tuple): void {
    if (this.#deleteByValues(keyValues(tuple), tuple)) this.#noteBytes(tuple, -1)
  }

  /** Tells of a tuple that was deleted by other means. */
  noteRemoved(tuple: StoredTuple): void {
    this.#count(textsOf(tuple), tuple.first, -1)
    this.#noteBytes(textsOf(tuple), -1)
  }

  /** False when there is none. */
  deleteStored(tuple: StoredTuple): boolean {
    const texts = textsOf(tuple)
    if (!this.#deleteByValues(storedKeyValues(tuple), texts)) return false
    this.#noteBytes(texts, -1)
    return true
  }

  /** Tuples of an address, oldest first, those of one second by key. */
  oldestOf(ip: string, limit: number): HeldTuple[] {
    const select = `SELECT ${RAW_KEY}, ${this.#columns()} FROM tuples WHERE ip = CAST(? AS TEXT) ORDER BY first, ${BY_KEY} LIMIT ?`
    const rows = this.#connection.prepareRaw(select).all(wireValue(ip), limit) as KeyedRow[]
    return rows.map((row) => this.#decodeKeyed(row))
  }

  /** The next `limit` tuples behind one, in the order of their keys. */
  slice(after: Tuple | undefined, limit: number): HeldTuple[] {
    const select = `SELECT ${RAW_KEY}, ${this.#columns()} FROM tuples
      WHERE (ip, helo, "from", "to") > ${KEY} ORDER BY ${BY_KEY} LIMIT ?`
    const values = after === undefined ? BEFORE_FIRST_TUPLE : keyValues(after)
    const rows = this.#connection.prepareRaw(select).all(...values, limit) as KeyedRow[]
    return rows.map((row) => this.#decodeKeyed(row))
  }

  /** How many tuples each of many addresses has; those without any are left out. */
  countMany(ips: readonly string[]): Map<string, number> {
    const counts = new Map<string, number>()
    const values = ips.map(wireValue)
    for (let start = 0; start < values.length; start += COUNTED_AT_ONCE) {
      const slice = values.slice(start, start + COUNTED_AT_ONCE)
      const places = slice.map((value) => (typeof value === 'string' ? '?' : 'CAST(? AS TEXT)')).join(', ')
      const select = `SELECT CAST(ip AS BLOB), count(*) FROM tuples WHERE ip IN (${places}) GROUP BY ip`
      for (const [ip, count] of this.#connection.prepareRaw(select).all(...slice) as [Buffer, number][]) {
        counts.set(text(ip), count)
      }
    }
    return counts
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

  /** Tuples of pools exist in addition to those of their addresses and are counted separately. */
  #count(tuple: Tuple, first: number, sign: 1 | -1): void {
    if (isPoolTuple(tuple)) this.ages.notePools(sign)
    else if (sign > 0) this.ages.noteAdded(first)
    else this.ages.noteRemoved(first)
  }

  #noteBytes(tuple: Tuple, sign: 1 | -1): void {
    const bytes = tuple.helo.length + tuple.from.length + tuple.to.length
    this.ages.noteBytes(sign * bytes)
    this.sources?.note(tuple, bytes, sign)
  }

  #columns(): string {
    return this.#connection.hasMarks ? COLUMNS : OLD_COLUMNS
  }

  #decodeKeyed([key, ...times]: KeyedRow): HeldTuple {
    const [ip = '', helo = '', from = '', to = ''] = text(key).split('\0')
    return this.#decode({ ip, helo, from, to }, times)
  }

  #decode(key: Tuple, [first, pass, expire, bcount, pcount, last, marks]: TimesRow): HeldTuple {
    const { ip, helo, from, to } = key
    const entry: GreyEntry = { kind: 'GREY', ip, helo, from, to, first, pass, expire, bcount, pcount }
    return { entry, marks: tupleMarksOf(last, marks, this.#nodes) }
  }

  #deleteByValues(values: readonly SqlValue[], tuple: Tuple): boolean {
    const removed = this.#connection.prepare(DELETE).get(...values) as { first: number } | undefined
    if (removed === undefined) return false
    this.#count(tuple, removed.first, -1)
    return true
  }
}

function textsOf({ ip, helo, from, to }: StoredTuple): Tuple {
  return { ip: text(ip), helo: text(helo), from: text(from), to: text(to) }
}

function text(bytes: Buffer): string {
  return bytes.toString('latin1')
}

/** The key of a tuple as statements take it. */
function keyValues(tuple: Tuple): SqlValue[] {
  return [wireValue(tuple.ip), wireValue(tuple.helo), wireValue(tuple.from), wireValue(tuple.to)]
}

/** The key of a stored tuple as statements take it. */
function storedKeyValues(tuple: StoredTuple): SqlValue[] {
  return [tuple.ip, tuple.helo, tuple.from, tuple.to]
}
