/**
 * Stamps of changes never go back, so they stay ahead after the clock was ahead: other gateways would then refuse all
 * changes made here until their clocks show that time. Once the clock has been trusted for an hour, or an administrator
 * confirms it, stamps follow it again.
 */
import type { Clock } from '../../platform/clock.js'
import type { Logger } from '../../platform/log.js'
import type { StoreAccess } from '../store/store-keeper.js'

/** How long a clock is doubted before it is trusted anyway: a clock that is now behind must not date changes. */
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

  /** An administrator confirms the clock: the next check follows it. False if no stamps were ahead. */
  accept(): boolean {
    this.#isAccepted = true
    return this.#aheadSinceMs !== undefined
  }

  /** Checks whether stamps are ahead of the clock, and for how long. If the database cannot be read, the next check decides. */
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
