import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Entry } from '../../../src/domain/entry.js'
import type { EntryQuery } from '../../../src/domain/query.js'
import { compileQuery, hasConditions, sortKeyOf } from '../../../src/domain/query-match.js'

const times = { first: 100, pass: 200, expire: 300, bcount: 1, pcount: 0 }
const white: Entry = { kind: 'WHITE', ip: '192.0.2.7', ...times }
const pinned: Entry = { kind: 'WHITE', ip: '2001:db8::1', ...times, expire: 0 }
const trap: Entry = { kind: 'SPAMTRAP', address: 'trap@example.org', first: 100 }
const grey: Entry = {
  kind: 'GREY',
  ip: '192.0.2.8',
  helo: 'MX1.Example.NET',
  from: '<Bob@Example.org>',
  to: '<>',
  ...times,
}
const network: Entry = { ...grey, ip: '192.0.2.0/26' }

describe('query conditions', () => {
  test.each<{ name: string; query: EntryQuery; want: Entry[] }>([
    { name: 'no condition', query: {}, want: [white, pinned, trap, grey, network] },
    { name: 'kinds', query: { kinds: ['WHITE', 'SPAMTRAP'] }, want: [white, pinned, trap] },
    { name: 'network', query: { network: '192.0.2.0/29' }, want: [white] },
    {
      name: 'network keys lie inside as a whole',
      query: { network: '192.0.2.0/25' },
      want: [white, grey, network],
    },
    { name: 'IPv6 network', query: { network: '2001:db8::/32' }, want: [pinned] },
    { name: 'all of IPv4', query: { network: '0.0.0.0/0' }, want: [white, grey, network] },
    { name: 'suffix, case ignored, brackets off', query: { from: 'example.ORG' }, want: [grey, network] },
    { name: 'glob matches the whole text', query: { from: 'b?b@*' }, want: [grey, network] },
    { name: 'glob that does not', query: { from: 'b?b' }, want: [] },
    { name: 'empty text of the null sender', query: { to: '*' }, want: [grey, network] },
    { name: 'helo', query: { helo: 'mx*.net' }, want: [grey, network] },
    {
      name: 'expires by: pinned and spamtraps never',
      query: { expiresBy: 300 },
      want: [white, grey, network],
    },
    { name: 'expires later', query: { expiresBy: 299 }, want: [] },
    { name: 'created before', query: { createdBefore: 100 }, want: [] },
    {
      name: 'created before, all',
      query: { createdBefore: 101 },
      want: [white, pinned, trap, grey, network],
    },
    {
      name: 'conditions add up',
      query: { network: '192.0.2.0/24', kinds: ['GREY'], helo: 'net' },
      want: [grey, network],
    },
  ])('$name', ({ query, want }) => {
    expect([white, pinned, trap, grey, network].filter(compileQuery(query))).toEqual(want)
  })

  test('a bad network is refused', () => {
    expect(() => compileQuery({ network: '192.0.2' })).toThrow(RangeError)
  })

  test('only conditions that look at entries count as such', () => {
    expect(hasConditions({ kinds: ['GREY'], limit: 3, sort: 'ip' })).toBe(false)
    expect(hasConditions({ helo: 'x' })).toBe(true)
  })

  test('a glob agrees with the same thing as a regular expression', () => {
    const pattern = fc.string({ unit: fc.constantFrom('a', 'b', '*', '?'), maxLength: 8 })
    const text = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 10 })
    fc.assert(
      fc.property(pattern, text, (glob, helo) => {
        fc.pre(/[*?]/.test(glob))
        const expression = new RegExp(`^${glob.replaceAll('*', '.*').replaceAll('?', '.')}$`)
        const query = compileQuery({ helo: glob })
        expect(query({ ...grey, helo })).toBe(expression.test(helo))
      }),
    )
  })

  test('a glob of many stars ends at once', () => {
    const query = compileQuery({ helo: `${'*a'.repeat(500)}*b` })
    const started = performance.now()
    expect(query({ ...grey, helo: 'a'.repeat(1023) })).toBe(false)
    expect(performance.now() - started).toBeLessThan(5000)
  })
})

describe('sort keys', () => {
  test('addresses sort by family and number', () => {
    const ips = ['10.0.0.10', '10.0.0.9', '9.0.0.1', '2001:db8::2', '::1', '10.0.0.0/8']
    const sorted = ips.toSorted((left, right) => {
      const [a, b] = [left, right].map((ip) => String(sortKeyOf({ ...white, ip } as Entry, 'ip')))
      return a! < b! ? -1 : 1
    })
    expect(sorted).toEqual(['9.0.0.1', '10.0.0.0/8', '10.0.0.9', '10.0.0.10', '::1', '2001:db8::2'])
  })

  test('a kind without the field has no key', () => {
    expect(sortKeyOf(trap, 'expire')).toBeUndefined()
    expect(sortKeyOf(white, 'helo')).toBeUndefined()
    expect(sortKeyOf(grey, 'helo')).toBe('MX1.Example.NET')
    expect(sortKeyOf(trap, 'kind')).toBe('SPAMTRAP')
    expect(sortKeyOf(trap, 'first')).toBe(100)
  })
})
