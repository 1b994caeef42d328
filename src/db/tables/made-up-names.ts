/**
 * The names below each registered domain that have tuples. Their keys are not adjacent in the order of the texts, so
 * the tuples of a source could not be found otherwise.
 */
export class MadeUpNames {
  readonly #bySource = new Map<string, Map<string, number>>()

  /** Records that tuples of a key were added or, if `count` is negative, removed. */
  add(key: string, source: string, count: number): void {
    if (key === source) return
    let names = this.#bySource.get(source)
    if (names === undefined) {
      if (count <= 0) return
      names = new Map()
      this.#bySource.set(source, names)
    }
    const sum = (names.get(key) ?? 0) + count
    if (sum > 0) names.set(key, sum)
    else names.delete(key)
    if (names.size === 0) this.#bySource.delete(source)
  }

  /** The number of keys of a source besides its own. */
  countOf(source: string): number {
    return this.#bySource.get(source)?.size ?? 0
  }

  /**
   * The keys of a source, oldest first; each key taken moves to the end, so that the next call begins with
   * different ones.
   */
  *take(source: string): Generator<string> {
    const names = this.#bySource.get(source)
    if (names === undefined) return
    // The loop would otherwise meet keys again that moved behind.
    let left = names.size
    for (const [key, count] of names) {
      if (left === 0) break
      left -= 1
      names.delete(key)
      names.set(key, count)
      yield key
    }
  }

  /** Removes a key that turned out to have no tuples. */
  forget(key: string, source: string): void {
    this.add(key, source, -Infinity)
  }
}
