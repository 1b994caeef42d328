/**
 * The number of items in a step that makes it last about as long as wanted, calculated from the duration of the last step.
 * A step that took too long shrinks the next one at once. Steps double until one takes too long, and grow slowly from then
 * on: otherwise a step that was quick by chance would be followed by one of twice the time.
 */
export interface SliceBounds {
  first: number
  smallest: number
  largest: number
  targetMs: number
}

/** Maximum changes stored at a time: clients wait for them, in the database or on its server, for at most 100 ms. */
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

  /** Records the duration of a step with this many items. A step that was not full is ignored, unless it was too slow. */
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

/** Cuts lists, one for each kind of work, into parts of at most `size()` items in total, in order. */
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
