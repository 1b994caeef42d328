import type { AllowEdit, AllowSource } from '../../domain/allow.js'
import type { Stamp } from '../../domain/stamp.js'
import type { Connection } from '../connection.js'
import { encodeStamp, type NodeNumbers } from './marks-codec.js'
import { commentValue } from './wire-value.js'

const SOURCES = 'SELECT name, first, expire, checked, comment FROM allow_sources ORDER BY name'
const RANGES = 'SELECT source, network FROM allow_ranges ORDER BY source, network'
const PUT = 'INSERT OR REPLACE INTO allow_sources VALUES (?, ?, ?, ?, ?, ?)'
const PUT_RANGE = 'INSERT INTO allow_ranges VALUES (?, ?)'
const REMOVE = 'DELETE FROM allow_sources WHERE name = ?'
const REMOVE_RANGES = 'DELETE FROM allow_ranges WHERE source = ?'

/** Sources of exceptions and their networks; the caller owns the transaction. */
export class AllowTable {
  readonly #connection: Connection
  readonly #nodes: NodeNumbers

  constructor(connection: Connection, nodes: NodeNumbers) {
    this.#connection = connection
    this.#nodes = nodes
  }

  /** All sources by name; their networks in the order of their text. */
  all(): AllowSource[] {
    if (!this.#connection.hasMarks) return []
    const networks = new Map<string, string[]>()
    for (const [source, network] of this.#connection.prepareRaw(RANGES).all() as [string, string][]) {
      const known = networks.get(source)
      if (known === undefined) networks.set(source, [network])
      else known.push(network)
    }
    const rows = this.#connection.prepareRaw(SOURCES).all() as [
      string,
      number,
      number,
      number,
      string | null,
    ][]
    return rows.map(([name, first, expire, checked, comment]) => ({
      name,
      first,
      expire,
      checked,
      ...(comment === null ? {} : { comment }),
      networks: networks.get(name) ?? [],
    }))
  }

  /** True when there was something to remove, or to store. */
  apply(edit: AllowEdit, stamp: Stamp): boolean {
    const name = edit.operation === 'put' ? edit.source.name : edit.name
    this.#connection.prepare(REMOVE_RANGES).run(name)
    if (edit.operation === 'remove') return this.#connection.prepare(REMOVE).run(name).changes > 0
    const { first, expire, checked, comment, networks } = edit.source
    this.#connection
      .prepare(PUT)
      .run(name, first, expire, checked, commentValue(comment), encodeStamp(stamp, this.#nodes))
    const insert = this.#connection.prepare(PUT_RANGE)
    for (const network of networks) insert.run(name, network)
    return true
  }
}
