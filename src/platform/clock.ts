/** Seconds since the Epoch, a whole number: the unit of every time in the database. */
export type UnixSec = number

/** The time source that the programs pass down; tests pass one that they move by hand. */
export interface Clock {
  /** Wall-clock time in whole seconds since the Epoch. */
  nowSec(): UnixSec
  /** Milliseconds from an arbitrary start, never going back: for intervals and time-outs. */
  monotonicMs(): number
}

/** The machine's clock. */
export const systemClock: Clock = {
  nowSec: () => Math.floor(Date.now() / 1000),
  monotonicMs: () => performance.now(),
}
