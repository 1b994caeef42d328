import { expect, test } from 'vitest'
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
