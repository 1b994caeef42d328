import type { SpamtrapEntry, WireText } from '../../domain/entry.js'
import type { HeldSpamtrap } from '../../domain/held.js'
import type { Stamp } from '../../domain/stamp.js'
import type { Connection } from '../connection.js'
import { decodeStamp, encodeStamp, type NodeNumbers } from './marks-codec.js'
import { commentValue, wireValue } from './wire-value.js'

const SELECT = 'SELECT first, comment, stamp FROM spamtraps WHERE address = CAST(? AS TEXT)'
const SELECT_OLD = 'SELECT first, comment, NULL FROM spamtraps WHERE address = CAST(? AS TEXT)'
const SLICE =
  'SELECT CAST(address AS BLOB), first, comment, stamp FROM spamtraps WHERE address > CAST(? AS TEXT) ORDER BY spamtraps.address LIMIT ?'
const INSERT = 'INSERT INTO spamtraps (address, first, comment, stamp) VALUES (CAST(? AS TEXT), ?, ?, ?)'
const UPDATE = 'UPDATE spamtraps SET first = ?, comment = ?, stamp = ? WHERE address = CAST(? AS TEXT)'
const DELETE = 'DELETE FROM spamtraps WHERE address = CAST(? AS TEXT)'

type SpamtrapRow = [number, string | null, Buffer | null]

/** Spamtrap addresses, normalised by the caller; the caller owns the transaction. */
export class SpamtrapTable {
  readonly #connection: Connection
  readonly #nodes: NodeNumbers

  constructor(connection: Connection, nodes: NodeNumbers) {
    this.#connection = connection
    this.#nodes = nodes
  }

  get(address: WireText): HeldSpamtrap | undefined {
    const select = this.#connection.hasMarks ? SELECT : SELECT_OLD
    const row = this.#connection.prepareRaw(select).get(wireValue(address)) as SpamtrapRow | undefined
    return row && this.#decode(address, row)
  }

  /** The next `limit` spamtraps behind one, in the order of their addresses. */
  slice(after: WireText, limit: number): { address: WireText; held: HeldSpamtrap }[] {
    type KeyedRow = [Buffer, ...SpamtrapRow]
    const rows = this.#connection.prepareRaw(SLICE).all(wireValue(after), limit) as KeyedRow[]
    return rows.map(([bytes, ...row]) => {
      const address = bytes.toString('latin1')
      return { address, held: this.#decode(address, row) }
    })
  }

  #decode(address: WireText, [first, comment, stamp]: SpamtrapRow): HeldSpamtrap {
    const entry: SpamtrapEntry = { kind: 'SPAMTRAP', address, first }
    if (comment !== null) entry.comment = comment
    return { entry, stamp: stamp === null ? undefined : decodeStamp(stamp, this.#nodes) }
  }

  insert({ address, first, comment }: SpamtrapEntry, stamp: Stamp | undefined): void {
    const encoded = this.#encode(stamp)
    this.#connection.prepare(INSERT).run(wireValue(address), first, commentValue(comment), encoded)
  }

  update({ address, first, comment }: SpamtrapEntry, stamp: Stamp | undefined): void {
    const encoded = this.#encode(stamp)
    this.#connection.prepare(UPDATE).run(first, commentValue(comment), encoded, wireValue(address))
  }

  delete(address: WireText): void {
    this.#connection.prepare(DELETE).run(wireValue(address))
  }

  #encode(stamp: Stamp | undefined): Buffer | null {
    return stamp === undefined ? null : encodeStamp(stamp, this.#nodes)
  }
}
