/**
 * Notices when the wall clock is stepped, so that a wrong clock does not delete entries.
 *
 * A step is the difference between the seconds that passed by the wall clock and by the monotonic clock. After
 * a step forward of more than `MAX_STEP_SEC` nothing expires for `HOLD_MS` (time to notice and set the clock
 * back); after that the new time is believed. After a step back entries only live longer, unless it takes back only a part of a step
 * forward that is not believed yet; an address that passed "in the future" still counts as passed (`passedSec`).
 */
import type { ScanTime } from '../../domain/decide-slice.js'
import type { Clock, UnixSec } from '../../platform/clock.js'
import type { Logger } from '../../platform/log.js'

/** More than any leap second, drift correction of ntpd (slews up to 128 ms) or pause of a loaded machine. */
const MAX_STEP_SEC = 120
/** How long nothing expires after a step forward. */
const HOLD_MS = 10 * 60 * 1000

export interface GuardedTime extends ScanTime {
  /** Why the clock may be wrong: a mass expiry of entries is then not accepted. */
  doubt: string | undefined
}

/** How long a clock is doubted before it is trusted anyway. */
const DOUBT_MS = 60 * 60 * 1000
/** A gateway may have been off for this long before a start. */
const MAX_PAUSE_SEC = 24 * 60 * 60

interface Doubt {
  text: string
  sinceMs: number
  /** How far the clock is ahead of the last trusted time, and how far it may be. */
  aheadSec: number
  mayBeAheadSec: number
}

export class ClockGuard {
  readonly #clock: Clock
  readonly #logger: Logger
  #lastSec: UnixSec
  #lastMonotonicMs: number
  #latestSec: UnixSec
  #heldUntilMs = Number.NEGATIVE_INFINITY
  #doubt: Doubt | undefined

  constructor(clock: Clock, logger: Logger) {
    this.#clock = clock
    this.#logger = logger
    this.#lastSec = clock.nowSec()
    this.#latestSec = this.#lastSec
    this.#lastMonotonicMs = clock.monotonicMs()
  }

  /** At startup: compares the clock with the newest recorded change, seconds since the Epoch, 0 for none. */
  compareWith(newestSec: UnixSec): void {
    const awaySec = this.#clock.nowSec() - newestSec
    if (newestSec === 0 || (awaySec >= -MAX_STEP_SEC && awaySec <= MAX_PAUSE_SEC)) return
    const text =
      awaySec < 0
        ? `the clock is ${-awaySec} seconds before the newest recorded change`
        : `the newest recorded change is ${awaySec} seconds old`
    this.#doubt = {
      text,
      sinceMs: this.#clock.monotonicMs(),
      aheadSec: awaySec,
      mayBeAheadSec: MAX_PAUSE_SEC,
    }
  }

  /** An administrator says that the clock is right; false when it was not in doubt. */
  accept(): boolean {
    // A step that holds expiries for ten minutes is doubted for an hour.
    const wasDoubted = this.#doubt !== undefined
    this.#doubt = undefined
    this.#heldUntilMs = Number.NEGATIVE_INFINITY
    return wasDoubted
  }

  /**
   * Why the clock may be wrong, so that nothing, or no mass of entries, expires; undefined while it is
   * trusted.
   */
  get doubt(): string | undefined {
    return this.#doubt?.text
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
      this.#doubt = {
        text: `the clock jumped forward by ${stepSec} seconds`,
        sinceMs: monotonicMs,
        aheadSec: Math.max(0, this.#doubt?.aheadSec ?? 0) + stepSec,
        mayBeAheadSec: MAX_STEP_SEC,
      }
      this.#logger.log(
        'warning',
        `clock jumped forward by ${stepSec} seconds, nothing expires for ${HOLD_MS / 60_000} minutes`,
        { event: 'clock-step', stepSec },
      )
    } else if (stepSec < -MAX_STEP_SEC) {
      this.#stepBack(stepSec, monotonicMs)
      this.#logger.log('warning', `clock jumped back by ${-stepSec} seconds`, {
        event: 'clock-step',
        stepSec,
      })
    }
    if (nowSec > this.#latestSec) this.#latestSec = nowSec
    if (this.#doubt !== undefined && monotonicMs - this.#doubt.sinceMs >= DOUBT_MS) this.#doubt = undefined
    return {
      nowSec,
      passedSec: this.#latestSec,
      mayExpire: monotonicMs >= this.#heldUntilMs,
      doubt: this.#doubt?.text,
    }
  }

  /** A clock set back to where it was, or earlier, is trusted; one set back by less remains in doubt. */
  #stepBack(stepSec: number, monotonicMs: number): void {
    const aheadSec = this.#doubt === undefined ? 0 : this.#doubt.aheadSec + stepSec
    if (this.#doubt === undefined || aheadSec <= this.#doubt.mayBeAheadSec) {
      this.#heldUntilMs = Number.NEGATIVE_INFINITY
      this.#doubt = undefined
      return
    }
    if (monotonicMs < this.#heldUntilMs) this.#heldUntilMs = monotonicMs + HOLD_MS
    const text = `the clock jumped back by ${-stepSec} seconds and is still ${aheadSec} seconds ahead`
    this.#doubt = { ...this.#doubt, text, sinceMs: monotonicMs, aheadSec }
  }
}
