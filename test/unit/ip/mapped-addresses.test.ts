import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createListParser } from '../../../src/codec/lists/list-lines.js'
import { canonicalIp, formatIpv6 } from '../../../src/ip/address.js'
import { parseCidr } from '../../../src/ip/cidr.js'
import { IpRangeCollector } from '../../../src/ip/ip-range-set.js'

/** Eight groups, most of them 0 or ffff, where folding to IPv4 could go wrong. */
const groups = fc.array(fc.oneof({ weight: 3, arbitrary: fc.constantFrom(0, 0xffff) }, fc.nat(0xffff)), {
  minLength: 8,
  maxLength: 8,
})
const isMapped = (given: readonly number[]) =>
  given.slice(0, 5).every((group) => group === 0) && given[5] === 0xffff

test('only ::ffff:0:0/96 is IPv4, in all spellings', () => {
  const onePlace = Array.from({ length: 8 }, (_, place) =>
    [0, 1, 0xff, 0xffff].map((value) => ({ place, value })),
  ).flat()
  const near = onePlace.map(({ place, value }) => [0, 0, 0, 0, 0, 0xffff, 0xc000, 0x0201].with(place, value))
  const check = (given: readonly number[]) => {
    const long = given.map((group) => group.toString(16)).join(':')
    const quad = `${given
      .slice(0, 6)
      .map((group) => group.toString(16))
      .join(':')}:${[given[6]!, given[7]!].flatMap((group) => [group >> 8, group & 255]).join('.')}`
    const wanted = isMapped(given) ? quad.slice(quad.lastIndexOf(':') + 1) : formatIpv6(given)
    for (const text of [long, long.toUpperCase(), quad, formatIpv6(given)]) {
      expect(canonicalIp(text), text).toBe(wanted)
      expect(parseCidr(`${text}/128`)?.family, text).toBe(isMapped(given) ? 4 : 6)
      const parser = createListParser()
      parser.push(Buffer.from(`${text}\n${text}/127\n${text}/128\n`))
      const { set, accepted } = parser.end()
      expect(accepted, text).toBe(3)
      expect([set.ipv4.length, set.ipv6.length], text).toEqual(isMapped(given) ? [1, 0] : [0, 1])
    }
  }
  for (const given of near) check(given)
  fc.assert(fc.property(groups, check), { numRuns: 500 })
})

test('a range that leaves the mapped space stays IPv6', () => {
  const mapped = Uint32Array.of(0, 0, 0xffff, 0xfffffff0)
  for (const last of [
    Uint32Array.of(0, 0, 0x10000, 0),
    Uint32Array.of(0, 1, 0xffff, 0),
    Uint32Array.of(1, 0, 0xffff, 0),
  ]) {
    const collector = new IpRangeCollector()
    collector.addIpv6Range(mapped, last)
    const set = collector.takeSet()
    expect([set.ipv4.length, set.ipv6.length]).toEqual([0, 1])
  }
})

test('a run of zeros is compressed only from two groups on, the first of the longest', () => {
  expect(canonicalIp('2001:0:1:1:1:1:1:1')).toBe('2001:0:1:1:1:1:1:1')
  expect(canonicalIp('2001:0:0:1:1:1:1:1')).toBe('2001::1:1:1:1:1')
  expect(canonicalIp('2001:0:0:1:0:0:1:1')).toBe('2001::1:0:0:1:1')
  expect(canonicalIp('2001:0:0:1:0:0:0:1')).toBe('2001:0:0:1::1')
  expect(canonicalIp('1:1:1:1:1:1:0:0')).toBe('1:1:1:1:1:1::')
  expect(canonicalIp('0:0:1:1:1:1:1:1')).toBe('::1:1:1:1:1:1')
})
