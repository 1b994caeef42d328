/**
 * Remembers recently accepted messages by the first eight bytes of their HMAC, in fixed memory: two tables,
 * of which the older is emptied when the newer is full or old enough. So a message is remembered for at least
 * the given time, or, in a flood of authentic messages, among the last `capacity`. With a file the memory
 * outlives the process.
 *
 * Forgotten messages are refused by their time of sending: by the clock, or, if the clock went back, by the time of the
 * newest forgotten message, the floor. The floor never falls by itself.
 */
import type { ReplayFile, ReplayRecord } from './replay-file.js'

const SLOT_WORDS = 2
/** Messages of one table: 8 MiB for the two with room to spare. */
const DEFAULT_CAPACITY = 350_000
/** Slots are kept at most two thirds full, where probing stays short. */
const SLOTS_PER_ENTRY = 1.5

/** `forgotten`: sent no later than a message that is no longer remembered. */
export type ReplayVerdict = 'new' | 'repeated' | 'forgotten'

export class ReplayMemory {
  readonly #windowMs: number
  readonly #capacity: number
  readonly #slots: number
  #newer: Uint32Array
  #older: Uint32Array
  #newerCount = 0
  #newerSinceMs: number
  /** Time of sending of the newest message in each table. */
  #newerSec = -Infinity
  #olderSec = -Infinity
  #floorSec = -Infinity
  readonly #earliestSec: (() => number) | undefined
  readonly #file: ReplayFile | undefined

  constructor(options: {
    windowMs: number
    nowMs: number
    capacity?: number | undefined
    file?: ReplayFile | undefined
    /** Messages sent earlier are refused by the clock. Without it there is no floor. */
    earliestSec?: (() => number) | undefined
  }) {
    this.#windowMs = options.windowMs
    this.#capacity = options.capacity ?? DEFAULT_CAPACITY
    this.#slots = Math.ceil(this.#capacity * SLOTS_PER_ENTRY)
    this.#newer = new Uint32Array(this.#slots * SLOT_WORDS)
    this.#older = new Uint32Array(this.#slots * SLOT_WORDS)
    this.#newerSinceMs = options.nowMs
    this.#earliestSec = options.earliestSec
    this.#file = options.file
    if (options.file !== undefined) this.#load(options.file)
  }

  /** Remembers a new message. `mac` has eight bytes or more. */
  judge(mac: Uint8Array, sentSec: number, nowMs: number): ReplayVerdict {
    const [high, low] = wordsOf(mac)
    if (nowMs - this.#newerSinceMs >= this.#windowMs) this.#rotate(nowMs, this.#olderSec)
    // Forgotten early: a floor above what the clock refuses would reject messages that are on time.
    else if (this.#newerCount >= this.#capacity)
      this.#rotate(nowMs, Math.min(this.#olderSec, this.#earliestSec?.() ?? 0))
    if (this.#find(this.#older, high, low) < 0) return 'repeated'
    const slot = this.#find(this.#newer, high, low)
    if (slot < 0) return 'repeated'
    if (sentSec <= this.#floorSec) return 'forgotten'
    this.#put(slot, high, low)
    this.#newerSec = Math.max(this.#newerSec, sentSec)
    this.#file?.append({ mac, sentSec })
    return 'new'
  }

  /** The floor; messages sent no later are refused. */
  get floorSec(): number {
    return this.#floorSec
  }

  /** Removes the floor: accepts all messages that the clock allows. */
  dropFloor(): void {
    this.#floorSec = -Infinity
    this.#file?.noteFloor(this.#floorSec)
  }

  /** What was taken before the start; what is older than the window is remembered longer than it need be. */
  #load(file: ReplayFile): void {
    const { older, newer, floorSec } = file.read()
    if (this.#earliestSec !== undefined) this.#floorSec = floorSec
    const remember = (records: readonly ReplayRecord[]): void => {
      for (const { mac, sentSec } of records.slice(-this.#capacity)) {
        const [high, low] = wordsOf(mac)
        const slot = this.#find(this.#newer, high, low)
        if (slot >= 0) this.#put(slot, high, low)
        this.#newerSec = Math.max(this.#newerSec, sentSec)
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

  /** `forgottenSec`: time of sending of the newest message that is forgotten. */
  #rotate(nowMs: number, forgottenSec: number): void {
    if (this.#earliestSec !== undefined) this.#floorSec = Math.max(this.#floorSec, forgottenSec)
    this.#swap()
    this.#newerSinceMs = nowMs
    this.#file?.rotate(this.#floorSec)
  }

  #swap(): void {
    const emptied = this.#older.fill(0)
    this.#older = this.#newer
    this.#newer = emptied
    this.#newerCount = 0
    this.#olderSec = this.#newerSec
    this.#newerSec = -Infinity
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
