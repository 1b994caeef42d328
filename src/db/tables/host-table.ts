import type { EntryTimes } from '../../domain/entry.js'
import type { Connection } from '../connection.js'
import { commentValue, wireValue } from './wire-value.js'

const SELECT = 'SELECT first, pass, expire, bcount, pcount FROM hosts WHERE ip = CAST(? AS TEXT)'
const INSERT = 'INSERT OR IGNORE INTO hosts VALUES (CAST(? AS TEXT), ?, ?, ?, ?, ?, ?)'
const UPDATE =
  'UPDATE hosts SET first = ?, pass = ?, expire = ?, bcount = ?, pcount = ? WHERE ip = CAST(? AS TEXT)'
const UPDATE_WITH_COMMENT =
  'UPDATE hosts SET first = ?, pass = ?, expire = ?, bcount = ?, pcount = ?, comment = ? WHERE ip = CAST(? AS TEXT)'
const DELETE = 'DELETE FROM hosts WHERE ip = CAST(? AS TEXT)'

/** Records of addresses, one statement a method; the caller owns the transaction. */
export class HostTable {
  readonly #connection: Connection

  constructor(connection: Connection) {
    this.#connection = connection
  }

  get(ip: string): EntryTimes | undefined {
    return this.#connection.prepare(SELECT).get(wireValue(ip)) as EntryTimes | undefined
  }

  /** Adds a record; false, and no change, when the address has one. */
  insert(ip: string, host: EntryTimes, comment?: string): boolean {
    const { first, pass, expire, bcount, pcount } = host
    const statement = this.#connection.prepare(INSERT)
    return (
      statement.run(wireValue(ip), first, pass, expire, bcount, pcount, commentValue(comment)).changes === 1
    )
  }

  /** Replaces an existing record; its comment stays unless another is given. */
  update(ip: string, host: EntryTimes, comment?: string): void {
    const { first, pass, expire, bcount, pcount } = host
    if (comment === undefined) {
      this.#connection.prepare(UPDATE).run(first, pass, expire, bcount, pcount, wireValue(ip))
    } else {
      const statement = this.#connection.prepare(UPDATE_WITH_COMMENT)
      statement.run(first, pass, expire, bcount, pcount, commentValue(comment), wireValue(ip))
    }
  }

  /** Stores a record over whatever `existing` was. */
  put(ip: string, existing: EntryTimes | undefined, host: EntryTimes): void {
    if (existing === undefined) this.insert(ip, host)
    else this.update(ip, host)
  }

  /** False when there is none. */
  delete(ip: string): boolean {
    return this.#connection.prepare(DELETE).run(wireValue(ip)).changes === 1
  }
}
