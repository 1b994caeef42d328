import { isIPv6 } from 'node:net'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { AddressScanner } from '../../../../src/codec/lists/address-scanner.js'

const scanner = new AddressScanner()

test.each(['2001:db8::1', '::', 'fe80::', '1:2:3:4:5:6:7:8', '::192.0.2.1', '::1'])(
  'what may follow %s',
  (address) => {
    for (let byte = 0; byte < 256; byte += 1) {
      const bytes = Buffer.from(`${address}${String.fromCharCode(byte)}`, 'latin1')
      const character = String.fromCharCode(byte)
      const isPart = /[0-9A-Za-z:.%_]/.test(character)
      const isStillOne = isIPv6(`${address}${character}`)
      const wanted = isStillOne ? bytes.length : isPart ? -1 : address.length
      // The byte at the end must be no hexadecimal digit, so the text goes on with a line feed.
      expect(
        scanner.scanIpv6(Buffer.concat([bytes, Buffer.from('\n')]), 0, bytes.length),
        JSON.stringify(character),
      ).toBe(wanted)
    }
  },
)

test('what may follow an IPv4 address is left to the caller, but for digits and dots', () => {
  for (let byte = 0; byte < 256; byte += 1) {
    const bytes = Buffer.from(`192.0.2.1${String.fromCharCode(byte)}5`, 'latin1')
    const end = scanner.scanIpv4(bytes, 0, bytes.length)
    const isPart = /[0-9.]/.test(String.fromCharCode(byte))
    expect([end, scanner.octets], String(byte)).toEqual(
      isPart ? [bytes.length, byte === 0x2e ? 0 : scanner.octets] : [9, 4],
    )
    if (!isPart) expect(scanner.ipv4).toBe(0xc0000201)
  }
})

test.each([
  ['192.0.2.255', 4],
  ['192.0.2.256', 0],
  ['256.0.2.1', 0],
  ['192.0.2.1000', 0],
  ['192.0.2', 3],
  ['192.0', 2],
  ['192', 1],
  ['192.', 0],
  ['.192', 0],
  ['1.2.3.4.5', 0],
  ['1.2.3.4.', 0],
  ['1..2', 0],
])('%s has %i numbers', (text, octets) => {
  scanner.scanIpv4(Buffer.from(text), 0, text.length)
  expect(scanner.octets).toBe(octets)
})

test('reads what node:net takes for IPv6, and nothing else', () => {
  const piece = fc.constantFrom(
    '0',
    '1',
    'ffff',
    'db8',
    '12345',
    ':',
    '::',
    ':',
    '192.0.2.1',
    '1.2',
    'g',
    '%',
    '.',
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 17 }), (pieces) => {
      const text = pieces.join('')
      const bytes = Buffer.from(`${text}\n`)
      expect(scanner.scanIpv6(bytes, 0, text.length) === text.length && text !== '', text).toBe(
        isIPv6(text) && !text.includes('%'),
      )
    }),
    {
      numRuns: 20_000,
      // Leading zeros: rare among random ones.
      examples: [[['::', '0', '1.2', '.', '1', '.', '1']], [['::', 'ffff', ':', '0', '192.0.2.1']]],
    },
  )
})
