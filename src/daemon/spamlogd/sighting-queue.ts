/**
 * Sightings that wait for the database: an address counts once with its number, in groups of the same capture time,
 * oldest first. Bounded in addresses; the oldest go.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Sighting } from '../../db/store.js'
import { runInSlices } from '../run-in-slices.js'
import type { WaitingWork } from '../store/batch-writer.js'
import { sortAddresses } from './sort-addresses.js'

/** From this number on, what waits is written in the order of the database. */
const SORT_FROM_ADDRESSES = 5_000

/** Sightings of one capture time; `timeSec` is undefined for "when written". */
interface PendingGroup {
  timeSec: number | undefined
  counts: Map<string, number>
  /** For a large group: its addresses in the order of the database, and how many of them were written. */
  sorted: { ips: readonly string[]; writtenCount: number } | undefined
  /** Every sighting in order, if requested. */
  arrivals: string[]
}

/** Sightings of one transaction. */
export interface SightingBatch {
  readonly timeSec: number | undefined
  readonly sightings: readonly Sighting[]
  readonly group: PendingGroup
  /** Arrivals of the group when the batch was made. */
  readonly arrivalCount: number
}

export class SightingQueue implements WaitingWork<SightingBatch> {
  readonly #maxBatch: number
  readonly #maxAddresses: number
  readonly #keepsArrivals: boolean
  readonly #groups: PendingGroup[] = []
  #length = 0

  /** `keepsArrivals`: each sighting of a written batch is wanted, in order, not its number alone. */
  constructor(options: { maxBatch: number; maxAddresses: number; keepsArrivals: boolean }) {
    this.#maxBatch = options.maxBatch
    this.#maxAddresses = options.maxAddresses
    this.#keepsArrivals = options.keepsArrivals
  }

  /** Addresses that wait. */
  get length(): number {
    return this.#length
  }

  /** No room for another address: the next one pushes out the oldest. */
  get isFull(): boolean {
    return this.#length >= this.#maxAddresses
  }

  /** Takes one sighting; returns how many had to go for it. */
  add(ip: string, timeSec: number | undefined): number {
    let group = this.#groups.at(-1)
    if (group === undefined || group.timeSec !== timeSec) {
      group = { timeSec, counts: new Map(), sorted: undefined, arrivals: [] }
      this.#groups.push(group)
    }
    const count = group.counts.get(ip)
    let droppedCount = 0
    if (count === undefined) {
      if (this.isFull) droppedCount = this.#dropOldest()
      this.#length += 1
    }
    group.counts.set(ip, (count ?? 0) + 1)
    if (this.#keepsArrivals && group.arrivals.length < this.#maxAddresses) group.arrivals.push(ip)
    return droppedCount
  }

  /** The oldest addresses, or, of a large group, neighbours. Lets packets be read first. */
  async nextBatch(): Promise<SightingBatch> {
    await nextTurn()
    const group = this.#groups[0]!
    const sightings = await this.#take(group)
    return { timeSec: group.timeSec, sightings, group, arrivalCount: group.arrivals.length }
  }

  /** Takes out what was written; sightings that came meanwhile stay. */
  remove({ group, sightings }: SightingBatch): void {
    for (const { ip, count } of sightings) {
      // Gone when the queue overflowed during the write.
      const countNow = group.counts.get(ip)
      if (countNow === undefined) continue
      if (countNow > count) {
        group.counts.set(ip, countNow - count)
      } else {
        group.counts.delete(ip)
        this.#length -= 1
      }
    }
    if (group.sorted !== undefined) group.sorted.writtenCount += this.#maxBatch
    if (group.counts.size === 0 && this.#groups[0] === group) this.#groups.shift()
  }

  /** The single sightings of a batch, in order of arrival; each is given once. */
  takeArrivals({ group, sightings, arrivalCount }: SightingBatch): string[] {
    if (!this.#keepsArrivals) return []
    const written = new Set(sightings.map(({ ip }) => ip))
    const taken: string[] = []
    const waiting: string[] = []
    for (const ip of group.arrivals.slice(0, arrivalCount)) (written.has(ip) ? taken : waiting).push(ip)
    group.arrivals = [...waiting, ...group.arrivals.slice(arrivalCount)]
    return taken
  }

  /** Pushes out the oldest address; returns its number of sightings. */
  #dropOldest(): number {
    const group = this.#groups[0]!
    const [ip, count] = group.counts.entries().next().value!
    group.counts.delete(ip)
    if (group.counts.size === 0 && this.#groups.length > 1) this.#groups.shift()
    this.#length -= 1
    return count
  }

  /** The next addresses of a group, which stay in it. */
  async #take(group: PendingGroup): Promise<Sighting[]> {
    if (group.sorted === undefined && group.counts.size >= SORT_FROM_ADDRESSES) {
      group.sorted = { ips: await runInSlices(sortAddresses([...group.counts.keys()])), writtenCount: 0 }
    }
    const batch: Sighting[] = []
    const { sorted } = group
    if (sorted !== undefined) {
      const end = Math.min(sorted.writtenCount + this.#maxBatch, sorted.ips.length)
      for (const ip of sorted.ips.slice(sorted.writtenCount, end)) {
        const count = group.counts.get(ip)
        // Gone when the queue overflowed meanwhile.
        if (count !== undefined) batch.push({ ip, count })
      }
      if (batch.length > 0) return batch
      // All written; what is left came later.
      group.sorted = undefined
    }
    for (const [ip, count] of group.counts) {
      batch.push({ ip, count })
      if (batch.length === this.#maxBatch) break
    }
    return batch
  }
}
