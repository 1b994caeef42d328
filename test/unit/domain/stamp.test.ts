/** The clock of stamps: never back, never the same, whatever the wall clock does. */
import { describe, expect, test } from 'vitest'
import { compareStamps, HybridClock, laterStamp } from '../../../src/domain/stamp.js'

const stamp = (time: number, counter: number, node = 7) => ({ time, counter, node })

describe('order', () => {
  test('by time, then counter, then node; never comes first', () => {
    const ordered = [undefined, stamp(1, 9, 9), stamp(2, 1, 9), stamp(2, 2, 1), stamp(2, 2, 5)]
    for (const [a, one] of ordered.entries()) {
      for (const [b, other] of ordered.entries()) {
        expect(Math.sign(compareStamps(one, other))).toBe(Math.sign(a - b))
        expect(laterStamp(one, other)).toEqual(ordered[Math.max(a, b)])
      }
    }
    expect(compareStamps(stamp(3, 4, 5), stamp(3, 4, 5))).toBe(0)
  })

  test('of two equal ones the first is given', () => {
    const [one, other] = [stamp(1, 1), stamp(1, 1)]
    expect(laterStamp(one, other)).toBe(one)
  })
})

describe('the clock', () => {
  test('counts within a second, and starts anew with the next', () => {
    const clock = new HybridClock(7, { time: 0, counter: 0 })
    expect(clock.next(100.9)).toEqual(stamp(100_000, 0))
    expect(clock.next(100)).toEqual(stamp(100_000, 1))
    expect(clock.next(101)).toEqual(stamp(101_000, 0))
    expect(clock.state).toEqual({ time: 101_000, counter: 0 })
  })

  test('a wall clock that goes back, or stands before the Epoch, changes nothing', () => {
    const clock = new HybridClock(7, { time: 100_000, counter: 5 })
    expect(clock.next(99)).toEqual(stamp(100_000, 6))
    expect(clock.next(-5)).toEqual(stamp(100_000, 7))
    expect(new HybridClock(7, { time: -1, counter: 0 }).next(-5)).toEqual(stamp(0, 0))
  })

  test('the 2,048 changes of a millisecond are followed by those of the next', () => {
    const clock = new HybridClock(7, { time: 100_000, counter: 2046 })
    expect(clock.next(100)).toEqual(stamp(100_000, 2047))
    expect(clock.next(100)).toEqual(stamp(100_001, 0))
    expect(clock.next(100)).toEqual(stamp(100_001, 1))
  })

  test.each([
    ['earlier', stamp(99_999, 9, 1), { time: 100_000, counter: 5 }],
    ['the same', stamp(100_000, 5, 1), { time: 100_000, counter: 5 }],
    ['of the same time and a lower counter', stamp(100_000, 4, 1), { time: 100_000, counter: 5 }],
    ['of the same time and a higher counter', stamp(100_000, 6, 1), { time: 100_000, counter: 6 }],
    ['later', stamp(100_001, 2, 1), { time: 100_001, counter: 2 }],
  ])('a stamp from elsewhere that is %s', (_, received, state) => {
    const clock = new HybridClock(7, { time: 100_000, counter: 5 })
    clock.observe(received)
    expect(clock.state).toEqual(state)
    expect(compareStamps(clock.next(1), received)).toBeGreaterThan(0)
  })
})
