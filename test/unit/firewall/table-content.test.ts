import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { TableSpec } from '../../../src/firewall/backend.js'
import { checkTable } from '../../../src/firewall/table-content.js'
import { formatIpv4, formatIpv6 } from '../../../src/ip/address.js'
import { parseCidr } from '../../../src/ip/cidr.js'
import { contentOf } from '../../support/table-content.js'

const NETWORKS: TableSpec = { name: 'spamd', content: 'networks' }
const HOSTS: TableSpec = { name: 'spamd-white', content: 'hosts' }

const check = (table: TableSpec, prefix: string) => () => checkTable(table, contentOf([prefix]))

describe('what may be loaded', () => {
  test.each([
    '0.0.0.0/1',
    '0.0.0.0/32',
    '10.0.0.0/8',
    '255.255.255.255/32',
    '128.0.0.0/1',
    '192.0.2.128/25',
    '::/1',
    '::/128',
    '::1/128',
    '8000::/1',
    '2001:db8::/32',
    '2001:db8:0:1::/64',
    '1:0:0:2::/64',
    '2001:0:0:1::2/128',
    '1:2:3:4:5:6:7:8/128',
    '1:2:3:4:5:6:7:0/112',
    'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128',
  ])('%s', (prefix) => {
    expect(check(NETWORKS, prefix)).not.toThrow()
  })

  test('nothing at all', () => {
    expect(() => checkTable(NETWORKS, contentOf([]))).not.toThrow()
  })
})

describe('what must never reach a packet filter', () => {
  test.each([
    ['everybody', '0.0.0.0/0'],
    ['everybody of IPv6', '::/0'],
    ['host bits', '10.0.0.1/8'],
    ['host bits of IPv6', '2001:db8::1/32'],
    ['no length', '10.0.0.1'],
    ['a length beyond the address', '10.0.0.0/33'],
    ['a length beyond IPv6', '2001:db8::/129'],
    ['a length with leading zero', '10.0.0.0/08'],
    ['an empty length', '10.0.0.0/'],
    ['two lengths', '10.0.0.0/8/9'],
    ['leading zeros, which FreeBSD reads as octal', '010.0.0.0/8'],
    ['a short form', '10/8'],
    ['hexadecimal', '0x0a.0.0.0/8'],
    ['an octet of 256', '256.0.0.0/8'],
    ['five octets', '1.2.3.4.5/32'],
    ['a name', 'localhost'],
    ['an interface', 'em0/24'],
    ['the machine itself', 'self'],
    ['a negation, which would open a hole', '!10.0.0.0/8'],
    ['a weight', '10.0.0.0/8 weight 3'],
    ['a comment', '10.0.0.0/8#x'],
    ['a leading blank', ' 10.0.0.0/8'],
    ['a trailing blank', '10.0.0.0/8 '],
    ['CR', '10.0.0.0/8\r'],
    ['NUL', '10.0.0.0/8\0'],
    ['a BOM', '\ufeff10.0.0.0/8'],
    ['an empty line', ''],
    ['nft syntax', '10.0.0.0/8 } ; flush ruleset'],
    ['shell syntax', '$(reboot)'],
    ['a range', '10.0.0.1-10.0.0.5'],
    ['capital hexadecimal', '2001:DB8::/32'],
    ['a gap of one group', '1:2:3::5:6:7:8/128'],
    ['a gap that is not the longest', '1::2:0:0:0:3/128'],
    ['the second of two equal gaps', '1:0:0:2::3:4/128'],
    ['zeros that should be a gap', '1:0:0:0:0:0:0:2/128'],
    ['leading zeros in a group', '2001:0db8::/32'],
    ['a dotted quad in IPv6', '::ffff:1.2.3.4/128'],
    ['two gaps', '1::2::3/128'],
    ['a colon at the end', '1:2:3:4:5:6:7:/112'],
    ['a colon at the start', ':1:2:3:4:5:6:7/128'],
    ['nine groups', '1:2:3:4:5:6:7:8:9/128'],
    ['a zone', 'fe80::%em0/64'],
  ])('%s: %j', (_name, prefix) => {
    expect(check(NETWORKS, prefix)).toThrow(
      expect.objectContaining({
        code: 'ERR_FIREWALL_CONTENT',
        message: expect.stringContaining('entry 1 is not a canonical prefix') as string,
      }) as Error,
    )
  })

  test.each(['10.0.0.0/24', '10.0.0.0/31', '2001:db8::/64', '2001:db8::/127'])('%s is no host', (prefix) => {
    expect(check(HOSTS, prefix)).toThrow('is not a canonical host')
  })

  test('a last line that was cut: its address would be another one', () => {
    const content = contentOf(['10.0.0.1/32', '192.0.2.123/32'])
    const cut = { ...content, ipv4: { ...content.ipv4, text: content.ipv4.text.subarray(0, -1) } }
    expect(() => checkTable(HOSTS, cut)).toThrow('entry 2 is not a canonical host')
  })

  test('of a long line the first 60 bytes are told, and of several the first bad one', () => {
    expect(check(NETWORKS, `${'x'.repeat(60)}y`)).toThrow(
      `entry 1 is not a canonical prefix: "${'x'.repeat(60)}"`,
    )
    expect(() => checkTable(NETWORKS, contentOf(['10.0.0.0/8', '192.0.2.0/24', 'bad', 'worse']))).toThrow(
      'refused to load table "spamd": entry 3 is not a canonical prefix: "bad"',
    )
  })

  test('a count that does not fit the text', () => {
    const content = contentOf(['10.0.0.1/32', '2001:db8::1/128'])
    expect(() => checkTable(HOSTS, { ...content, ipv6: { ...content.ipv6, count: 2 } })).toThrow(
      '1 ipv6 prefixes where 2 were announced',
    )
  })

  test('a family in the place of the other', () => {
    const { ipv4, ipv6 } = contentOf(['10.0.0.1/32', '2001:db8::1/128'])
    expect(() => checkTable(HOSTS, { ipv4: ipv6, ipv6: ipv4 })).toThrow('entry 1 is not a canonical host')
  })

  test.each(['', '-x', '6a', 'a b', 'a;b', '../x', 'spamd\n', 'a'.repeat(25), '<x>', 'é'])(
    'table name %j',
    (name) => {
      expect(() => checkTable({ name, content: 'hosts' }, contentOf([]))).toThrow('a table name has 1 to 24')
    },
  )
})

describe('by property', () => {
  const length = fc.integer({ min: 0, max: 140 })
  const text = fc.oneof(
    fc.tuple(fc.nat({ max: 0xffffffff }), length).map(([value, bits]) => `${formatIpv4(value)}/${bits}`),
    fc
      .tuple(
        fc.array(fc.oneof(fc.constant(0), fc.nat({ max: 0xffff })), { minLength: 8, maxLength: 8 }),
        length,
      )
      .map(([groups, bits]) => `${formatIpv6(groups)}/${bits}`),
    fc
      .array(fc.constantFrom(':', ':', '0', '1', 'f', 'A', '.', '/', '128'), { maxLength: 12 })
      .map((parts) => parts.join('')),
  )

  test('a line passes exactly when it is what our own formatter writes, and no /0', () => {
    fc.assert(
      fc.property(text, (prefix) => {
        const parsed = parseCidr(prefix)
        const isMapped = prefix.startsWith('::ffff:') && prefix.includes(':')
        fc.pre(!isMapped)
        const isCanonical =
          parsed !== undefined &&
          parsed.prefixLength > 0 &&
          `${parsed.address}/${parsed.prefixLength}` === prefix
        if (isCanonical) expect(check(NETWORKS, prefix)).not.toThrow()
        else expect(check(NETWORKS, prefix)).toThrow('refused to load table')
      }),
      { numRuns: 5_000 },
    )
  })
})
