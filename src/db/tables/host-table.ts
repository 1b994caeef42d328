import type { AlikeChanges, KnownHost, RecordChange } from '../../domain/alike-changes.js'
import type { HostEntry } from '../../domain/entry.js'
import type { HeldHost } from '../../domain/held.js'
import { TRAPPED_PCOUNT } from '../../domain/host-state.js'
import { isInNetwork, parseCidr } from '../../ip/cidr.js'
import { textRangesOf } from '../../ip/text-ranges.js'
import type { Connection } from '../connection.js'
import type { SqlValue } from '../sqlite-driver.js'
import { keyListOf } from './key-list.js'
import {
  type HostMarkColumns,
  hostMarkColumns,
  hostMarksOf,
  isGrantOnly,
  latestMarkOf,
  type NodeNumbers,
} from './marks-codec.js'
import { commentValue, wireValue } from './wire-value.js'

const COLUMNS = 'first, pass, expire, bcount, pcount, comment, stamp, granted, node, marks'
const SELECT = `SELECT ${COLUMNS} FROM hosts WHERE ip = CAST(? AS TEXT)`
const SELECT_OLD = `SELECT ${COLUMNS.replace('stamp, granted, node, marks', 'NULL, NULL, NULL, NULL')} FROM hosts WHERE ip = CAST(? AS TEXT)`
const SLICE = `SELECT ${COLUMNS}, ip FROM hosts WHERE ip > ? ORDER BY ip LIMIT ?`
const SELECT_MANY = `SELECT ${COLUMNS}, key FROM json_each(?) CROSS JOIN hosts ON hosts.ip = json_each.value`
/**
 * Rows that one statement inserts; more gain nothing. OR FAIL, because otherwise SQLite copies each page in case the
 * statement is rolled back halfway, which costs more than the rows: here the whole transaction is rolled back.
 */
const ROWS_AT_ONCE = 32
const ROW = `(CAST(? AS TEXT)${', ?'.repeat(COLUMNS.split(',').length)})`
const insertStatement = (rowCount: number): string =>
  `INSERT OR FAIL INTO hosts (ip, ${COLUMNS}) VALUES ${Array(rowCount).fill(ROW).join(', ')}`
const INSERT = insertStatement(1)
const INSERT_MANY = insertStatement(ROWS_AT_ONCE)
/** Rows that differ only in their stamps, which are consecutive. */
const INSERT_ALIKE = `INSERT OR FAIL INTO hosts (ip, ${COLUMNS})
  SELECT value, @first, @pass, @expire, @bcount, @pcount, NULL, @stamp + key, @granted, @node, NULL FROM json_each(@ips)`
/** The new ones among them. */
const INSERT_MISSING = `${INSERT_ALIKE} WHERE NOT EXISTS (SELECT 1 FROM hosts WHERE ip = value)`
/**
 * What changes alike in a record: see RecordChange of domain/alike-changes.ts. One by one: one UPDATE FROM for all takes a
 * fifth longer, an upsert two and a half times as long.
 */
const CHANGE_ALIKE = `UPDATE hosts SET pass = ifnull(?, pass), expire = ?, pcount = pcount + ?, stamp = ?, node = ?,
  granted = ?, marks = NULL WHERE ip = ?`
/** The stamp was the grant, or there was none before stamps; see `hostMarkColumns`. */
const REFRESH_ALIKE = CHANGE_ALIKE.replace(
  'granted = ?',
  'granted = CASE WHEN stamp IS NULL THEN 0 ELSE ifnull(granted, stamp) END',
)
const UPDATE = `UPDATE hosts SET ${COLUMNS.replace(/\w+/g, '$& = ?')} WHERE ip = CAST(? AS TEXT)`
const KNOWN = `SELECT key, expire, pcount, comment, stamp, granted, node, marks
  FROM json_each(?) CROSS JOIN hosts ON hosts.ip = json_each.value`
const PLACES = 'SELECT key FROM json_each(?) CROSS JOIN hosts ON hosts.ip = json_each.value'
const TRAPS = 'SELECT ip FROM hosts WHERE pcount = -1 AND ip >= ? AND ip < ?'
const DELETE = 'DELETE FROM hosts WHERE ip = CAST(? AS TEXT)'

const COLUMN_COUNT = 10

type HostRow = [number, number, number, number, number, string | null, ...HostMarkColumns]
/** An entry with its marks. */
export type MarkedHost = { entry: HostEntry; marks: HeldHost['marks'] }

/** Records of addresses, one statement per method; the caller owns the transaction. */
export class HostTable {
  readonly #connection: Connection
  readonly #nodes: NodeNumbers

  constructor(connection: Connection, nodes: NodeNumbers) {
    this.#connection = connection
    this.#nodes = nodes
  }

  /** undefined when there is none; marks of deletions are elsewhere. */
  get(ip: string): HeldHost | undefined {
    const select = this.#connection.hasMarks ? SELECT : SELECT_OLD
    const row = this.#connection.prepareRaw(select).get(wireValue(ip)) as HostRow | undefined
    return row && this.#decode(ip, row)
  }

  /** The entries and marks of many addresses, in their order. */
  getMany(ips: readonly string[]): (HeldHost | undefined)[] {
    const list = this.#connection.hasMarks ? keyListOf(ips) : undefined
    if (list === undefined) return ips.map((ip) => this.get(ip))
    const found = Array<HeldHost | undefined>(ips.length).fill(undefined)
    for (const row of this.#connection.prepareRaw(SELECT_MANY).iterate(list) as Iterable<
      [...HostRow, number]
    >) {
      const place = row[COLUMN_COUNT]!
      found[place] = this.#decode(ips[place]!, row as unknown as HostRow)
    }
    return found
  }

  /** The next `limit` addresses behind one, in the order of their text. */
  slice(after: string, limit: number): { ip: string; held: HeldHost }[] {
    type KeyedRow = [...HostRow, string]
    const rows = this.#connection.prepareRaw(SLICE).all(after, limit) as KeyedRow[]
    return rows.map((row) => {
      const ip = row[COLUMN_COUNT] as string
      return { ip, held: this.#decode(ip, row as unknown as HostRow) }
    })
  }

  #decode(ip: string, row: HostRow): HeldHost {
    const [first, pass, expire, bcount, pcount, comment, stamp, granted, node, bytes] = row
    const kind = pcount === TRAPPED_PCOUNT ? 'TRAPPED' : 'WHITE'
    const entry: HostEntry = { kind, ip, first, pass, expire, bcount, pcount }
    if (comment !== null) entry.comment = comment
    return { entry, marks: hostMarksOf(kind, [stamp, granted, node, bytes], this.#nodes) }
  }

  /** The TRAPPED addresses inside a network, which is canonical CIDR text. */
  *trapsIn(network: string): Generator<string> {
    const parsed = parseCidr(network)!
    const { ranges, isExact } = textRangesOf(parsed)
    for (const { low, high } of ranges) {
      const rows = this.#connection.prepareRaw(TRAPS).iterate(low, high) as Iterable<[string]>
      for (const [ip] of rows) if (isExact || isInNetwork(ip, parsed)) yield ip
    }
  }

  /** The places of those addresses of a key list that have an entry. */
  placesOf(list: string): number[] {
    return this.#connection.prepareRaw(PLACES).pluck().all(list) as number[]
  }

  /** What alike changes depend on, of those addresses of a key list that have an entry, each with its place. */
  knownOf(list: string, node: number): (KnownHost & { place: number })[] {
    type Row = [number, number, number, string | null, ...HostMarkColumns]
    const rows = this.#connection.prepareRaw(KNOWN).all(list) as Row[]
    const own = this.#nodes.numberOf(node)
    return rows.map((row) => {
      const kind = row[2] === TRAPPED_PCOUNT ? 'TRAPPED' : 'WHITE'
      const latest = latestMarkOf(row[4], row[6], row[7], this.#nodes)
      const hasGrantOnly = row[7] === null && isGrantOnly(row[4], row[5], row[6] === own ? 'own' : 'other')
      return { place: row[0], kind, expire: row[1], comment: row[3], latest, hasGrantOnly }
    })
  }

  /** Stores entries of addresses that have none. */
  insertMany(hosts: readonly MarkedHost[]): void {
    let start = 0
    for (; start + ROWS_AT_ONCE <= hosts.length; start += ROWS_AT_ONCE) {
      const values: SqlValue[] = []
      for (let place = start; place < start + ROWS_AT_ONCE; place += 1) {
        const host = hosts[place]!
        values.push(wireValue(host.entry.ip), ...this.#columnsOf(host))
      }
      this.#connection.prepare(INSERT_MANY).run(values)
    }
    for (const host of hosts.slice(start)) {
      this.#connection.prepare(INSERT).run(wireValue(host.entry.ip), ...this.#columnsOf(host))
    }
  }

  update(host: MarkedHost): void {
    this.#connection.prepare(UPDATE).run(...this.#columnsOf(host), wireValue(host.entry.ip))
  }

  /** Stores changes that are alike; `ipsJson` is the list of their addresses as JSON. */
  putAlike({ ips, first: { after }, again }: AlikeChanges, ipsJson: string): void {
    const { kind, first, pass, expire, bcount, pcount } = after.entry!
    const [stamp, granted, node] = hostMarkColumns(kind, after.marks, this.#nodes)
    if (again !== undefined) this.#changeAlike(ips, again, { stamp: stamp!, granted, node })
    if (again?.isKnown.includes(false) === false) return
    const insert = again === undefined ? INSERT_ALIKE : INSERT_MISSING
    const times = { first, pass, expire, bcount, pcount }
    this.#connection.prepare(insert).run({ ips: ipsJson, ...times, stamp, granted, node })
  }

  #changeAlike(
    ips: readonly string[],
    { isKnown, keepsGrant, pass, expire, passes }: RecordChange,
    { stamp, granted, node }: { stamp: number; granted: number | null; node: number | null },
  ): void {
    const statement = this.#connection.prepare(keepsGrant ? REFRESH_ALIKE : CHANGE_ALIKE)
    for (const [place, ip] of ips.entries()) {
      if (isKnown[place] !== true) continue
      const values = [pass ?? null, expire, passes, stamp + place, node]
      if (keepsGrant) statement.run(...values, ip)
      else statement.run(...values, granted, ip)
    }
  }

  #columnsOf({ entry, marks }: MarkedHost): SqlValue[] {
    const { kind, first, pass, expire, bcount, pcount, comment } = entry
    const [stamp, granted, node, bytes] = hostMarkColumns(kind, marks, this.#nodes)
    return [first, pass, expire, bcount, pcount, commentValue(comment), stamp, granted, node, bytes]
  }

  delete(ip: string): void {
    this.#connection.prepare(DELETE).run(wireValue(ip))
  }
}
