/**
 * Stamps of changes never go back, so that they stay ahead if the clock once was: other gateways then refuse all that
 * changes here until their clocks show the same. Once the clock has been believed for an hour, or an administrator says
 * that it is right, stamps follow it again.
 */
import type { Clock } from '../../platform/clock.js'
import type { Logger } from '../../platform/log.js'
import type { StoreAccess } from '../store/store-keeper.js'

/** As long as a clock is doubted before it is trusted anyway: one that is behind now must not date changes. */
const DOUBT_MS = 60 * 60 * 1000

export interface StampWatchOptions {
  use: StoreAccess
  clock: Clock
  logger: Logger
}

export class StampWatch {
  readonly #options: StampWatchOptions
  #aheadSinceMs: number | undefined
  #isAccepted = false

  constructor(options: StampWatchOptions) {
    this.#options = options
  }

  /** An administrator says that the clock is right: the next look follows it. False when stamps were not seen ahead. */
  accept(): boolean {
    this.#isAccepted = true
    return this.#aheadSinceMs !== undefined
  }

  /** Looks whether stamps are ahead of the clock, and how long they have been. A database that cannot be read is asked again. */
  async look(): Promise<void> {
    const { use, clock, logger } = this.#options
    const nowSec = clock.nowSec()
    const aheadSec = await use((store) => store.stampsAhead('stay', nowSec)).catch(() => 0)
    if (aheadSec === 0) {
      this.#aheadSinceMs = undefined
      this.#isAccepted = false
      return
    }
    if (this.#aheadSinceMs === undefined && !this.#isAccepted) {
      logger.log(
        'warning',
        `changes are dated ${aheadSec} seconds in the future, so the clock was ahead or is behind: other gateways get no changes for an hour, or until spamdctl accept-clock`,
        { event: 'stamps-ahead', aheadSec },
      )
    }
    this.#aheadSinceMs ??= clock.monotonicMs()
    const isBelieved = clock.monotonicMs() - this.#aheadSinceMs >= DOUBT_MS
    if (!isBelieved && !this.#isAccepted) return
    const wasAheadSec = await use((store) => store.stampsAhead('follow', nowSec)).catch(() => 0)
    if (wasAheadSec === 0) return
    logger.log(
      'notice',
      `changes were dated ${wasAheadSec} seconds in the future, because the clock had been ahead: they follow the clock again`,
      { event: 'stamps-follow', aheadSec: wasAheadSec },
    )
    this.#aheadSinceMs = undefined
    this.#isAccepted = false
  }
}
