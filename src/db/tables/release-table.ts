import { RELEASE_SCOPES, type Release } from '../../domain/release.js'
import type { Stamp } from '../../domain/stamp.js'
import type { Connection } from '../connection.js'
import { decodeStamp, encodeStamp, type NodeNumbers } from './marks-codec.js'
import { wireValue } from './wire-value.js'

const SELECT =
  'SELECT id, CAST("from" AS BLOB), CAST("to" AS BLOB), network, scope, first, expire, used, author, stamp FROM releases ORDER BY first, id'
const PUT =
  'INSERT OR REPLACE INTO releases VALUES (?, CAST(? AS TEXT), CAST(? AS TEXT), ?, ?, ?, ?, ?, ?, ?)'
const DELETE = 'DELETE FROM releases WHERE id = ?'

type Row = [
  string,
  Buffer | null,
  Buffer | null,
  string | null,
  number,
  number,
  number,
  number,
  string | null,
  Buffer,
]

/** Releases, of which there are few; the caller owns the transaction. */
export class ReleaseTable {
  readonly #connection: Connection
  readonly #nodes: NodeNumbers

  constructor(connection: Connection, nodes: NodeNumbers) {
    this.#connection = connection
    this.#nodes = nodes
  }

  /** All of them, the oldest first; also those that ended and are still kept. */
  all(): { entry: Release; stamp: Stamp }[] {
    if (!this.#connection.hasMarks) return []
    const rows = this.#connection.prepareRaw(SELECT).all() as Row[]
    return rows.map(([id, from, to, network, scope, first, expire, used, author, stamp]) => ({
      entry: {
        kind: 'RELEASE',
        id,
        ...(from === null ? {} : { from: from.toString('latin1') }),
        ...(to === null ? {} : { to: to.toString('latin1') }),
        ...(network === null ? {} : { network }),
        scope: RELEASE_SCOPES[scope] ?? 'address',
        first,
        expire,
        used,
        ...(author === null ? {} : { author }),
      },
      stamp: decodeStamp(stamp, this.#nodes),
    }))
  }

  put({ id, from, to, network, scope, first, expire, used, author }: Release, stamp: Stamp): void {
    const text = (value: string | undefined) => (value === undefined ? null : wireValue(value))
    this.#connection
      .prepare(PUT)
      .run(
        id,
        text(from),
        text(to),
        network ?? null,
        RELEASE_SCOPES.indexOf(scope),
        first,
        expire,
        used,
        author ?? null,
        encodeStamp(stamp, this.#nodes),
      )
  }

  delete(id: string): void {
    this.#connection.prepare(DELETE).run(id)
  }
}
