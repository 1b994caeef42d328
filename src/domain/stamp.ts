/**
 * When and where a change was made: a hybrid logical clock. Stamps of one key never go back and are
 * never repeated, whatever its wall clock does; a stamp received from another gateway advances the clock, so
 * that later changes have later stamps.
 */
export interface Stamp {
  /** Milliseconds since the Epoch. */
  readonly time: number
  /** Distinguishes changes within one millisecond. */
  readonly counter: number
  /** Random 32-bit number of the database that made the change; 0 for entries older than stamps. */
  readonly node: number
}

/** Order of stamps: by time, counter, node; undefined, which stands for "never", comes first. */
export function compareStamps(one: Stamp | undefined, other: Stamp | undefined): number {
  if (one === other) return 0
  if (one === undefined) return -1
  if (other === undefined) return 1
  return one.time - other.time || one.counter - other.counter || one.node - other.node
}

/** The later of two stamps. */
export function laterStamp(one: Stamp | undefined, other: Stamp | undefined): Stamp | undefined {
  return compareStamps(one, other) >= 0 ? one : other
}

/** Stamps of others further ahead of our clock than this are refused: they would push our own stamps ahead. */
const MAX_AHEAD_SEC = 300

/** True for a stamp that is further ahead of a wall clock than others accept. */
export function isAheadOf(stamp: Stamp, now: number): boolean {
  return stamp.time > (now + MAX_AHEAD_SEC) * 1000
}

/** Stamps this far ahead were made while the clock was ahead; smaller differences are soon accepted, and may be corrections. */
const FAR_AHEAD_SEC = 3600
/** How far ahead gateways whose clocks are slightly behind still accept. */
const NEAR_AHEAD_SEC = 60

/** Replaces a stamp that is far ahead by one that others accept; returns other stamps unchanged. */
export function nearStamp(stamp: Stamp, now: number): Stamp {
  if (stamp.time <= (now + FAR_AHEAD_SEC) * 1000) return stamp
  return { time: (Math.floor(now) + NEAR_AHEAD_SEC) * 1000, counter: 0, node: stamp.node }
}

/** State of a clock: the last stamp it issued or received. */
export interface ClockState {
  time: number
  counter: number
}

/**
 * Maximum number of changes per millisecond; the next one counts as a millisecond later, so that stamps stay
 * small numbers.
 */
const MAX_COUNTER = 2047

/** Issues the stamps of one database; its state is stored with it. */
export class HybridClock {
  readonly node: number
  #time: number
  #counter: number

  constructor(node: number, { time, counter }: ClockState) {
    this.node = node
    this.#time = time
    this.#counter = counter
  }

  get state(): ClockState {
    return { time: this.#time, counter: this.#counter }
  }

  /** The next stamp; `now` is the wall clock in seconds since the Epoch. */
  next(now: number): Stamp {
    const time = Math.max(0, Math.floor(now)) * 1000
    if (time > this.#time) {
      this.#time = time
      this.#counter = 0
    } else if (this.#counter < MAX_COUNTER) this.#counter += 1
    else {
      this.#time += 1
      this.#counter = 0
    }
    return { time: this.#time, counter: this.#counter, node: this.node }
  }

  /** True when the next stamp is later than this one; undefined, which stands for "never", is earlier than any. */
  isAfter(stamp: Stamp | undefined): boolean {
    if (stamp === undefined || stamp.time < this.#time) return true
    return stamp.time === this.#time && stamp.counter <= this.#counter
  }

  /** Advances as if this many stamps had been issued in the millisecond of the last one. */
  skip(count: number): void {
    const counter = this.#counter + count
    this.#time += Math.floor(counter / (MAX_COUNTER + 1))
    this.#counter = counter % (MAX_COUNTER + 1)
  }

  /** How many seconds the last stamp is ahead of a wall clock, if others would refuse the next one; otherwise 0. */
  aheadSec(now: number): number {
    const aheadSec = Math.floor(this.#time / 1000 - now)
    return aheadSec > MAX_AHEAD_SEC ? aheadSec : 0
  }

  /** Follows a wall clock again that was ahead for a while. */
  settle(now: number): void {
    this.#time = Math.max(0, Math.floor(now)) * 1000
    this.#counter = 0
  }

  /** Makes the next stamp later than one received from elsewhere. */
  observe(stamp: Stamp): void {
    if (this.isAfter(stamp)) return
    this.#time = stamp.time
    this.#counter = stamp.counter
  }
}

/** The stamp that the clock of `first` issued as the `place`-th behind it, in the same second. */
export function stampBehind({ time, counter, node }: Stamp, place: number): Stamp {
  const next = counter + place
  return { time: time + Math.floor(next / (MAX_COUNTER + 1)), counter: next % (MAX_COUNTER + 1), node }
}
