/**
 * Remembers which messages were taken lately by the first eight bytes of their HMAC, in fixed memory: two tables, of
 * which the older is emptied when the newer is full or old enough. So a message is remembered for at least the
 * given time, or, in a flood of authentic messages, among the last `capacity`.
 */
const SLOT_WORDS = 2
/** Messages of one table: 8 MiB for the two with room to spare. */
const DEFAULT_CAPACITY = 350_000
/** Slots are kept at most two thirds full, where probing stays short. */
const SLOTS_PER_ENTRY = 1.5

export class ReplayMemory {
  readonly #windowMs: number
  readonly #capacity: number
  readonly #slots: number
  #newer: Uint32Array
  #older: Uint32Array
  #newerCount = 0
  #newerSinceMs: number

  constructor(options: { windowMs: number; nowMs: number; capacity?: number }) {
    this.#windowMs = options.windowMs
    this.#capacity = options.capacity ?? DEFAULT_CAPACITY
    this.#slots = Math.ceil(this.#capacity * SLOTS_PER_ENTRY)
    this.#newer = new Uint32Array(this.#slots * SLOT_WORDS)
    this.#older = new Uint32Array(this.#slots * SLOT_WORDS)
    this.#newerSinceMs = options.nowMs
  }

  /** True when the message was seen before; remembers it otherwise. `mac` has eight bytes or more. */
  sawBefore(mac: Uint8Array, nowMs: number): boolean {
    const view = new DataView(mac.buffer, mac.byteOffset, mac.byteLength)
    const high = view.getUint32(0)
    // A slot of two zeros is an empty one.
    const low = view.getUint32(4) || 1
    if (this.#newerCount >= this.#capacity || nowMs - this.#newerSinceMs >= this.#windowMs)
      this.#rotate(nowMs)
    if (this.#find(this.#older, high, low) < 0) return true
    const slot = this.#find(this.#newer, high, low)
    if (slot < 0) return true
    this.#newer[slot] = high
    this.#newer[slot + 1] = low
    this.#newerCount += 1
    return false
  }

  #rotate(nowMs: number): void {
    const emptied = this.#older.fill(0)
    this.#older = this.#newer
    this.#newer = emptied
    this.#newerCount = 0
    this.#newerSinceMs = nowMs
  }

  /** Index of the empty slot where the pair belongs, or -1 when it is there. */
  #find(table: Uint32Array, high: number, low: number): number {
    let slot = (high % this.#slots) * SLOT_WORDS
    while (table[slot + 1] !== 0) {
      if (table[slot] === high && table[slot + 1] === low) return -1
      slot += SLOT_WORDS
      if (slot === table.length) slot = 0
    }
    return slot
  }
}
