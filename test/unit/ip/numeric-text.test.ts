import { isIPv4, isIPv6 } from 'node:net'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isIpv4Text, isIpv6Text } from '../../../src/ip/numeric-text.js'

const odd = [
  '',
  ':',
  '::',
  ':::',
  '::1',
  '1::',
  '1:',
  ':1',
  '1:2:3:4:5:6:7:8',
  '1:2:3:4:5:6:7:8:9',
  '1:2:3:4:5:6:7::',
  '::2:3:4:5:6:7:8',
  '1::2:3:4:5:6:7:8',
  '1:2:3:4:5:6:1.2.3.4',
  '1:2:3:4:5:6:7:1.2.3.4',
  '::1.2.3.4',
  '1.2.3.4::',
  '::1.2.3.4:1',
  '::01.2.3.4',
  '12345::',
  '::g',
  '1::2::3',
  '0.0.0.0',
  '255.255.255.255',
  '256.0.0.1',
  '01.2.3.4',
  '1.2.3',
  '1.2.3.4.5',
  '1.2.3.4\n',
  '::1\n',
  ' ::1',
  'ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255',
]

test.each(odd)('%j is judged as node:net does', (text) => {
  expect(isIpv4Text(text)).toBe(isIPv4(text))
  expect(isIpv6Text(text)).toBe(isIPv6(text))
})

test('any text of the alphabet is judged as node:net does', () => {
  const piece = fc.constantFrom(
    ':',
    '::',
    '.',
    '0',
    '1',
    '25',
    '255',
    '256',
    'f',
    'ffff',
    'fffff',
    '00',
    '1.2.3.4',
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 18 }), (pieces) => {
      const text = pieces.join('')
      expect(isIpv4Text(text)).toBe(isIPv4(text))
      expect(isIpv6Text(text)).toBe(isIPv6(text))
    }),
    { numRuns: 20_000 },
  )
})

test('addresses are judged as node:net does', () => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6(), fc.ipV4Extended()), (text) => {
      expect(isIpv4Text(text)).toBe(isIPv4(text))
      expect(isIpv6Text(text)).toBe(isIPv6(text))
    }),
    { numRuns: 5000 },
  )
})
