import fc from 'fast-check'
import { expect, test } from 'vitest'
import { setOfAscendingIpv4 } from '../../../src/ip/ascending-prefixes.js'
import { isEmptySet } from '../../../src/ip/ip-range-set.js'
import { type PrefixArrays, setOfPrefixes, setOfPrefixesInSteps } from '../../../src/ip/prefix-ranges.js'
import { RangeTable } from '../../../src/ip/range-table.js'

const NONE: PrefixArrays = { count: 0, words: new Uint32Array(0), prefixLengths: new Uint8Array(0) }

/** Prefixes in no order, with overlaps and repeats. */
function scattered(count: number, wordsEach: number, longest: number): PrefixArrays {
  let state = 7
  const next = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state
  }
  return {
    count,
    words: Uint32Array.from({ length: count * wordsEach }, next),
    prefixLengths: Uint8Array.from({ length: count }, () => longest - (next() >>> 28)),
  }
}

function drained(ipv4: PrefixArrays, ipv6: PrefixArrays) {
  const work = setOfPrefixesInSteps(ipv4, ipv6)
  for (let pauseCount = 0; ; pauseCount += 1) {
    const step = work.next()
    if (step.done === true) return { set: step.value, pauseCount }
  }
}

test.each([0, 1, 1000, 150_000])('%i prefixes of each family give the same ranges in steps', (count) => {
  const ipv4 = scattered(count, 1, 32)
  const ipv6 = scattered(count, 4, 64)
  const { set, pauseCount } = drained(ipv4, ipv6)
  expect(pauseCount).toBeGreaterThanOrEqual(Math.floor(count / 10_000))
  // The table cuts off the room that is left behind the ranges.
  const ranges = new RangeTable(set).set
  const expected = new RangeTable(setOfPrefixes(ipv4, ipv6)).set
  expect(ranges.ipv4.length).toBe(expected.ipv4.length)
  expect(ranges.ipv6.length).toBe(expected.ipv6.length)
  for (const family of ['ipv4', 'ipv6'] as const) {
    expect(
      Buffer.from(ranges[family].firsts.buffer).equals(Buffer.from(expected[family].firsts.buffer)),
    ).toBe(true)
    expect(Buffer.from(ranges[family].lasts.buffer).equals(Buffer.from(expected[family].lasts.buffer))).toBe(
      true,
    )
  }
})

test('nothing makes the empty set', () => {
  expect(isEmptySet(drained(NONE, NONE).set)).toBe(true)
})

test('prefixes sorted by their first address give the same set in one pass; others are left to the sort', () => {
  const prefix = fc.tuple(fc.nat(0xffffffff), fc.integer({ min: 1, max: 32 }))
  fc.assert(
    fc.property(fc.array(prefix, { maxLength: 60 }), fc.boolean(), (given, isSorted) => {
      const firstOf = ([word, length]: [number, number]): number =>
        Math.floor(word / 2 ** (32 - length)) * 2 ** (32 - length)
      const items = isSorted ? given.toSorted((one, other) => firstOf(one) - firstOf(other)) : given
      const ipv4: PrefixArrays = {
        count: items.length,
        words: Uint32Array.from(items, ([word]) => word),
        prefixLengths: Uint8Array.from(items, ([, length]) => length),
      }
      const expected = setOfPrefixes(ipv4, NONE)
      const step = setOfAscendingIpv4(ipv4).next()
      const found = step.done === true ? step.value : undefined
      if (isSorted) expect(found).toBeDefined()
      for (const set of [...(found === undefined ? [] : [found]), drained(ipv4, NONE).set.ipv4]) {
        expect([...set.firsts.slice(0, set.length)]).toEqual([
          ...expected.ipv4.firsts.slice(0, expected.ipv4.length),
        ])
        expect([...set.lasts.slice(0, set.length)]).toEqual([
          ...expected.ipv4.lasts.slice(0, expected.ipv4.length),
        ])
      }
    }),
    { numRuns: 2000 },
  )
})
