import type { Clock } from '../../platform/clock.js'

/** Width of a slot: a due item waits at most this long, 2 % of the shortest stutter delay. */
const SLOT_MS = 20
/** Slots of the ring: 12.8 s, more than the longest stutter delay; longer delays go round again. */
const SLOT_COUNT = 640

/** Something that waits in the wheel; it is in at most one place at a time. */
export interface WheelItem {
  /** Number of the slot in which the item is due; kept by the wheel, -1 when it is not waiting. */
  dueSlot: number
  /** Called once when the time has come; may schedule the item again. Must not throw. */
  onDue(nowMs: number): void
}

/**
 * One timer for the pauses of all connections: a ring of slots, each with the items due in its 20 ms. Adding
 * and cancelling cost the same whatever the number of items. The timer only runs while items wait.
 */
export class StutterWheel {
  readonly #clock: Clock
  readonly #tickMs: number
  readonly #ring: WheelItem[][] = Array.from({ length: SLOT_COUNT }, () => [])
  #currentSlot: number
  #waitingCount = 0
  #timer: NodeJS.Timeout | undefined

  /** `tickMs` differs from the slot width only where the clock runs faster than time (tests). */
  constructor(clock: Clock, tickMs: number = SLOT_MS) {
    this.#clock = clock
    this.#tickMs = tickMs
    this.#currentSlot = this.#slotNow()
  }

  /** Items waiting now. */
  get size(): number {
    return this.#waitingCount
  }

  /** Calls `item.onDue` once, `delayMs` from now or up to a slot later; a waiting item is moved. */
  schedule(item: WheelItem, delayMs: number): void {
    if (item.dueSlot < 0) this.#waitingCount += 1
    if (this.#timer === undefined) {
      this.#currentSlot = this.#slotNow()
      this.#timer = setInterval(() => this.#tick(), this.#tickMs)
    }
    const slot = Math.max(this.#slotNow() + Math.ceil(delayMs / SLOT_MS), this.#currentSlot + 1)
    if (slot === item.dueSlot) return
    item.dueSlot = slot
    this.#ring[slot % SLOT_COUNT]!.push(item)
  }

  /** Takes the item out; does nothing when it is not waiting. */
  cancel(item: WheelItem): void {
    if (item.dueSlot < 0) return
    item.dueSlot = -1
    this.#waitingCount -= 1
  }

  /** Ends the timer; waiting items are never called. */
  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #slotNow(): number {
    return Math.floor(this.#clock.monotonicMs() / SLOT_MS)
  }

  #tick(): void {
    const target = this.#slotNow()
    // After a long pause of the process one round of the ring visits every item.
    let slot = Math.max(this.#currentSlot, target - SLOT_COUNT)
    this.#currentSlot = target
    while (slot < target) {
      slot += 1
      this.#runSlot(slot % SLOT_COUNT, target)
    }
    if (this.#waitingCount === 0) this.stop()
  }

  #runSlot(index: number, target: number): void {
    const items = this.#ring[index]!
    if (items.length === 0) return
    this.#ring[index] = []
    const nowMs = this.#clock.monotonicMs()
    for (const item of items) {
      // Items that were cancelled or moved elsewhere leave their old place here.
      if (item.dueSlot < 0 || item.dueSlot % SLOT_COUNT !== index) continue
      if (item.dueSlot > target) {
        this.#ring[index]!.push(item)
        continue
      }
      item.dueSlot = -1
      this.#waitingCount -= 1
      item.onDue(nowMs)
    }
  }
}
