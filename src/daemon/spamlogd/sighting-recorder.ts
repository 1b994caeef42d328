/**
 * Writes sightings from the packet log to the database: collects them briefly, writes them in transactions of
 * bounded size, and keeps them while the database cannot be written.
 */
import type { SightingOutcome } from '../../db/store.js'
import type { Clock } from '../../platform/clock.js'
import { reasonOf } from '../../platform/errno-text.js'
import type { Logger } from '../../platform/log.js'
import { RateLimitedLog } from '../rate-limited-log.js'
import { BatchWriter, type WriteFailure } from '../store/batch-writer.js'
import type { StoreAccess } from '../store/store-keeper.js'
import type { DaemonStore } from '../store/store-worker-messages.js'
import { type SightingBatch, SightingQueue } from './sighting-queue.js'

/**
 * Addresses of one transaction: short enough not to be felt by the event loop.
 * @internal The tests go to the limit and beyond it.
 */
export const MAX_BATCH_ADDRESSES = 1_000
/** How long a sighting may wait for company. */
export const BATCH_DELAY_MS = 100
/** Addresses kept while the database is away, about 20 MB; beyond it the oldest go. */
const MAX_PENDING_ADDRESSES = 250_000
/** A lock is somebody's long transaction; only a longer one is worth a line. */
const QUIET_LOCK_MS = 5_000

/** What spamlogd needs of the database. */
export type SightingStore = Pick<DaemonStore, 'location' | 'recordSightings' | 'close'>

/**
 * Called for each sighting that made or refreshed a WHITE entry, in order of arrival, after the commit; `expire` is that
 * of the entry as it is on record, 0 if pinned.
 */
export type OnWhitelisted = (ip: string, expire: number) => void

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

export class SightingRecorder {
  readonly counts: RecorderCounts = { added: 0, refreshed: 0, untrapped: 0, leftTrapped: 0, dropped: 0 }
  readonly #options: SightingRecorderOptions
  readonly #rateLimited: RateLimitedLog
  readonly #maxPendingAddresses: number
  readonly #queue: SightingQueue
  readonly #writer: BatchWriter<SightingBatch, readonly SightingOutcome[]>

  constructor(options: SightingRecorderOptions) {
    this.#options = options
    this.#rateLimited = new RateLimitedLog(options.logger, options.clock)
    this.#maxPendingAddresses = options.maxPendingAddresses ?? MAX_PENDING_ADDRESSES
    this.#queue = new SightingQueue({
      maxBatch: MAX_BATCH_ADDRESSES,
      maxAddresses: this.#maxPendingAddresses,
      keepsArrivals: options.onWhitelisted !== undefined,
    })
    this.#writer = new BatchWriter({
      work: this.#queue,
      // Nobody waits for these, so company is always worth the wait.
      pace: {
        fullBatch: MAX_BATCH_ADDRESSES,
        companyMs: options.batchDelayMs ?? BATCH_DELAY_MS,
        companyFrom: 0,
      },
      clock: options.clock,
      write: (batch) => this.#write(batch),
      onWritten: (batch, outcomes) => this.#noteWritten(batch, outcomes),
      onFailed: (failure) => this.#noteFailure(failure),
      onRecovered: () => {
        this.#rateLimited.reset('db')
        options.logger.log('info', `${options.location} can be written again`)
      },
    })
  }

  /** Addresses that wait to be written. */
  get pendingCount(): number {
    return this.#queue.length
  }

  /** No room for another address: `add` will drop the oldest unless `drain` is awaited first. */
  get isFull(): boolean {
    return this.#queue.isFull
  }

  /** Takes one sighting; `timeSec` is its own time when that is to count instead of the time of writing. */
  add(ip: string, timeSec?: number): void {
    const droppedCount = this.#queue.add(ip, timeSec)
    if (droppedCount > 0) {
      this.counts.dropped += droppedCount
      const maxText = `more than ${this.#maxPendingAddresses} addresses are waiting for the database`
      this.#rateLimited.log('dropped', 'err', `${maxText}: dropping the oldest`)
    }
    this.#writer.notify()
  }

  /**
   * Writes everything that waits. A locked database is tried again until `waitMs` have passed, any other
   * failure ends at once. Returns how many addresses are still unwritten; they stay pending.
   */
  drain(waitMs: number): Promise<number> {
    return this.#writer.drain(waitMs)
  }

  /** Drains and takes no more writes by itself; the result as from `drain`, logged when not 0. */
  async stop(waitMs: number): Promise<number> {
    const lostCount = await this.#writer.close(waitMs)
    if (lostCount > 0) {
      this.#options.logger.log(
        'err',
        // The same text for any number: log monitoring may search for it.
        `${lostCount} addresses could not be recorded in ${this.#options.location}`,
        {
          event: 'lost',
          addresses: lostCount,
        },
      )
    }
    return lostCount
  }

  async #write({ sightings, timeSec }: SightingBatch): Promise<readonly SightingOutcome[]> {
    const { use, whiteExpireSec, untrap, clock } = this.#options
    const nowSec = timeSec ?? clock.nowSec()
    const { outcomes } = await use((store) =>
      store.recordSightings(sightings, { whiteExpireSec, untrap, forgetsChanges: true }, nowSec),
    )
    return outcomes
  }

  #noteWritten(batch: SightingBatch, outcomes: readonly SightingOutcome[]): void {
    for (const { result } of outcomes) {
      if (result === 'added') this.counts.added += 1
      else if (result === 'refreshed') this.counts.refreshed += 1
      else if (result === 'untrapped') this.counts.untrapped += 1
      else this.counts.leftTrapped += 1
    }
    const { onWhitelisted } = this.#options
    if (onWhitelisted === undefined) return
    const outcomeOf = new Map(batch.sightings.map(({ ip }, index) => [ip, outcomes[index]]))
    for (const ip of this.#queue.takeArrivals(batch)) {
      const outcome = outcomeOf.get(ip)!
      if (outcome.result !== 'left-trapped') onWhitelisted(ip, outcome.expire)
    }
  }

  #noteFailure({ error, code, failingMs }: WriteFailure): void {
    const isLocked = code === 'ERR_DB_BUSY'
    if (isLocked && failingMs < QUIET_LOCK_MS) return
    const isAccess = code === 'ERR_DB_OPEN' || code === 'ERR_DB_GONE' || isLocked
    if (isAccess) {
      const line = `Can not open db ${this.#options.location}: ${reasonOf(error)}`
      this.#rateLimited.log('db', 'err', line)
    } else {
      this.#rateLimited.log('db', 'notice', `db->put failed (${reasonOf(error)})`)
    }
  }
}
