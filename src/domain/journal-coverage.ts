/** Which changes of another gateway's journal have arrived, regardless of the order of its messages. */
export class JournalCoverage {
  #position: number
  #newest: number
  /** Ranges after a gap, in order, not adjacent. */
  #ahead: { from: number; upTo: number }[] = []

  /** `position`: everything up to it is known; `newest`: the highest number heard of. */
  constructor(position: number, newest: number) {
    this.#position = position
    this.#newest = Math.max(position, newest)
  }

  /** All changes up to here have arrived. */
  get position(): number {
    return this.#position
  }

  get newest(): number {
    return this.#newest
  }

  /** How many changes are known to exist and have not arrived. */
  get missingCount(): number {
    const arrived = this.#ahead.reduce((sum, { from, upTo }) => sum + upTo - from, 0)
    return this.#newest - this.#position - arrived
  }

  /** The changes after `from`, up to `upTo`, have arrived; equal numbers only mean that this many exist. */
  add(from: number, upTo: number): void {
    this.#newest = Math.max(this.#newest, upTo)
    if (upTo <= this.#position || from === upTo) return
    const kept: { from: number; upTo: number }[] = []
    const joined = { from, upTo }
    for (const stretch of this.#ahead) {
      if (stretch.upTo < joined.from || stretch.from > joined.upTo) kept.push(stretch)
      else {
        joined.from = Math.min(joined.from, stretch.from)
        joined.upTo = Math.max(joined.upTo, stretch.upTo)
      }
    }
    if (joined.from <= this.#position) this.#position = joined.upTo
    else kept.push(joined)
    this.#ahead = kept.sort((one, other) => one.from - other.from).slice(0, MAX_STRETCHES)
  }

  /** Everything up to a number is known from another source (a pull). */
  reach(position: number): void {
    this.add(Math.min(position, this.#position), position)
  }
}

/** Beyond this many gaps the rest counts as missing: a pull fetches it again. */
const MAX_STRETCHES = 64
