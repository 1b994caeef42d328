/**
 * Remembers recently accepted messages by the first eight bytes of their HMAC, in fixed memory: two tables,
 * of which the older is emptied when the newer is full or old enough. So a message is remembered for at least
 * the given time, or, in a flood of authentic messages, among the last `capacity`. With a file the memory
 * outlives the process.
 */
import type { ReplayFile } from './replay-file.js'

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
  readonly #file: ReplayFile | undefined

  constructor(options: {
    windowMs: number
    nowMs: number
    capacity?: number | undefined
    file?: ReplayFile | undefined
  }) {
    this.#windowMs = options.windowMs
    this.#capacity = options.capacity ?? DEFAULT_CAPACITY
    this.#slots = Math.ceil(this.#capacity * SLOTS_PER_ENTRY)
    this.#newer = new Uint32Array(this.#slots * SLOT_WORDS)
    this.#older = new Uint32Array(this.#slots * SLOT_WORDS)
    this.#newerSinceMs = options.nowMs
    this.#file = options.file
    if (options.file !== undefined) this.#load(options.file)
  }

  /** True when the message was seen before; remembers it otherwise. `mac` has eight bytes or more. */
  sawBefore(mac: Uint8Array, nowMs: number): boolean {
    const [high, low] = wordsOf(mac)
    if (this.#newerCount >= this.#capacity || nowMs - this.#newerSinceMs >= this.#windowMs)
      this.#rotate(nowMs)
    if (this.#find(this.#older, high, low) < 0) return true
    const slot = this.#find(this.#newer, high, low)
    if (slot < 0) return true
    this.#put(slot, high, low)
    this.#file?.append(mac)
    return false
  }

  /** What was taken before the start; what is older than the window is remembered longer than it need be. */
  #load(file: ReplayFile): void {
    const { older, newer } = file.read()
    const remember = (macs: readonly Uint8Array[]): void => {
      for (const mac of macs.slice(-this.#capacity)) {
        const [high, low] = wordsOf(mac)
        const slot = this.#find(this.#newer, high, low)
        if (slot >= 0) this.#put(slot, high, low)
      }
    }
    remember(older)
    this.#swap()
    remember(newer)
  }

  #put(slot: number, high: number, low: number): void {
    this.#newer[slot] = high
    this.#newer[slot + 1] = low
    this.#newerCount += 1
  }

  #rotate(nowMs: number): void {
    this.#swap()
    this.#newerSinceMs = nowMs
    this.#file?.rotate()
  }

  #swap(): void {
    const emptied = this.#older.fill(0)
    this.#older = this.#newer
    this.#newer = emptied
    this.#newerCount = 0
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

/** The first eight bytes as two numbers; a slot of two zeros is an empty one. */
function wordsOf(mac: Uint8Array): [number, number] {
  const view = new DataView(mac.buffer, mac.byteOffset, mac.byteLength)
  return [view.getUint32(0), view.getUint32(4) || 1]
}
