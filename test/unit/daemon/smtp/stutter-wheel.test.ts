import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { StutterWheel, type WheelItem } from '../../../../src/daemon/smtp/stutter-wheel.js'

/** A clock that follows vitest's false timers. */
const clock = { nowSec: () => Math.floor(Date.now() / 1000), monotonicMs: () => Date.now() }

class Item implements WheelItem {
  dueSlot = -1
  readonly calledMs: number[] = []
  repeat: (() => void) | undefined
  onDue(): void {
    this.calledMs.push(Date.now())
    this.repeat?.()
  }
}

beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000 })
})
afterEach(() => {
  vi.useRealTimers()
})

describe('the wheel', () => {
  test('calls an item once, at its time or a slot later', () => {
    const wheel = new StutterWheel(clock)
    const delays = [0, 1, 49, 50, 999, 1000, 10_000, 12_750, 13_000, 300_000]
    const items = delays.map((delayMs) => {
      const item = new Item()
      wheel.schedule(item, delayMs)
      return item
    })
    vi.advanceTimersByTime(301_000)
    for (const [index, item] of items.entries()) {
      expect(item.calledMs).toHaveLength(1)
      const lateMs = item.calledMs[0]! - 1_000_000 - delays[index]!
      expect(lateMs).toBeGreaterThanOrEqual(0)
      expect(lateMs).toBeLessThanOrEqual(20)
    }
    expect(wheel.size).toBe(0)
  })

  test('keeps the gap of an item that schedules itself again', () => {
    const wheel = new StutterWheel(clock)
    const item = new Item()
    item.repeat = () => wheel.schedule(item, 1000)
    wheel.schedule(item, 1000)
    vi.advanceTimersByTime(60_000)
    const gaps = item.calledMs.slice(1).map((ms, index) => ms - item.calledMs[index]!)
    expect(gaps.length).toBeGreaterThan(55)
    expect(gaps.every((gap) => gap >= 1000 && gap <= 1050)).toBe(true)
  })

  test('does not call what was cancelled, and moves what is scheduled twice', () => {
    const wheel = new StutterWheel(clock)
    const cancelled = new Item()
    const moved = new Item()
    wheel.schedule(cancelled, 100)
    wheel.cancel(cancelled)
    wheel.cancel(cancelled)
    wheel.schedule(moved, 100)
    wheel.schedule(moved, 5000)
    wheel.schedule(moved, 5000)
    expect(wheel.size).toBe(1)
    vi.advanceTimersByTime(20_000)
    expect(cancelled.calledMs).toEqual([])
    expect(moved.calledMs).toHaveLength(1)
    expect(moved.calledMs[0]! - 1_000_000).toBeGreaterThanOrEqual(5000)
  })

  test('has no timer while nothing waits', () => {
    const wheel = new StutterWheel(clock)
    expect(vi.getTimerCount()).toBe(0)
    wheel.schedule(new Item(), 100)
    expect(vi.getTimerCount()).toBe(1)
    vi.advanceTimersByTime(200)
    expect(vi.getTimerCount()).toBe(0)
  })

  test('after a long sleep of the machine calls everything that is due, once', () => {
    const wheel = new StutterWheel(clock)
    const items = Array.from({ length: 500 }, () => new Item())
    for (const [index, item] of items.entries()) wheel.schedule(item, index * 20)
    vi.setSystemTime(1_000_000 + 3_600_000)
    vi.advanceTimersByTime(100)
    expect(items.every(({ calledMs }) => calledMs.length === 1)).toBe(true)
  })

  test('stop ends it', () => {
    const wheel = new StutterWheel(clock)
    const item = new Item()
    wheel.schedule(item, 100)
    wheel.stop()
    vi.advanceTimersByTime(1000)
    expect(item.calledMs).toEqual([])
  })
})
