/** What waits to be written to the database, bounded in number and bytes: a failing disk must not eat the memory. */

/** Attempts that may wait; at 1,000 RCPTs a second that bridges a minute without a database. */
export const MAX_QUEUED_ATTEMPTS = 60_000
/** Bytes of text that may wait: three fields of 1,023 bytes make a long queue of hostile tuples large. */
export const MAX_QUEUED_BYTES = 64 * 1024 * 1024

export interface QueueLimits {
  maxCount: number
  maxBytes: number
}

/** First in, first out; the oldest go when a limit is passed. */
export class BoundedQueue<Item> {
  readonly #limits: QueueLimits
  readonly #sizeOf: (item: Item) => number
  readonly #items: Item[] = []
  #head = 0
  #bytes = 0

  constructor(sizeOf: (item: Item) => number, limits: QueueLimits) {
    this.#sizeOf = sizeOf
    this.#limits = limits
  }

  get length(): number {
    return this.#items.length - this.#head
  }

  /** Adds an item and returns those that had to go for it, oldest first. */
  push(item: Item): Item[] {
    this.#items.push(item)
    this.#bytes += this.#sizeOf(item)
    const dropped: Item[] = []
    while (this.length > this.#limits.maxCount || (this.#bytes > this.#limits.maxBytes && this.length > 1)) {
      dropped.push(...this.take(1))
    }
    return dropped
  }

  /** The first items, up to `count`, without removing them, as long as `isSame` holds with the first. */
  peek(count: number, isSame: (first: Item, item: Item) => boolean): Item[] {
    const first = this.#items[this.#head]
    if (first === undefined) return []
    const batch: Item[] = []
    for (let index = this.#head; index < this.#items.length && batch.length < count; index += 1) {
      const item = this.#items[index]!
      if (!isSame(first, item)) break
      batch.push(item)
    }
    return batch
  }

  /** Removes and returns the first `count` items. */
  take(count: number): Item[] {
    const end = Math.min(this.#head + count, this.#items.length)
    const taken = this.#items.slice(this.#head, end)
    for (const item of taken) this.#bytes -= this.#sizeOf(item)
    this.#head = end
    if (this.#head > 1024 && this.#head * 2 > this.#items.length) {
      this.#items.splice(0, this.#head)
      this.#head = 0
    }
    return taken
  }
}
