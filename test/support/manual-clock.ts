import type { Clock } from '../../src/platform/clock.js'

/** A clock that tests move by hand. */
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

  /** Time passes: both clocks move. */
  advance(seconds: number): void {
    this.sec += seconds
    this.ms += seconds * 1000
  }

  /** The wall clock is set: the monotonic one does not notice. */
  step(seconds: number): void {
    this.sec += seconds
  }
}
