import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { checkHost } from '../../../../src/codec/spf/check-host.js'
import {
  type CollectedRanges,
  collectRanges,
  isTooWide,
  type WalkLimits,
} from '../../../../src/codec/spf/collect-ranges.js'
import { formatIpv4 } from '../../../../src/ip/address.js'
import { formatCidrs } from '../../../../src/ip/cidr-text.js'
import type { IpRangeSet } from '../../../../src/ip/ip-range-set.js'
import { hasIpv4 } from '../../../../src/ip/ipv4-range-set.js'
import { answerFromZone, type Zone } from './answer-from-zone.js'

const walk = (zone: Zone, domain = 'd.example', limits?: WalkLimits): CollectedRanges =>
  answerFromZone(collectRanges(domain, limits), zone)
const textOf = (set: IpRangeSet): string => {
  const { ipv4, ipv6 } = formatCidrs(set, ' ')
  return Buffer.concat([ipv4.text, ipv6.text]).toString().trim()
}
/** The ranges of a record, in words. */
const ranges = (record: string, rest: Zone = {}): Record<string, unknown> => {
  const result = walk({ 'd.example': { TXT: [record], A: ['192.0.2.1'], AAAA: ['2001:db8::1'] }, ...rest })
  if (!result.ok) return { [result.result]: result.reason }
  const { sure, possible, hasClientTerms } = result.ranges
  return {
    sure: textOf(sure),
    ...(textOf(possible) === '' ? {} : { possible: textOf(possible) }),
    ...(hasClientTerms ? { hasClientTerms } : {}),
  }
}

describe('the ranges of an SPF record', () => {
  test.each([
    [
      'networks come collapsed',
      'v=spf1 ip4:192.0.2.0/25 ip4:192.0.2.128/25 ip6:2001:db8::/32 -all',
      '192.0.2.0/24 2001:db8::/32',
    ],
    [
      'what does not pass is left out',
      'v=spf1 ?ip4:192.0.2.0/24 ~ip4:198.51.100.0/24 ip4:203.0.113.7',
      '203.0.113.7/32',
    ],
    ['the first term decides', 'v=spf1 -ip4:192.0.2.0/25 ip4:192.0.2.0/24 -all', '192.0.2.128/25'],
    ['nothing behind all counts', 'v=spf1 ?all ip4:192.0.2.0/24 redirect=other.example', ''],
    ['IPv4 in the form of IPv6 is nobody', 'v=spf1 ip6:::ffff:192.0.2.1 -all', ''],
    ['the hosts of the domain, with their lengths', 'v=spf1 a/24//64 -all', '192.0.2.0/24 2001:db8::/64'],
    ['a macro of the domain alone is a name', 'v=spf1 a:%{d} -all', '192.0.2.1/32 2001:db8::1/128'],
  ])('%s', (_, record, sure) => {
    expect(ranges(record)).toEqual({ sure })
  })

  test('mail hosts, included records and redirects are followed', () => {
    const rest: Zone = {
      'mx.example': { A: ['198.51.100.1'], AAAA: ['2001:db8:1::1'] },
      'mxed.example': { MX: [[10, 'mx.example']] },
      'one.example': { TXT: ['v=spf1 ip4:203.0.113.0/28 a:%{o} ?all'] },
      'next.example': { TXT: ['v=spf1 ip4:203.0.113.128/28 -all'] },
    }
    expect(ranges('v=spf1 mx:mxed.example include:one.example redirect=next.example', rest)).toEqual({
      sure: '192.0.2.1/32 198.51.100.1/32 203.0.113.0/28 203.0.113.128/28 2001:db8::1/128 2001:db8:1::1/128',
    })
  })

  test('an included record that passes for none of a range lets the next term decide', () => {
    const rest: Zone = { 'one.example': { TXT: ['v=spf1 -ip4:192.0.2.0/25 ip4:192.0.2.0/24 -all'] } }
    expect(ranges('v=spf1 -include:one.example ip4:192.0.2.0/24', rest)).toEqual({ sure: '192.0.2.0/25' })
  })

  test.each([
    ['v=spf1 exists:%{i}.example ip4:192.0.2.1 -all', { sure: '192.0.2.1/32', hasClientTerms: true }],
    ['v=spf1 ptr ip4:192.0.2.1 -all', { sure: '192.0.2.1/32', hasClientTerms: true }],
    ['v=spf1 redirect=%{l}.example', { sure: '', hasClientTerms: true }],
    [
      'v=spf1 ip4:192.0.2.1 -exists:%{i}.bad.example ip4:192.0.2.0/24',
      {
        sure: '192.0.2.1/32',
        possible:
          '192.0.2.0/32 192.0.2.2/31 192.0.2.4/30 192.0.2.8/29 192.0.2.16/28 192.0.2.32/27 192.0.2.64/26 192.0.2.128/25',
      },
    ],
    ['v=spf1 -ptr ip4:192.0.2.0/30', { sure: '', possible: '192.0.2.0/30' }],
    ['v=spf1 ?include:client.example ip4:192.0.2.0/30', { sure: '', possible: '192.0.2.0/30' }],
    ['v=spf1 include:client.example ip4:192.0.2.0/30', { sure: '192.0.2.0/30', hasClientTerms: true }],
  ])('terms that hang on the client: %s', (record, want) => {
    expect(ranges(record, { 'client.example': { TXT: ['v=spf1 exists:%{i}.x.example -all'] } })).toEqual(want)
  })

  test('an error that only a check of one client can meet leaves the ranges behind it certain', () => {
    const text = 'v=spf1 include:%{p}.example ip4:192.0.2.0/30 -all'
    const zone: Zone = { 'd.example': { TXT: [text] } }
    expect(ranges(text)).toEqual({ sure: '192.0.2.0/30', hasClientTerms: true })
    const request = { clientIp: '192.0.2.1', domain: 'd.example', helo: 'h.example' }
    expect(answerFromZone(checkHost(request), zone).result).toBe('permerror')
  })

  test('a name that exists for everyone is all addresses', () => {
    const result = walk({ 'd.example': { TXT: ['v=spf1 exists:d.example'], A: ['192.0.2.1'] } })
    expect(result.ok && isTooWide(result.ranges)).toBe(true)
  })

  test.each([
    ['v=spf1 +all', true],
    ['v=spf1 -exists:%{i}.x.example +all', true],
    ['v=spf1 ip4:10.0.0.0/12', false],
    ['v=spf1 ip4:10.0.0.0/12 ip4:192.0.2.1', true],
    ['v=spf1 ip4:0.0.0.0/1 ip4:128.0.0.0/1', true],
    ['v=spf1 a/0', true],
    ['v=spf1 ip6:2001:db0::/28', false],
    ['v=spf1 ip6:2001:db0::/28 ip6:2600::/64', true],
    ['v=spf1 ?all', false],
  ])('%s is too wide: %s', (record, isWide) => {
    const result = walk({ 'd.example': { TXT: [record], A: ['192.0.2.1'] } })
    expect(result.ok && isTooWide(result.ranges)).toBe(isWide)
  })

  test.each([
    ['none', 'v=spf2 a'],
    ['permerror', 'v=spf1 nonsense'],
    ['permerror', 'v=spf1 include:nowhere.example'],
    ['permerror', 'v=spf1 include:d.example'],
    ['permerror', 'v=spf1 a:1.x a:2.x a:n1.example a:n2.example a:n3.example'],
    ['permerror', `v=spf1 ${'ip4:192.0.2.1 '.repeat(600)}`],
    ['temperror', 'v=spf1 a:slow.example'],
    ['temperror', 'v=spf1 mx:mxed.example'],
  ])('%s: %s', (result, record) => {
    const rest: Zone = { 'slow.example': { timeout: true }, 'mxed.example': { MX: [[0, 'slow.example']] } }
    expect(Object.keys(ranges(record, rest))).toEqual([result])
  })

  test('limits of a walk may be others', () => {
    const zone: Zone = { 'd.example': { TXT: [`v=spf1 ${'a '.repeat(20)}-all`], A: ['192.0.2.1'] } }
    expect(walk(zone).ok).toBe(false)
    expect(walk(zone, 'd.example', { lookupTerms: 20 }).ok).toBe(true)
  })

  test('no names besides those of host names are walked', () => {
    expect(walk({}, '[192.0.2.1]')).toMatchObject({ result: 'none' })
  })
})

/** Records over a universe of 16 addresses, two included records, and terms that hang on the client. */
const network = fc
  .record({ bits: fc.integer({ min: 28, max: 32 }), host: fc.integer({ min: 0, max: 15 }) })
  .map(({ bits, host }) => `ip4:192.0.2.${host}/${bits}`)
const term = (names: string[]) =>
  fc
    .tuple(
      fc.constantFrom('', '-', '?', '~'),
      fc.oneof(
        { arbitrary: network, weight: 5 },
        fc.constantFrom(
          'a:host.example/30',
          'mx:mxed.example',
          'exists:%{i}.odd.example',
          'ptr:p.example',
          ...names,
        ),
      ),
    )
    .map((parts) => parts.join(''))
const record = (names: string[], tail: string[]) =>
  fc
    .tuple(fc.array(term(names), { maxLength: 5 }), fc.constantFrom('', ' -all', ' ?all', ...tail))
    .map(([terms, end]) => `v=spf1 ${terms.join(' ')}${end}`)

test('each sure address passes its check, and each that passes is sure, possible or by a term of the client', () => {
  const odd: Zone = Object.fromEntries(
    [1, 3, 5, 7, 9, 11, 13, 15].map((host) => [`192.0.2.${host}.odd.example`, { A: ['127.0.0.2'] }]),
  )
  const hosts: Zone = {
    ...odd,
    'host.example': { A: ['192.0.2.5'] },
    'mx.example': { A: ['192.0.2.9'] },
    'mxed.example': { MX: [[0, 'mx.example']] },
    '4.2.0.192.in-addr.arpa': { PTR: ['p.example'] },
    'p.example': { A: ['192.0.2.4'] },
  }
  const included = ['include:one.example', 'include:two.example']
  const zones = fc.record({
    'd.example': record(included, [' redirect=two.example', ' +all']),
    'one.example': record(['include:two.example'], [' redirect=two.example']),
    'two.example': record([], []),
  })
  fc.assert(
    fc.property(zones, (texts) => {
      const own = Object.entries(texts).map(([name, text]) => [name, { TXT: [text] }])
      const zone: Zone = { ...hosts, ...Object.fromEntries(own) }
      const result = walk(zone, 'd.example', { lookupTerms: 100, voidTerms: 100 })
      if (!result.ok) throw new Error(result.reason)
      const { sure, possible, hasClientTerms } = result.ranges
      for (let host = 0; host < 16; host += 1) {
        const value = 0xc0000200 + host
        const request = { clientIp: formatIpv4(value), domain: 'd.example', helo: 'h.example' }
        const verdict = answerFromZone(checkHost(request), zone)
        if (verdict.result === 'permerror') continue
        const isPass = verdict.result === 'pass'
        if (hasIpv4(sure.ipv4, value)) expect(isPass).toBe(true)
        else if (isPass) expect(hasIpv4(possible.ipv4, value) || hasClientTerms).toBe(true)
      }
    }),
    { numRuns: 600 },
  )
})
