import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { canonicalIp } from '../../../src/ip/address.js'
import {
  bytesToIp,
  formatCidr,
  ipToBytes,
  isInNetwork,
  networkOf,
  networkText,
  parseCidr,
} from '../../../src/ip/cidr.js'

const accepted: { name: string; text: string; want: string; hadHostBits: boolean }[] = [
  { name: 'plain IPv4 is /32', text: '192.0.2.7', want: '192.0.2.7/32', hadHostBits: false },
  { name: 'plain IPv6 is /128', text: '2001:DB8::1', want: '2001:db8::1/128', hadHostBits: false },
  { name: 'host bits are cleared', text: '10.1.2.3/24', want: '10.1.2.0/24', hadHostBits: true },
  { name: 'odd prefix', text: '10.1.2.3/31', want: '10.1.2.2/31', hadHostBits: true },
  { name: '/0', text: '0.0.0.0/0', want: '0.0.0.0/0', hadHostBits: false },
  { name: '/0 with host bits', text: '1.2.3.4/0', want: '0.0.0.0/0', hadHostBits: true },
  { name: 'last address', text: '255.255.255.255/32', want: '255.255.255.255/32', hadHostBits: false },
  { name: 'IPv6 host bits', text: '2001:db8::1/32', want: '2001:db8::/32', hadHostBits: true },
  { name: 'IPv6 /0', text: '::/0', want: '::/0', hadHostBits: false },
  { name: 'IPv6 odd prefix', text: 'ffff::/3', want: 'e000::/3', hadHostBits: true },
  { name: 'mapped address folds', text: '::ffff:1.2.3.4', want: '1.2.3.4/32', hadHostBits: false },
  { name: 'mapped network folds', text: '::ffff:1.2.3.0/120', want: '1.2.3.0/24', hadHostBits: false },
  { name: 'all mapped is all IPv4', text: '::ffff:0:0/96', want: '0.0.0.0/0', hadHostBits: false },
  { name: 'wider than mapped stays IPv6', text: '::ffff:0:0/80', want: '::/80', hadHostBits: true },
]
test.each(accepted)('$name: $text', ({ text, want, hadHostBits }) => {
  const parsed = parseCidr(text)
  expect(parsed).toBeDefined()
  expect(formatCidr(parsed!)).toBe(want)
  expect(parsed!.hadHostBits).toBe(hadHostBits)
})

test.each([
  '',
  '/',
  '10/8',
  '10.0.0.0/',
  '10.0.0.0/33',
  '10.0.0.0/08',
  '10.0.0.0/-1',
  '10.0.0.0/255.0.0.0',
  '10.0.0.0/8 ',
  ' 10.0.0.0/8',
  '010.0.0.0/8',
  '::/129',
  '::ffff:1.2.3.4/129',
  'fe80::1%em0/64',
  'example.org/24',
  '10.0.0.0/8/8',
  '10.0.0.0/1e1',
])('refuses %j', (text) => {
  expect(parseCidr(text)).toBeUndefined()
})

describe('isInNetwork', () => {
  test.each([
    ['192.0.2.255', '192.0.2.0/24', true],
    ['192.0.3.0', '192.0.2.0/24', false],
    ['192.0.2.1', '0.0.0.0/0', true],
    ['::1', '0.0.0.0/0', false],
    ['192.0.2.1', '::/0', false],
    ['2001:db8:ffff::1', '2001:db8::/32', true],
    ['2001:db9::', '2001:db8::/32', false],
    ['10.0.0.3', '10.0.0.2/31', true],
    ['10.0.0.4', '10.0.0.2/31', false],
  ])('%s in %s is %s', (ip, cidr, want) => {
    expect(isInNetwork(ip, parseCidr(cidr)!)).toBe(want)
  })
})

const ipv4 = fc.uint8Array({ minLength: 4, maxLength: 4 })
const ipv6 = fc.uint8Array({ minLength: 16, maxLength: 16 })

test('bytes and text are the same address', () => {
  fc.assert(
    fc.property(fc.oneof(ipv4, ipv6), (bytes) => {
      const text = bytesToIp(bytes)
      fc.pre(canonicalIp(text) === text)
      expect(ipToBytes(text)).toEqual(bytes)
    }),
  )
})

test('an address lies in each of its networks, and text of a network reads back', () => {
  fc.assert(
    fc.property(fc.oneof(ipv4, ipv6), fc.nat(128), (bytes, length) => {
      const text = bytesToIp(bytes)
      fc.pre(canonicalIp(text) === text && length <= bytes.length * 8)
      const network = networkOf(text, length)
      expect(isInNetwork(text, network)).toBe(true)
      const flipped = bytes.slice()
      if (length > 0) flipped[(length - 1) >> 3]! ^= 0x80 >> ((length - 1) & 7)
      expect(isInNetwork(bytesToIp(flipped), network)).toBe(length === 0)
      const read = parseCidr(formatCidr(network))
      fc.pre(read?.family === network.family)
      expect(read).toEqual({ ...network, hadHostBits: false })
    }),
  )
})

test('the text of a network is that of the network, at every length', () => {
  fc.assert(
    fc.property(fc.oneof(ipv4, ipv6), fc.nat(128), (bytes, length) => {
      const text = bytesToIp(bytes)
      fc.pre(canonicalIp(text) === text && length <= bytes.length * 8)
      expect(networkText(text, length)).toBe(formatCidr(networkOf(text, length)))
    }),
  )
  for (let length = 0; length <= 32; length += 1) {
    expect(networkText('255.254.253.252', length)).toBe(formatCidr(networkOf('255.254.253.252', length)))
  }
})

test('a prefix length outside the family is a RangeError', () => {
  for (const length of [33, -1, 1.5]) expect(() => networkText('10.0.0.1', length)).toThrow(RangeError)
  expect(() => networkOf('10.0.0.1', 33)).toThrow(RangeError)
  expect(() => networkOf('::1', 129)).toThrow(RangeError)
  expect(() => networkOf('::1', 1.5)).toThrow(RangeError)
  expect(() => bytesToIp(new Uint8Array(5))).toThrow(RangeError)
})
