import type { Connection } from '../connection.js'

/** Seconds that one step of the age table spans. */
export const AGE_STEP_SEC = 64
/** Row that counts all tuples of addresses, the one that counts the bytes of all texts, and that of the tuples of pools. */
const TOTAL_AGE = -1
const BYTES_AGE = -2
const POOL_AGE = -3
/** Ages are clamped, so that odd times in imported entries stay in range. */
const MAX_AGE = 2 ** 40

const ADD =
  'INSERT INTO tuple_ages VALUES (?, ?) ON CONFLICT DO UPDATE SET tuple_count = tuple_count + excluded.tuple_count'
const TOTAL = `SELECT tuple_count FROM tuple_ages WHERE age = ${TOTAL_AGE}`
const TOTAL_BYTES = `SELECT tuple_count FROM tuple_ages WHERE age = ${BYTES_AGE}`
const TOTAL_POOLS = `SELECT tuple_count FROM tuple_ages WHERE age = ${POOL_AGE}`
const OLDEST = `SELECT age, tuple_count FROM tuple_ages WHERE age > ${TOTAL_AGE} ORDER BY age`
const DROP_EMPTY = `DELETE FROM tuple_ages WHERE tuple_count <= 0 AND age > ${TOTAL_AGE}`

/**
 * Counts the tuples of the database by age. Every change of the table of tuples within a transaction is
 * recorded here, and `flush` writes the sums before the commit: a few rows, whatever the size of the batch.
 */
export class TupleAges {
  readonly #connection: Connection
  readonly #changeByAge = new Map<number, number>()
  #totalChange = 0
  #bytesChange = 0
  #poolChange = 0

  constructor(connection: Connection) {
    this.#connection = connection
  }

  /** Forgets what a rolled back transaction noted. */
  reset(): void {
    this.#changeByAge.clear()
    this.#totalChange = 0
    this.#bytesChange = 0
    this.#poolChange = 0
  }

  noteAdded(first: number, count = 1): void {
    this.#note(first, count)
  }

  noteRemoved(first: number): void {
    this.#note(first, -1)
  }

  /** Records tuples of pools that were added or, below 0, removed: they are counted separately. */
  notePools(change: number): void {
    this.#poolChange += change
  }

  /** Records how many bytes of HELO, sender and recipient were added or, below 0, removed. */
  noteBytes(change: number): void {
    this.#bytesChange += change
  }

  /** Bytes of HELO, sender and recipient of all tuples, with the changes noted so far. */
  totalBytes(): number {
    const stored = this.#connection.prepare(TOTAL_BYTES).get() as { tuple_count: number } | undefined
    return (stored?.tuple_count ?? 0) + this.#bytesChange
  }

  /** Tuples of pools, with the changes noted so far. */
  totalPools(): number {
    const stored = this.#connection.prepare(TOTAL_POOLS).get() as { tuple_count: number } | undefined
    return (stored?.tuple_count ?? 0) + this.#poolChange
  }

  /** All tuples of addresses, with the changes noted so far. */
  total(): number {
    const stored = this.#connection.prepare(TOTAL).get() as { tuple_count: number } | undefined
    return (stored?.tuple_count ?? 0) + this.#totalChange
  }

  /**
   * A time such that the tuples created before it are the oldest ones and at least `wantedCount` (all, when
   * there are fewer). Seconds since the Epoch. Call after `flush`.
   */
  createdBefore(wantedCount: number): number {
    let count = 0
    for (const row of this.#connection.prepare(OLDEST).iterate() as Iterable<AgeRow>) {
      count += row.tuple_count
      if (count >= wantedCount) return (row.age + 1) * AGE_STEP_SEC
    }
    return Number.MAX_SAFE_INTEGER
  }

  /** Writes the noted changes. */
  flush(): void {
    if (this.#bytesChange === 0 && this.#poolChange === 0 && this.#changeByAge.size === 0) return
    const add = this.#connection.prepare(ADD)
    if (this.#bytesChange !== 0) add.run(BYTES_AGE, this.#bytesChange)
    if (this.#poolChange !== 0) add.run(POOL_AGE, this.#poolChange)
    if (this.#changeByAge.size > 0) {
      add.run(TOTAL_AGE, this.#totalChange)
      let hasRemoved = false
      for (const [age, change] of this.#changeByAge) {
        if (change !== 0) add.run(age, change)
        hasRemoved ||= change < 0
      }
      if (hasRemoved) this.#connection.prepare(DROP_EMPTY).run()
    }
    this.reset()
  }

  #note(first: number, change: number): void {
    const age = Math.min(Math.max(Math.floor(first / AGE_STEP_SEC), 0), MAX_AGE)
    this.#changeByAge.set(age, (this.#changeByAge.get(age) ?? 0) + change)
    this.#totalChange += change
  }
}

interface AgeRow {
  age: number
  tuple_count: number
}
