import type { WireText } from '../../domain/entry.js'
import type { Connection } from '../connection.js'
import { commentValue, wireValue } from './wire-value.js'

const EXISTS = 'SELECT 1 FROM spamtraps WHERE address = CAST(? AS TEXT)'
const INSERT = 'INSERT OR IGNORE INTO spamtraps VALUES (CAST(? AS TEXT), ?, ?)'
const UPDATE =
  'UPDATE spamtraps SET first = coalesce(?, first), comment = coalesce(?, comment) WHERE address = CAST(? AS TEXT)'
const DELETE = 'DELETE FROM spamtraps WHERE address = CAST(? AS TEXT)'

/** Spamtrap addresses, normalised by the caller; the caller owns the transaction. */
export class SpamtrapTable {
  readonly #connection: Connection

  constructor(connection: Connection) {
    this.#connection = connection
  }

  has(address: WireText): boolean {
    return this.#connection.prepare(EXISTS).get(wireValue(address)) !== undefined
  }

  /** Adds an address; false, and no change, when it is there. */
  insert(address: WireText, first: number, comment?: string): boolean {
    const statement = this.#connection.prepare(INSERT)
    return statement.run(wireValue(address), first, commentValue(comment)).changes === 1
  }

  /** Changes an existing address; what is undefined stays. */
  update(address: WireText, first: number | undefined, comment?: string): void {
    this.#connection.prepare(UPDATE).run(first ?? null, commentValue(comment), wireValue(address))
  }

  /** False when there is none. */
  delete(address: WireText): boolean {
    return this.#connection.prepare(DELETE).run(wireValue(address)).changes === 1
  }
}
