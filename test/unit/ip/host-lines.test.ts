import fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatIpv4 } from '../../../src/ip/address.js'
import { hostLines } from '../../../src/ip/host-lines.js'
import { EMPTY_SET, IpRangeCollector, type IpRangeSet } from '../../../src/ip/ip-range-set.js'
import { setOfPrefixes } from '../../../src/ip/prefix-ranges.js'
import { RangeTable } from '../../../src/ip/range-table.js'

function linesOf(set: IpRangeSet, linesPerStep = 3): { ipv4: string; ipv6: string; steps: number } {
  const work = hostLines(set, linesPerStep)
  let steps = 0
  for (;;) {
    const step = work.next()
    if (step.done === true) {
      const { ipv4, ipv6 } = step.value
      const text4 = Buffer.from(ipv4.text).toString('latin1')
      const text6 = Buffer.from(ipv6.text).toString('latin1')
      expect([ipv4.count, ipv6.count]).toEqual([text4.split('\n').length - 1, text6.split('\n').length - 1])
      return { ipv4: text4, ipv6: text6, steps }
    }
    steps += 1
  }
}

test('neighbours stay single addresses, up to the last one', () => {
  const collector = new IpRangeCollector()
  for (const address of [0xffffffff, 0, 1, 0xfffffffe]) collector.ipv4.addAddress(address)
  collector.addIpv6Prefix(Uint32Array.of(0x20010db8, 0, 0, 1), 0, 127)
  collector.addIpv6Prefix(Uint32Array.of(-1, -1, -1, -1), 0, 128)
  expect(linesOf(collector.takeSet())).toEqual({
    ipv4: '0.0.0.0/32\n0.0.0.1/32\n255.255.255.254/32\n255.255.255.255/32\n',
    ipv6: '2001:db8::/128\n2001:db8::1/128\nffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128\n',
    steps: 2,
  })
})

test('the empty set gives no line', () => {
  expect(linesOf(EMPTY_SET)).toEqual({ ipv4: '', ipv6: '', steps: 0 })
})

test('the lines are the sorted distinct addresses', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0x0a000000, max: 0x0a000040 })), (addresses) => {
      const collector = new IpRangeCollector()
      for (const address of addresses) collector.ipv4.addAddress(address)
      const wanted = [...new Set(addresses)]
        .sort((a, b) => a - b)
        .map((address) => `${formatIpv4(address)}/32\n`)
      expect(linesOf(collector.takeSet()).ipv4).toBe(wanted.join(''))
    }),
  )
})

test('a set of prefixes holds what each prefix holds', () => {
  const prefix = fc.record({ word: fc.nat(0xff), prefixLength: fc.integer({ min: 24, max: 32 }) })
  fc.assert(
    fc.property(fc.array(prefix), fc.nat(0xff), (prefixes, probe) => {
      const ipv4 = {
        count: prefixes.length,
        words: Uint32Array.from(prefixes, ({ word }) => 0xc0000200 + word),
        prefixLengths: Uint8Array.from(prefixes, ({ prefixLength }) => prefixLength),
      }
      const none = { count: 0, words: new Uint32Array(0), prefixLengths: new Uint8Array(0) }
      const isHeld = prefixes.some(
        ({ word, prefixLength }) => word >>> (32 - prefixLength) === probe >>> (32 - prefixLength),
      )
      const table = new RangeTable(setOfPrefixes(ipv4, none))
      expect(table.has(`192.0.2.${probe}`)).toBe(isHeld)
    }),
  )
})

test('the shortest prefixes are whole halves of the address space', () => {
  const none = { count: 0, words: new Uint32Array(0), prefixLengths: new Uint8Array(0) }
  const half = { count: 1, words: Uint32Array.of(0xc0000201), prefixLengths: Uint8Array.of(1) }
  const table = new RangeTable(setOfPrefixes(half, none))
  expect(['127.255.255.255', '128.0.0.0', '255.255.255.255'].map((ip) => table.has(ip))).toEqual([
    false,
    true,
    true,
  ])
})
