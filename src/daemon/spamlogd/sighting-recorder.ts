/**
 * Carries sightings from the packet log into the database: gathers them for a moment, writes them in
 * transactions of bounded size, and keeps them while the database cannot be written.
 */
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import type { Sighting, SightingOutcome, Store } from '../../db/store.js'
import { AppError } from '../../platform/app-error.js'
import type { Clock } from '../../platform/clock.js'
import { reasonOf } from '../../platform/errno-text.js'
import type { Logger } from '../../platform/log.js'
import { RateLimitedLog } from '../rate-limited-log.js'
import { runInSlices } from '../run-in-slices.js'
import type { StoreAccess } from '../store/store-keeper.js'
import { sortAddresses } from './sort-addresses.js'

/** Addresses of one transaction: short enough not to be felt by the event loop. */
export const MAX_BATCH_ADDRESSES = 1_000
/** From this number on, what waits is written in the order of the database. */
const SORT_FROM_ADDRESSES = 5_000
/** How long a sighting may wait for company. */
export const BATCH_DELAY_MS = 100
/** Addresses kept while the database is away, about 20 MB; beyond it the oldest go. */
export const MAX_PENDING_ADDRESSES = 250_000
/** First pause after a failed write; doubled up to the longest one. A lock is tried again at the first pace. */
const RETRY_MS = 200
const MAX_RETRY_MS = 5_000
/** A lock is somebody's long transaction; only a longer one is worth a line. */
const QUIET_LOCK_MS = 5_000
/** How often a locked database is tried while the program ends. */
const DRAIN_RETRY_MS = 50

/** What spamlogd needs of the database. */
export type SightingStore = Pick<Store, 'location' | 'recordSightings' | 'close'>

/** Called for each sighting that made or refreshed a WHITE entry, in order of arrival, after the commit. */
export type OnWhitelisted = (ip: string, nowSec: number, expireSec: number) => void

export interface SightingRecorderOptions {
  use: StoreAccess<SightingStore>
  /** Path of the database, for messages. */
  location: string
  logger: Logger
  clock: Clock
  whiteExpireSec: number
  /** Turn TRAPPED entries WHITE, as the original did. */
  untrap: boolean
  /** Infinity: write only when full and at the end, for savefiles, where nobody waits. */
  batchDelayMs?: number
  maxPendingAddresses?: number
  onWhitelisted?: OnWhitelisted
}

export interface RecorderCounts {
  added: number
  refreshed: number
  untrapped: number
  leftTrapped: number
  /** Sightings lost because too many waited. */
  dropped: number
}

/** Sightings of one capture time, oldest first; `timeSec` is undefined for "when written". */
interface PendingGroup {
  timeSec: number | undefined
  counts: Map<string, number>
  /** For a large group: its addresses in the order of the database, and how many of them were written. */
  sorted: { ips: readonly string[]; writtenCount: number } | undefined
  /** Every sighting in order, kept for `onWhitelisted` only. */
  arrivals: string[]
}

export class SightingRecorder {
  readonly counts: RecorderCounts = { added: 0, refreshed: 0, untrapped: 0, leftTrapped: 0, dropped: 0 }
  readonly #options: SightingRecorderOptions
  readonly #rateLimited: RateLimitedLog
  readonly #batchDelayMs: number
  readonly #maxPendingAddresses: number
  readonly #groups: PendingGroup[] = []
  #pendingCount = 0
  #timer: NodeJS.Timeout | undefined
  #writing: Promise<boolean> | undefined
  #failingSinceMs: number | undefined
  /** Code of the last failure, undefined after a success. */
  #lastCode: string | undefined
  #retryMs = RETRY_MS
  #isStopped = false

  constructor(options: SightingRecorderOptions) {
    this.#options = options
    this.#rateLimited = new RateLimitedLog(options.logger, options.clock)
    this.#batchDelayMs = options.batchDelayMs ?? BATCH_DELAY_MS
    this.#maxPendingAddresses = options.maxPendingAddresses ?? MAX_PENDING_ADDRESSES
  }

  /** Addresses that wait to be written. */
  get pendingCount(): number {
    return this.#pendingCount
  }

  /** No room for another address: `add` will drop the oldest unless `drain` is awaited first. */
  get isFull(): boolean {
    return this.#pendingCount >= this.#maxPendingAddresses
  }

  /** Takes one sighting; `timeSec` is its own time when that is to count instead of the time of writing. */
  add(ip: string, timeSec?: number): void {
    let group = this.#groups.at(-1)
    if (group === undefined || group.timeSec !== timeSec) {
      group = { timeSec, counts: new Map(), sorted: undefined, arrivals: [] }
      this.#groups.push(group)
    }
    const count = group.counts.get(ip)
    if (count === undefined) {
      if (this.isFull) this.#dropOldest()
      this.#pendingCount += 1
    }
    group.counts.set(ip, (count ?? 0) + 1)
    if (this.#options.onWhitelisted !== undefined && group.arrivals.length < this.#maxPendingAddresses) {
      group.arrivals.push(ip)
    }
    this.#schedule()
  }

  /**
   * Writes everything that waits. A locked database is tried again until `waitMs` have passed, any other
   * failure ends at once. Returns how many addresses are still unwritten; they stay pending.
   */
  async drain(waitMs: number): Promise<number> {
    const startMs = this.#options.clock.monotonicMs()
    let isReplacedOnce = false
    for (;;) {
      if (this.#writing !== undefined) await this.#writing
      else if (this.#pendingCount === 0) return 0
      else if (!(await this.#writeAll())) {
        // The file was replaced: the next attempt opens the new one.
        if (this.#lastCode === 'ERR_DB_GONE' && !isReplacedOnce) {
          isReplacedOnce = true
          continue
        }
        const isLocked = this.#lastCode === 'ERR_DB_BUSY'
        if (!isLocked || this.#options.clock.monotonicMs() - startMs >= waitMs) return this.#pendingCount
        await sleep(DRAIN_RETRY_MS)
      }
    }
  }

  /** Drains and takes no more writes by itself; the result as from `drain`, logged when not 0. */
  async stop(waitMs: number): Promise<number> {
    this.#isStopped = true
    clearTimeout(this.#timer)
    this.#timer = undefined
    const lostCount = await this.drain(waitMs)
    if (lostCount > 0) {
      this.#options.logger.log(
        'err',
        `${lostCount} addresses could not be recorded in ${this.#options.location}`,
        {
          event: 'lost',
          addresses: lostCount,
        },
      )
    }
    return lostCount
  }

  #schedule(): void {
    if (this.#isStopped || this.#writing !== undefined || this.#batchDelayMs === Infinity) return
    const isDue = this.#pendingCount >= MAX_BATCH_ADDRESSES && this.#failingSinceMs === undefined
    if (isDue) {
      clearTimeout(this.#timer)
      this.#timer = undefined
      void this.#writeAll()
    } else if (this.#timer === undefined) {
      this.#arm(this.#failingSinceMs === undefined ? this.#batchDelayMs : this.#retryMs)
    }
  }

  #arm(delayMs: number): void {
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      void this.#writeAll()
    }, delayMs)
  }

  /** Writes what waits now, batch by batch with a turn of the event loop between; false when one failed. */
  #writeAll(): Promise<boolean> {
    this.#writing ??= this.#writeBatches().finally(() => {
      this.#writing = undefined
      if (this.#pendingCount > 0) this.#schedule()
    })
    return this.#writing
  }

  async #writeBatches(): Promise<boolean> {
    let leftCount = this.#pendingCount
    while (leftCount > 0) {
      await nextTurn()
      const writtenCount = await this.#writeBatch()
      if (writtenCount === undefined) return false
      leftCount -= writtenCount
    }
    return true
  }

  /** Writes the oldest addresses; returns how many, or undefined when the database refused. */
  async #writeBatch(): Promise<number | undefined> {
    const group = this.#groups[0]
    if (group === undefined) return 0
    const batch = await takeBatch(group)
    const arrivals = group.arrivals
    group.arrivals = []
    const { whiteExpireSec, untrap, clock } = this.#options
    const nowSec = group.timeSec ?? clock.nowSec()
    let outcomes: SightingOutcome[]
    try {
      outcomes = await this.#options.use((store) =>
        store.recordSightings(batch, { whiteExpireSec, untrap }, nowSec),
      )
    } catch (error) {
      group.arrivals = [...arrivals, ...group.arrivals]
      this.#noteFailure(error)
      return undefined
    }
    this.#noteSuccess(outcomes)
    this.#forget(group, batch)
    this.#announce(group, batch, outcomes, arrivals, nowSec)
    return batch.length
  }

  /** Takes what was written out of the group; sightings that came meanwhile stay. */
  #forget(group: PendingGroup, batch: readonly Sighting[]): void {
    for (const { ip, count } of batch) {
      // Gone when the queue overflowed during the write.
      const countNow = group.counts.get(ip)
      if (countNow === undefined) continue
      if (countNow > count) {
        group.counts.set(ip, countNow - count)
      } else {
        group.counts.delete(ip)
        this.#pendingCount -= 1
      }
    }
    if (group.sorted !== undefined) group.sorted.writtenCount += MAX_BATCH_ADDRESSES
    if (group.counts.size === 0 && this.#groups[0] === group) this.#groups.shift()
  }

  #announce(
    group: PendingGroup,
    batch: readonly Sighting[],
    outcomes: readonly SightingOutcome[],
    arrivals: readonly string[],
    nowSec: number,
  ): void {
    const { onWhitelisted, whiteExpireSec } = this.#options
    if (onWhitelisted === undefined) return
    const outcomeOf = new Map(batch.map(({ ip }, index) => [ip, outcomes[index]]))
    const waiting: string[] = []
    for (const ip of arrivals) {
      const outcome = outcomeOf.get(ip)
      if (outcome === undefined) waiting.push(ip)
      else if (outcome !== 'left-trapped') onWhitelisted(ip, nowSec, nowSec + whiteExpireSec)
    }
    group.arrivals = [...waiting, ...group.arrivals]
  }

  #noteSuccess(outcomes: readonly SightingOutcome[]): void {
    for (const outcome of outcomes) {
      if (outcome === 'added') this.counts.added += 1
      else if (outcome === 'refreshed') this.counts.refreshed += 1
      else if (outcome === 'untrapped') this.counts.untrapped += 1
      else this.counts.leftTrapped += 1
    }
    if (this.#failingSinceMs === undefined) return
    this.#failingSinceMs = undefined
    this.#lastCode = undefined
    this.#retryMs = RETRY_MS
    this.#rateLimited.reset('db')
    this.#options.logger.log('info', `${this.#options.location} can be written again`)
  }

  #noteFailure(error: unknown): void {
    const nowMs = this.#options.clock.monotonicMs()
    const isFirst = this.#failingSinceMs === undefined
    this.#failingSinceMs ??= nowMs
    this.#lastCode = error instanceof AppError ? error.code : undefined
    const isLocked = this.#lastCode === 'ERR_DB_BUSY'
    if (!isFirst) this.#retryMs = isLocked ? RETRY_MS : Math.min(this.#retryMs * 2, MAX_RETRY_MS)
    if (isLocked && nowMs - this.#failingSinceMs < QUIET_LOCK_MS) return
    const isAccess = this.#lastCode === 'ERR_DB_OPEN' || this.#lastCode === 'ERR_DB_GONE' || isLocked
    if (isAccess) {
      const line = `Can not open db ${this.#options.location}: ${reasonOf(error)}`
      this.#rateLimited.log('db', 'err', line)
    } else {
      this.#rateLimited.log('db', 'notice', `db->put failed (${reasonOf(error)})`)
    }
  }

  #dropOldest(): void {
    const group = this.#groups[0]!
    const [ip, count] = group.counts.entries().next().value!
    group.counts.delete(ip)
    if (group.counts.size === 0 && this.#groups.length > 1) this.#groups.shift()
    this.#pendingCount -= 1
    this.counts.dropped += count
    const maxText = `more than ${this.#maxPendingAddresses} addresses wait for the database`
    this.#rateLimited.log('dropped', 'err', `${maxText}: dropping the oldest`)
  }
}

/** The next addresses of a group, which stay in it: the oldest, or, of a large group, neighbours. */
async function takeBatch(group: PendingGroup): Promise<Sighting[]> {
  if (group.sorted === undefined && group.counts.size >= SORT_FROM_ADDRESSES) {
    group.sorted = { ips: await runInSlices(sortAddresses([...group.counts.keys()])), writtenCount: 0 }
  }
  const batch: Sighting[] = []
  const { sorted } = group
  if (sorted !== undefined) {
    const end = Math.min(sorted.writtenCount + MAX_BATCH_ADDRESSES, sorted.ips.length)
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
    if (batch.length === MAX_BATCH_ADDRESSES) break
  }
  return batch
}
