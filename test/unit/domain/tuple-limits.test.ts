import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DEFAULT_TUPLE_LIMITS } from '../../../src/domain/times.js'
import {
  compareToGo,
  excessOf,
  oldestToGo,
  poolSourceOf,
  type SourceSize,
  SourceSizes,
  sourceOf,
  victimsOf,
} from '../../../src/domain/tuple-limits.js'

/** A limit whose fair share is four usual tuples: 1,000 bytes. */
const MAX = 1000
const FAIR = 1000
const OVERHEAD = 100

const size = (source: string, count: number, bytesEach = 150, ofPools = false): SourceSize => ({
  ...{ source, ofPools, count, bytes: count * bytesEach },
})
const weightOf = ({ count, bytes }: SourceSize): number => count * OVERHEAD + bytes
const chosen = (sizes: SourceSize[], excess: Partial<Parameters<typeof victimsOf>[1]>, max = MAX) =>
  victimsOf(sizes, { count: 0, bytes: 0, ofPools: undefined, ...excess }, max).map(
    (victim) => [victim.size.source, victim.count] as const,
  )

describe('what is too much', () => {
  const policy = { maxTuples: 10, maxTupleBytes: 100 }
  test.each([
    [{ count: 10, pools: 10, bytes: 100 }, undefined],
    [
      { count: 12, pools: 15, bytes: 900 },
      { count: 2, bytes: 0, ofPools: false },
    ],
    [
      { count: 10, pools: 15, bytes: 900 },
      { count: 5, bytes: 0, ofPools: true },
    ],
    [
      { count: 1, pools: 1, bytes: 900 },
      { count: 0, bytes: 800, ofPools: undefined },
    ],
  ])('%o: %o', (totals, excess) => {
    expect(excessOf(totals, policy)).toEqual(excess)
  })
  test('bytes have a limit without a policy of their own', () => {
    const { maxTupleBytes } = DEFAULT_TUPLE_LIMITS
    const totals = { count: 1, pools: 0, bytes: maxTupleBytes + 7 }
    expect(excessOf(totals, { maxTuples: 10 })).toMatchObject({ bytes: 7 })
    expect(excessOf({ ...totals, bytes: maxTupleBytes }, { maxTuples: 10 })).toBeUndefined()
  })
})

describe('which source pays', () => {
  test('the heaviest, down to the next, then both', () => {
    const sizes = [size('b', 40), size('a', 50), size('c', 20)]
    expect(chosen(sizes, { count: 6 })).toEqual([['a', 6]])
    expect(chosen(sizes, { count: 10 })).toEqual([['a', 10]])
    expect(chosen(sizes, { count: 20 })).toEqual([
      ['a', 15],
      ['b', 5],
    ])
  })
  test('weight counts, not number: few long ones are heavier than many short ones', () => {
    expect(chosen([size('many', 20, 50), size('long', 10, 900)], { count: 1 })).toEqual([['long', 1]])
  })
  test('none below its fair share, and nobody where no source stands out', () => {
    expect(chosen([size('a', 10), size('small', 4)], { count: 100 })).toEqual([['a', 6]])
    expect(chosen([size('a', 4), size('b', 3)], { count: 5 })).toEqual([])
    // A larger limit leaves each more.
    expect(chosen([size('a', 10)], { count: 100 }, 8000)).toEqual([['a', 2]])
  })
  test('only tuples of the kind that is too many; bytes are made room for by both', () => {
    const sizes = [size('own', 90), size('pool', 80, 150, true)]
    expect(chosen(sizes, { count: 1, ofPools: false })).toEqual([['own', 1]])
    expect(chosen(sizes, { count: 1, ofPools: true })).toEqual([['pool', 1]])
    expect(chosen(sizes, { bytes: 150 * 12 })).toEqual([
      ['own', 11],
      ['pool', 1],
    ])
  })
  test('a source without texts makes no room for bytes', () => {
    expect(chosen([size('bare', 900, 0), size('texts', 50)], { bytes: 300 })).toEqual([['texts', 2]])
  })
  test('whatever there is: enough goes if it can, and no more of a source than stands above the level that is enough', () => {
    const given = fc.array(fc.tuple(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 500 })), {
      maxLength: 12,
    })
    fc.assert(
      fc.property(given, fc.integer({ min: 1, max: 200 }), fc.boolean(), (pairs, tuples, isBytes) => {
        const sizes = pairs.map(([count, each], index) => size(String(index), count, each))
        const wanted = isBytes ? tuples * 100 : tuples
        const gainOf = ({ bytes, count }: SourceSize): number => (isBytes ? bytes / count : 1)
        const above = (each: SourceSize, level: number): number =>
          Math.max(0, each.count - (level * each.count) / weightOf(each))
        const roomAt = (level: number): number =>
          sizes.reduce((sum, each) => sum + above(each, level) * gainOf(each), 0)
        let [low, high] = [FAIR, 60_000]
        for (let step = 0; step < 60; step += 1) {
          const middle = (low + high) / 2
          if (roomAt(middle) >= wanted) low = middle
          else high = middle
        }
        const taken = new Map(chosen(sizes, isBytes ? { bytes: wanted } : { count: wanted }))
        let room = 0
        for (const each of sizes) {
          const count = taken.get(each.source) ?? 0
          expect(count).toBeLessThanOrEqual(Math.ceil(above(each, low) + 1e-6))
          room += count * gainOf(each)
        }
        expect(room).toBeGreaterThanOrEqual(Math.min(wanted, roomAt(FAIR)) - 1e-6)
      }),
      { numRuns: 500 },
    )
  })
})

test('where no source stands out, as many go as usually make the room', () => {
  const totals = { count: 60, pools: 40, bytes: 10_000 }
  expect(oldestToGo({ count: 7, bytes: 0, ofPools: false }, totals)).toBe(7)
  expect(oldestToGo({ count: 0, bytes: 250, ofPools: undefined }, totals)).toBe(3)
  expect(oldestToGo({ count: 0, bytes: 1, ofPools: undefined }, { count: 0, pools: 0, bytes: 0 })).toBe(1)
})

test('within a source the oldest go first, those that were retried last', () => {
  const tuples = [
    { first: 3, bcount: 1 },
    { first: 1, bcount: 2 },
    { first: 2, bcount: 1 },
    { first: 0, bcount: 3 },
  ]
  expect([...tuples].sort(compareToGo).map(({ first }) => first)).toEqual([2, 3, 0, 1])
})

test('sizes are kept for each source and kind, and forgotten with the last tuple', () => {
  const sizes = new SourceSizes()
  sizes.add({ source: 'a', ofPools: false, count: 2, bytes: 20 })
  sizes.add({ source: 'a', ofPools: true, count: 1, bytes: 5 })
  sizes.add({ source: 'a', ofPools: false, count: -1, bytes: -9 })
  sizes.add({ source: 'gone', ofPools: false, count: -1, bytes: -9 })
  expect([...sizes.values()]).toEqual([size('a', 1, 11), size('a', 1, 5, true)])
  sizes.add({ source: 'a', ofPools: false, count: -1, bytes: -11 })
  sizes.forget({ source: 'a', ofPools: true })
  expect([...sizes.values()]).toEqual([])
})

test.each([
  ['192.0.2.7', '192.0.2.'],
  ['192.0.2.0/24', '192.0.2.'],
  ['2001:db8:1:2::9', '2001:db8:1:2::/64'],
  ['2001:db8::/48', '2001:db8::/64'],
  ['spf:mail.example.org', 'spf:mail.example.org'],
  ['learn', 'learn'],
])('the source of %s is %s', (ip, source) => {
  expect(sourceOf(ip)).toBe(source)
})

test('names below one registered domain are one source of pools', () => {
  expect(poolSourceOf('spf:a.b.example.org')).toBe('spf:example.org')
  expect(poolSourceOf('192.0.2.')).toBe('192.0.2.')
})
