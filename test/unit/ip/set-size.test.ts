import fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatCidrs } from '../../../src/ip/cidr-text.js'
import { type IpRangeSet, isEmptySet } from '../../../src/ip/ip-range-set.js'
import { countAddresses, intersectSet, overlaps } from '../../../src/ip/set-size.js'
import { assignedIpv6Space, setOfCidrs, specialUseSpace } from '../../../src/ip/special-use.js'

function cidrsOf(...texts: string[]): string[] {
  return textOf(setOfCidrs(texts))
}

function textOf(set: IpRangeSet): string[] {
  const { ipv4, ipv6 } = formatCidrs(set)
  return Buffer.concat([ipv4.text, ipv6.text]).toString('latin1').split('\n').slice(0, -1)
}

test('addresses are counted in both families', () => {
  expect(countAddresses(setOfCidrs([]))).toEqual({ ipv4: 0, ipv6: 0 })
  expect(countAddresses(setOfCidrs(['0.0.0.0/1', '192.0.2.1', '198.51.100.0/24']))).toEqual({
    ipv4: 2 ** 31 + 257,
    ipv6: 0,
  })
  expect(countAddresses(setOfCidrs(['2001:db8::/120', '2001:db8:1::1'])).ipv6).toBe(257)
  expect(countAddresses(setOfCidrs(['2a00::/19'])).ipv6).toBe(2 ** 109)
  expect(countAddresses(setOfCidrs(['2001:db8::/64'])).ipv6).toBe(2 ** 64)
})

test('what is no address is left out, and host bits are cleared', () => {
  expect(cidrsOf('x', '10.1.2.3/8', '::ffff:192.0.2.1', '2001:db8::1/32', '')).toEqual([
    '10.0.0.0/8',
    '192.0.2.1/32',
    '2001:db8::/32',
  ])
})

test('special-use space is what no mail server has, and nothing else', () => {
  const has = (text: string) => overlaps(specialUseSpace(), setOfCidrs([text]))
  for (const text of [
    '0.0.0.0',
    '10.255.255.255',
    '100.64.0.0',
    '100.127.255.255',
    '127.0.0.1',
    '169.254.1.1',
  ])
    expect(has(text), text).toBe(true)
  for (const text of [
    '172.16.0.0',
    '172.31.255.255',
    '192.0.0.255',
    '192.168.0.1',
    '198.19.255.255',
    '224.0.0.1',
  ])
    expect(has(text), text).toBe(true)
  for (const text of ['255.255.255.255', '::1', 'fe80::1', 'fd00::1', 'ff02::1', '1fff::', '4000::'])
    expect(has(text), text).toBe(true)
  for (const text of ['1.0.0.0', '9.255.255.255', '11.0.0.0', '100.63.255.255', '100.128.0.0', '128.0.0.1'])
    expect(has(text), text).toBe(false)
  for (const text of [
    '172.15.255.255',
    '172.32.0.0',
    '192.0.1.0',
    '192.0.2.1',
    '198.20.0.0',
    '223.255.255.255',
  ])
    expect(has(text), text).toBe(false)
  for (const text of [
    '2000::',
    '2001:db8::1',
    '3fff:ffff::',
    '198.51.100.1',
    '203.0.113.1',
    '198.17.255.255',
  ])
    expect(has(text), text).toBe(false)
  expect(isEmptySet(intersectSet(specialUseSpace(), assignedIpv6Space()))).toBe(true)
})

test('overlap and intersection agree', () => {
  const cidr = fc.oneof(
    fc.tuple(fc.nat(63), fc.integer({ min: 26, max: 32 })).map(([host, bits]) => `192.0.2.${host}/${bits}`),
    fc
      .tuple(fc.nat(63), fc.integer({ min: 122, max: 128 }))
      .map(([host, bits]) => `2001:db8::${host.toString(16)}/${bits}`),
  )
  const set = fc.array(cidr, { maxLength: 6 }).map(setOfCidrs)
  fc.assert(
    fc.property(set, set, (left, right) => {
      expect(overlaps(left, right)).toBe(!isEmptySet(intersectSet(left, right)))
      expect(textOf(intersectSet(left, right))).toEqual(textOf(intersectSet(right, left)))
    }),
  )
})
