import type { Clock } from '../../src/platform/clock.js'

/** A clock that a test sets. */
export class ManualClock implements Clock {
  sec: number
  ms = 0

  constructor(sec = 1_700_000_000) {
    this.sec = sec
  }

  nowSec(): number {
    return this.sec
  }

  monotonicMs(): number {
    return this.ms
  }

  /** Lets time pass: both clocks move. */
  advance(seconds: number): void {
    this.sec += seconds
    this.ms += seconds * 1000
  }

  /** Sets the wall clock; the monotonic clock does not change. */
  step(seconds: number): void {
    this.sec += seconds
  }
}
