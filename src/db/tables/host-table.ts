import type { HostEntry } from '../../domain/entry.js'
import type { HeldHost } from '../../domain/held.js'
import { TRAPPED_PCOUNT } from '../../domain/host-state.js'
import { isInNetwork, parseCidr } from '../../ip/cidr.js'
import { textRangesOf } from '../../ip/text-ranges.js'
import type { Connection } from '../connection.js'
import { type HostMarkColumns, hostMarkColumns, hostMarksOf, type NodeNumbers } from './marks-codec.js'
import { commentValue, wireValue } from './wire-value.js'

const COLUMNS = 'first, pass, expire, bcount, pcount, comment, stamp, granted, node, marks'
const SELECT = `SELECT ${COLUMNS} FROM hosts WHERE ip = CAST(? AS TEXT)`
const SELECT_OLD = `SELECT ${COLUMNS.replace('stamp, granted, node, marks', 'NULL, NULL, NULL, NULL')} FROM hosts WHERE ip = CAST(? AS TEXT)`
const SLICE = `SELECT ${COLUMNS}, ip FROM hosts WHERE ip > ? ORDER BY ip LIMIT ?`
const INSERT = `INSERT INTO hosts (ip, ${COLUMNS}) VALUES (CAST(? AS TEXT), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
const UPDATE =
  'UPDATE hosts SET first = ?, pass = ?, expire = ?, bcount = ?, pcount = ?, comment = ?, stamp = ?, granted = ?, node = ?, marks = ? WHERE ip = CAST(? AS TEXT)'
const TRAPS = 'SELECT ip FROM hosts WHERE pcount = -1 AND ip >= ? AND ip < ?'
const DELETE = 'DELETE FROM hosts WHERE ip = CAST(? AS TEXT)'

const COLUMN_COUNT = 10

type HostRow = [number, number, number, number, number, string | null, ...HostMarkColumns]

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

  /** True when a TRAPPED address is inside a network, which is canonical CIDR text. */
  hasTrapIn(network: string): boolean {
    const parsed = parseCidr(network)!
    const { ranges, isExact } = textRangesOf(parsed)
    for (const { low, high } of ranges) {
      const rows = this.#connection.prepareRaw(TRAPS).iterate(low, high) as Iterable<[string]>
      for (const [ip] of rows) if (isExact || isInNetwork(ip, parsed)) return true
    }
    return false
  }

  insert(entry: HostEntry, marks: HeldHost['marks']): void {
    const { kind, first, pass, expire, bcount, pcount, comment } = entry
    const [stamp, granted, node, bytes] = hostMarkColumns(kind, marks, this.#nodes)
    this.#connection
      .prepare(INSERT)
      .run(
        wireValue(entry.ip),
        first,
        pass,
        expire,
        bcount,
        pcount,
        commentValue(comment),
        stamp,
        granted,
        node,
        bytes,
      )
  }

  update(entry: HostEntry, marks: HeldHost['marks']): void {
    const { kind, first, pass, expire, bcount, pcount, comment } = entry
    const [stamp, granted, node, bytes] = hostMarkColumns(kind, marks, this.#nodes)
    this.#connection
      .prepare(UPDATE)
      .run(
        first,
        pass,
        expire,
        bcount,
        pcount,
        commentValue(comment),
        stamp,
        granted,
        node,
        bytes,
        wireValue(entry.ip),
      )
  }

  delete(ip: string): void {
    this.#connection.prepare(DELETE).run(wireValue(ip))
  }
}
