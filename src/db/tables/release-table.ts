import { RELEASE_SCOPES, type Release } from '../../domain/release.js'
import type { Stamp } from '../../domain/stamp.js'
import type { Connection } from '../connection.js'
import { decodeStamp, encodeStamp, type NodeNumbers } from './marks-codec.js'
import { wireValue } from './wire-value.js'

const SELECT =
  'SELECT id, CAST("from" AS BLOB), CAST("to" AS BLOB), network, scope, first, expire, used, author, stamp FROM releases ORDER BY first, id'
const PUT =
  'INSERT OR REPLACE INTO releases VALUES (?, CAST(? AS TEXT), CAST(? AS TEXT), ?, ?, ?, ?, ?, ?, ?)'
/** Changes with every commit of another connection. */
const DATA_VERSION = 'PRAGMA data_version'
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

interface StoredRelease {
  entry: Release
  stamp: Stamp
}

/** Releases, of which there are few; the caller owns the transaction. */
export class ReleaseTable {
  readonly #connection: Connection
  readonly #nodes: NodeNumbers
  #known: { version: number; releases: readonly StoredRelease[] } | undefined

  constructor(connection: Connection, nodes: NodeNumbers) {
    this.#connection = connection
    this.#nodes = nodes
  }

  /**
   * All of them, the oldest first; also those that ended and are still kept. Each batch of attempts asks for them:
   * they are read again only when another connection has changed the database, or this one a release.
   */
  all(): readonly StoredRelease[] {
    if (!this.#connection.hasMarks) return []
    const [version] = this.#connection.prepareRaw(DATA_VERSION).get() as [number]
    if (this.#known?.version !== version) this.#known = { version, releases: this.#read() }
    return this.#known.releases
  }

  /** Reads them again the next time: a transaction was rolled back. */
  forget(): void {
    this.#known = undefined
  }

  #read(): StoredRelease[] {
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
    this.#known = undefined
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
    this.#known = undefined
    this.#connection.prepare(DELETE).run(id)
  }
}
