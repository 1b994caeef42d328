import type { Clock } from '../platform/clock.js'
import type { Logger, LogLevel } from '../platform/log.js'

/** Lines of one kind come at most this often. */
const INTERVAL_MS = 60_000

/** Logs a kind of event at most once a minute, with the number of events that were left out. */
export class RateLimitedLog {
  readonly #logger: Logger
  readonly #clock: Clock
  readonly #kinds = new Map<string, { loggedMs: number; suppressedCount: number }>()

  constructor(logger: Logger, clock: Clock) {
    this.#logger = logger
    this.#clock = clock
  }

  /** `kind` is one of a fixed set of names, never text from outside. True when the line was logged. */
  log(kind: string, level: LogLevel, message: string): boolean {
    const nowMs = this.#clock.monotonicMs()
    const state = this.#kinds.get(kind)
    if (state !== undefined && nowMs - state.loggedMs < INTERVAL_MS) {
      state.suppressedCount += 1
      return false
    }
    const suppressedCount = state?.suppressedCount ?? 0
    this.#kinds.set(kind, { loggedMs: nowMs, suppressedCount: 0 })
    const suffix = suppressedCount === 0 ? '' : ` (${suppressedCount} more since the last such line)`
    this.#logger.log(level, message + suffix, { event: kind, suppressedCount })
    return true
  }

  /** Forgets a kind, so that its next event is logged at once: call when the error is over. */
  reset(kind: string): void {
    this.#kinds.delete(kind)
  }
}
