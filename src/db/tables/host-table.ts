import type { HostEntry } from '../../domain/entry.js'
import type { HeldHost } from '../../domain/held.js'
import { hostKindOf } from '../../domain/host-state.js'
import type { Connection } from '../connection.js'
import { decodeHostMarks, encodeHostMarks, type NodeNumbers } from './marks-codec.js'
import { commentValue, wireValue } from './wire-value.js'

const COLUMNS = 'first, pass, expire, bcount, pcount, comment, marks'
const SELECT = `SELECT ${COLUMNS} FROM hosts WHERE ip = CAST(? AS TEXT)`
const SELECT_OLD = `SELECT ${COLUMNS.replace('marks', 'NULL')} FROM hosts WHERE ip = CAST(? AS TEXT)`
const INSERT = `INSERT INTO hosts (ip, ${COLUMNS}) VALUES (CAST(? AS TEXT), ?, ?, ?, ?, ?, ?, ?)`
const UPDATE =
  'UPDATE hosts SET first = ?, pass = ?, expire = ?, bcount = ?, pcount = ?, comment = ?, marks = ? WHERE ip = CAST(? AS TEXT)'
const DELETE = 'DELETE FROM hosts WHERE ip = CAST(? AS TEXT)'

type HostRow = [number, number, number, number, number, string | null, Buffer | null]

/** Records of addresses, one statement a method; the caller owns the transaction. */
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
    if (row === undefined) return undefined
    const [first, pass, expire, bcount, pcount, comment, marks] = row
    const times = { first, pass, expire, bcount, pcount }
    const entry: HostEntry = { kind: hostKindOf(times), ip, ...times }
    if (comment !== null) entry.comment = comment
    return { entry, marks: decodeHostMarks(marks, this.#nodes) }
  }

  insert(entry: HostEntry, marks: HeldHost['marks']): void {
    const { first, pass, expire, bcount, pcount, comment } = entry
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
        encodeHostMarks(marks, this.#nodes),
      )
  }

  update(entry: HostEntry, marks: HeldHost['marks']): void {
    const { first, pass, expire, bcount, pcount, comment } = entry
    this.#connection
      .prepare(UPDATE)
      .run(
        first,
        pass,
        expire,
        bcount,
        pcount,
        commentValue(comment),
        encodeHostMarks(marks, this.#nodes),
        wireValue(entry.ip),
      )
  }

  delete(ip: string): void {
    this.#connection.prepare(DELETE).run(wireValue(ip))
  }
}
