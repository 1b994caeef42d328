/** Which changes of another gateway's journal have arrived, in whatever order its messages came. */
export class JournalCoverage {
  #position: number
  #newest: number
  /** Stretches beyond a gap, in order, apart from one another. */
  #ahead: { from: number; upTo: number }[] = []

  /** `position`: everything up to there is known; `newest`: the highest number heard of. */
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

  /** The changes behind `from`, up to `upTo`, have arrived; equal numbers only tell that there are so many. */
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

  /** Everything up to a number is known from elsewhere (a pull). */
  reach(position: number): void {
    this.add(Math.min(position, this.#position), position)
  }
}

/** Beyond so many gaps the rest counts as not arrived: a pull fetches it again. */
const MAX_STRETCHES = 64
