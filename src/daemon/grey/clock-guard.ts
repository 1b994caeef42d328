/**
 * Notices when the wall clock is stepped, so that a wrong clock does not delete entries.
 *
 * A step is the difference between the seconds that passed by the wall clock and by the monotonic clock. After
 * a step forward of more than `MAX_STEP_SEC` nothing expires for `HOLD_MS` (time to notice and set the clock
 * back); after that the new time is believed. After a step back entries only live longer; an address that
 * passed "in the future" still counts as passed (`passedSec`).
 */
import type { Clock, UnixSec } from '../../platform/clock.js'
import type { Logger } from '../../platform/log.js'

/** More than any leap second, drift correction of ntpd (slews up to 128 ms) or pause of a loaded machine. */
export const MAX_STEP_SEC = 120
/** How long nothing expires after a step forward. */
export const HOLD_MS = 10 * 60 * 1000

export interface GuardedTime {
  nowSec: UnixSec
  /** Compare `pass` of WHITE entries with this: the latest time that this daemon has seen. */
  passedSec: UnixSec
  /** False shortly after a step forward: delete nothing. */
  mayExpire: boolean
}

export class ClockGuard {
  readonly #clock: Clock
  readonly #logger: Logger
  #lastSec: UnixSec
  #lastMonotonicMs: number
  #latestSec: UnixSec
  #heldUntilMs = Number.NEGATIVE_INFINITY

  constructor(clock: Clock, logger: Logger) {
    this.#clock = clock
    this.#logger = logger
    this.#lastSec = clock.nowSec()
    this.#latestSec = this.#lastSec
    this.#lastMonotonicMs = clock.monotonicMs()
  }

  /** The time to work with now. */
  read(): GuardedTime {
    const nowSec = this.#clock.nowSec()
    const monotonicMs = this.#clock.monotonicMs()
    const stepSec = Math.round(nowSec - this.#lastSec - (monotonicMs - this.#lastMonotonicMs) / 1000)
    this.#lastSec = nowSec
    this.#lastMonotonicMs = monotonicMs
    if (stepSec > MAX_STEP_SEC) {
      this.#heldUntilMs = monotonicMs + HOLD_MS
      this.#logger.log(
        'warning',
        `clock jumped forward by ${stepSec} seconds, nothing expires for ${HOLD_MS / 60_000} minutes`,
        { event: 'clock-step', stepSec },
      )
    } else if (stepSec < -MAX_STEP_SEC) {
      this.#heldUntilMs = Number.NEGATIVE_INFINITY
      this.#logger.log('warning', `clock jumped back by ${-stepSec} seconds`, {
        event: 'clock-step',
        stepSec,
      })
    }
    if (nowSec > this.#latestSec) this.#latestSec = nowSec
    return { nowSec, passedSec: this.#latestSec, mayExpire: monotonicMs >= this.#heldUntilMs }
  }
}
