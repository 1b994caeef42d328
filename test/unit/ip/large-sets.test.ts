/** Sets of the sizes at which sorting and joining change their method, against the platform's own sort. */
import { describe, expect, test } from 'vitest'
import {
  IpRangeCollector,
  type IpRangeSet,
  subtractSet,
  unionInSteps,
  unionOf,
} from '../../../src/ip/ip-range-set.js'
import { sortPairs } from '../../../src/ip/radix-sort.js'
import { sortIpv6Prefixes } from '../../../src/ip/sort-ipv6.js'
import { makeWords } from '../../support/random.js'

/** Random words; `mask` makes them agree in some bits, so that digits repeat. */
function randomWords(count: number, seed: number, mask = 0xffffffff): Uint32Array {
  const random = makeWords(seed)
  return Uint32Array.from({ length: count }, () => (random() & mask) >>> 0)
}

describe('32-bit keys', () => {
  // 30,000 is the size at which the platform's sort is left; masks leave digits that all keys share.
  for (const count of [0, 1, 2, 29_999, 30_000, 30_001, 70_000]) {
    test.each([0xffffffff, 0x7ff, 0x3ff800, 0xffc00000, 0xff00ff00, 0x80000001])(
      `${count} of them under mask %i`,
      (mask) => {
        const keys = randomWords(count, 7, mask)
        const wanted = Uint32Array.from(keys).sort()
        expect(sortPairs(Uint32Array.from(keys), undefined, count).keys.subarray(0, count)).toEqual(wanted)
        const values = Uint32Array.from({ length: count }, (_, index) => index)
        const sorted = sortPairs(Uint32Array.from(keys), values, count)
        expect(sorted.keys.subarray(0, count)).toEqual(wanted)
        const seen = new Set<number>()
        for (let index = 0; index < count; index += 1) {
          const value = sorted.values![index]!
          seen.add(value)
          if (keys[value] !== sorted.keys[index]) expect.fail(`the value at ${index} left its key`)
        }
        expect(seen.size).toBe(count)
      },
    )
  }

  test('only the first ones of a longer array are sorted', () => {
    const keys = Uint32Array.of(9, 3, 7, 1, 0)
    expect([...sortPairs(keys, undefined, 3).keys]).toEqual([3, 7, 9, 1, 0])
  })
})

describe('IPv6 prefixes', () => {
  // 32: insertion; 2048: short digits; 8192: divided first.
  for (const count of [2, 31, 32, 33, 2_047, 2_048, 8_191, 8_192, 8_193, 20_000]) {
    for (const sharedWords of [0, 1, 3]) {
      test(`${count} that share ${sharedWords} words`, () => {
        const words = randomWords(count * 4, 11)
        for (let index = 0; index < count; index += 1) {
          for (let word = 0; word < sharedWords; word += 1) words[index * 4 + word] = 0x20010db8 + word
        }
        expectSorted(words, count)
      })
    }
  }

  // More than 32 with the same first bits each, so that every part is sorted by digits.
  test.each([0x0001ffff, 0x00030000, 0x0001000f, 0x8000ffff])(
    '20,000 whose first words differ in the bits of %i',
    (mask) => {
      const words = randomWords(80_000, 13)
      for (let at = 0; at < words.length; at += 4) words[at] = (words[at]! & mask) >>> 0
      expectSorted(words, 20_000)
    },
  )

  function expectSorted(words: Uint32Array, count: number): void {
    const lengths = Uint8Array.from({ length: count }, (_, index) => (index * 7) % 129)
    const textOf = (from: Uint32Array, of: Uint8Array, index: number) =>
      `${[0, 1, 2, 3].map((word) => from[index * 4 + word]!.toString(16).padStart(8, '0')).join('')}/${of[index]}`
    const wanted = Array.from({ length: count }, (_, index) => textOf(words, lengths, index)).sort()
    const sorted = sortIpv6Prefixes(
      { words: Uint32Array.from(words), lengths: Uint8Array.from(lengths) },
      count,
    )
    // Told by its place: comparing so long arrays to the end takes minutes.
    const wrongAt = wanted.findIndex((text, index) => text !== textOf(sorted.words, sorted.lengths, index))
    expect(wrongAt).toBe(-1)
  }
})

/** Addresses two apart in both families, in the order of `step` coprime to `count`. */
function sparse(count: number, step: number, from = 0): IpRangeSet {
  const collector = new IpRangeCollector()
  const words = Uint32Array.of(0x20010db8, 0, 0, 0)
  for (let index = 0; index < count; index += 1) {
    const place = ((index * step) % count) * 2 + from
    collector.ipv4.addAddress(0x0b000000 + place)
    words[3] = place
    collector.addIpv6Prefix(words, 0, 128)
  }
  return collector.takeSet()
}

test('a set of 100,000 holes is filled and emptied exactly', () => {
  const count = 100_000
  const even = sparse(count, 7919)
  expect([even.ipv4.length, even.ipv6.length]).toEqual([count, count])
  const odd = sparse(count, 104_729, 1)
  const all = unionOf([even, odd])
  expect([all.ipv4.length, all.ipv6.length]).toEqual([1, 1])
  expect([all.ipv4.firsts[0], all.ipv4.lasts[0]]).toEqual([0x0b000000, 0x0b000000 + 2 * count - 1])
  expect([...all.ipv6.firsts.subarray(0, 4), ...all.ipv6.lasts.subarray(0, 4)]).toEqual([
    ...[0x20010db8, 0, 0, 0],
    ...[0x20010db8, 0, 0, 2 * count - 1],
  ])
  const rest = subtractSet(all, odd)
  expect(rest.ipv4.length).toBe(count)
  for (let index = 0; index < count; index += 1) {
    if (
      rest.ipv4.firsts[index] !== even.ipv4.firsts[index] ||
      rest.ipv4.lasts[index] !== even.ipv4.lasts[index]
    )
      expect.fail(`hole ${index} of IPv4`)
    if (rest.ipv6.lasts[index * 4 + 3] !== even.ipv6.lasts[index * 4 + 3])
      expect.fail(`hole ${index} of IPv6`)
  }
  let pauses = 0
  const steps = unionInSteps([even, odd])
  while (steps.next().done !== true) pauses += 1
  expect(pauses).toBeGreaterThanOrEqual(6)
})
