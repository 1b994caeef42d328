import type { Connection } from './connection.js'
import type { NodeNumbers } from './tables/marks-codec.js'

const ALL = 'SELECT number, id FROM nodes'
const ADD = 'INSERT INTO nodes (id) VALUES (?) RETURNING number'
const MAX_NODE = 2 ** 32

/** The nodes known to a database, each with the small number under which its stamps are stored. */
export class StoredNodes implements NodeNumbers {
  readonly #connection: Connection
  readonly #numbers = new Map<number, number>()
  readonly #nodes = new Map<number, number>()

  constructor(connection: Connection) {
    this.#connection = connection
  }

  /** Adds a node that is new; within a transaction. */
  numberOf(node: number): number {
    const known = this.#numbers.get(node)
    if (known !== undefined) return known
    this.#reload()
    const stored = this.#numbers.get(node)
    if (stored !== undefined) return stored
    const { number } = this.#connection.prepare(ADD).get(node) as { number: number }
    this.#note(number, node)
    return number
  }

  nodeOf(number: number): number {
    const known = this.#nodes.get(number)
    if (known !== undefined) return known
    this.#reload()
    return this.#nodes.get(number) ?? 0
  }

  /** Forgets what a transaction added that was rolled back. */
  forget(): void {
    this.#numbers.clear()
    this.#nodes.clear()
  }

  /** Another program may have added some. */
  #reload(): void {
    this.forget()
    for (const row of this.#connection.prepare(ALL).all() as { number: number; id: number }[]) {
      this.#note(row.number, row.id)
    }
  }

  #note(number: number, node: number): void {
    this.#numbers.set(node, number)
    this.#nodes.set(number, node)
  }
}

/**
 * A node for a database that has none yet, or that was copied from elsewhere. It only has to differ from others:
 * loading node:crypto for it took a third of a first `spamdb -a KEY`.
 */
export function newNode(): number {
  return 1 + Math.floor(Math.random() * (MAX_NODE - 1))
}
