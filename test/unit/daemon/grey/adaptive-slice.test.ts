import { describe, expect, test } from 'vitest'
import { AdaptiveSlice, partsOf } from '../../../../src/daemon/grey/adaptive-slice.js'

const BOUNDS = { first: 100, smallest: 10, largest: 1000, targetMs: 50 }

describe('the size of a slice', () => {
  test('follows what the last one took: down at once, up by doubling, by a quarter once one was too slow', () => {
    const slice = new AdaptiveSlice(BOUNDS)
    slice.note(100, 5)
    expect(slice.size).toBe(200)
    slice.note(200, 40)
    expect(slice.size).toBe(250)
    slice.note(250, 625)
    expect(slice.size).toBe(20)
    slice.note(20, 50)
    expect(slice.size).toBe(20)
    slice.note(20, 5)
    expect(slice.size).toBe(25)
    slice.note(25, 48)
    expect(slice.size).toBe(26)
  })

  test('stays within its bounds', () => {
    const slice = new AdaptiveSlice(BOUNDS)
    slice.note(100, 60_000)
    expect(slice.size).toBe(10)
    for (let step = 0; step < 40; step += 1) slice.note(slice.size, 0)
    expect(slice.size).toBe(1000)
  })

  test('does not grow by steps that were not full, and shrinks also by those', () => {
    const slice = new AdaptiveSlice(BOUNDS)
    slice.note(5, 0)
    expect(slice.size).toBe(100)
    slice.note(50, 100)
    expect(slice.size).toBe(25)
  })
})

test('lists are cut into parts of the size of that moment, nothing twice and nothing left out', () => {
  const lists = { one: [1, 2, 3, 4, 5], none: [], other: ['a', 'b', 'c'] }
  const sizes = [2, 4, 100, 100]
  const parts = [...partsOf(lists, () => sizes.shift()!)]
  expect(parts).toEqual([
    { count: 2, part: { one: [1, 2], none: [], other: [] } },
    { count: 4, part: { one: [3, 4, 5], none: [], other: ['a'] } },
    { count: 2, part: { one: [], none: [], other: ['b', 'c'] } },
  ])
})
