import type { Connection } from '../connection.js'
import { wireValue } from './wire-value.js'

const SELECT = 'SELECT marks FROM removed WHERE key = CAST(? AS TEXT)'
const IS_EMPTY = 'SELECT NOT EXISTS (SELECT 1 FROM removed)'
const PUT = 'INSERT OR REPLACE INTO removed VALUES (CAST(? AS TEXT), ?)'
const DELETE = 'DELETE FROM removed WHERE key = CAST(? AS TEXT)'

/** Marks of what was deleted, by the text of its key; the caller owns the transaction. */
export class RemovedTable {
  readonly #connection: Connection

  constructor(connection: Connection) {
    this.#connection = connection
  }

  /** True in most databases: nothing has to be looked up then. */
  get isEmpty(): boolean {
    if (!this.#connection.hasMarks) return true
    return (this.#connection.prepareRaw(IS_EMPTY).get() as [number])[0] === 1
  }

  get(key: string): Buffer | undefined {
    const row = this.#connection.prepareRaw(SELECT).get(wireValue(key)) as [Buffer] | undefined
    return row?.[0]
  }

  put(key: string, marks: Buffer): void {
    this.#connection.prepare(PUT).run(wireValue(key), marks)
  }

  delete(key: string): void {
    this.#connection.prepare(DELETE).run(wireValue(key))
  }
}
