/**
 * How many items a step takes at once, so that it lasts about as long as wanted: reckoned from what the last step took.
 * A step that took too long shrinks the next one at once. It grows by doubling until one took too long, and slowly from then
 * on: a step that a quiet moment made quick would else be followed by one of twice the time.
 */
export interface SliceBounds {
  first: number
  smallest: number
  largest: number
  targetMs: number
}

/** Changes that are stored at a time: what clients wait for stands behind them, in the database or at its server, 100 ms at most. */
export const STORE_SLICE: SliceBounds = { first: 50, smallest: 10, largest: 4000, targetMs: 15 }

/** Growth before and after the first step that took too long. */
const [DOUBLE, SLOWLY] = [2, 1.25]

/** The size of the next step. */
export class AdaptiveSlice {
  readonly #bounds: SliceBounds
  #size: number
  #growth = DOUBLE

  constructor(bounds: SliceBounds) {
    this.#bounds = bounds
    this.#size = bounds.first
  }

  get size(): number {
    return this.#size
  }

  /** Tells what a step with so many items took. One that was not full says nothing of how long a full one takes, unless it was too slow. */
  note(count: number, tookMs: number): void {
    const { smallest, largest, targetMs } = this.#bounds
    const fitting = Math.floor((count * targetMs) / Math.max(tookMs, 1))
    if (tookMs > targetMs) {
      this.#size = Math.max(smallest, Math.min(this.#size, fitting))
      this.#growth = SLOWLY
    } else if (count >= this.#size) {
      this.#size = Math.min(largest, Math.ceil(this.#size * this.#growth), Math.max(this.#size, fitting))
    }
  }
}

/** Lists of one kind of work each, cut into parts of at most `size()` items in all, in their order. */
export function* partsOf<Lists extends Readonly<Record<string, readonly unknown[]>>>(
  lists: Lists,
  size: () => number,
): Generator<{ part: Lists; count: number }, void, undefined> {
  const names = Object.keys(lists)
  const starts = new Map(names.map((name) => [name, 0]))
  for (;;) {
    let room = size()
    const part: Record<string, readonly unknown[]> = {}
    for (const name of names) {
      const start = starts.get(name)!
      part[name] = lists[name]!.slice(start, start + room)
      starts.set(name, start + part[name].length)
      room -= part[name].length
    }
    const count = Object.values(part).reduce((sum, { length }) => sum + length, 0)
    if (count === 0) return
    yield { part: part as Lists, count }
  }
}
