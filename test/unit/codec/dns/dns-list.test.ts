import { describe, expect, test } from 'vitest'
import { dnsListQuestion, parseDnsList, readDnsListAnswer } from '../../../../src/codec/dns/dns-list.js'
import { fitName, isAskable, isHostName, reverseName } from '../../../../src/codec/dns/dns-name.js'

const saysOf = (text: string, ...values: string[]): string =>
  readDnsListAnswer(
    parseDnsList(text)!,
    values.length === 0 ? { status: 'none' } : { status: 'found', values },
  )

describe('lists that are asked through DNS', () => {
  test.each([
    'zen.example.org',
    'ZEN.example.org.',
    'list.example=127.0.0.2',
    'list.example=127.0.*.2-3,127.0.0.10-11',
  ])('%s is a list', (text) => {
    expect(parseDnsList(text)).toBeDefined()
  })
  test.each([
    '',
    'zone',
    'a b.example',
    'list.example=',
    'list.example=127.0.0',
    'list.example=127.0.0.256',
    'list.example=127.0.0.3-2',
    'list.example=127.0.0.2,',
    'list.example=127.0.0.1.2',
    'list.example=127.0.0.-2',
    `${'long.'.repeat(40)}example`,
  ])('%j is none', (text) => {
    expect(parseDnsList(text)).toBeUndefined()
  })

  test('an address is asked for backwards', () => {
    const list = parseDnsList('Zen.Example')!
    expect(dnsListQuestion(list, '192.0.2.99')).toEqual({ type: 'A', name: '99.2.0.192.zen.example' })
    expect(dnsListQuestion(list, '2001:db8::1').name).toBe(
      '1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.zen.example',
    )
  })

  test.each([
    ['zen.example', [], 'unlisted'],
    ['zen.example', ['127.0.0.2'], 'listed'],
    ['zen.example', ['127.0.0.1'], 'unusable'],
    ['zen.example', ['127.255.255.254'], 'unusable'],
    ['zen.example', ['127.0.0.2', '127.255.255.252'], 'unusable'],
    ['zen.example', ['192.0.2.80'], 'unusable'],
    ['zen.example', ['not an address'], 'unlisted'],
    ['wl.example=127.0.*.2-3', ['127.0.10.3'], 'listed'],
    ['wl.example=127.0.*.2-3', ['127.0.10.1'], 'unlisted'],
    ['wl.example=127.0.*.2-3', ['127.0.10.1', '127.0.5.2'], 'listed'],
    ['wl.example=127.0.0.*', ['127.0.0.255'], 'unusable'],
    ['wl.example=127.0.0.2,127.0.0.4-8', ['127.0.0.5'], 'listed'],
  ])('%s answers %j: %s', (text, values, listing) => {
    expect(saysOf(text, ...values)).toBe(listing)
  })

  test('no answer says nothing', () => {
    expect(readDnsListAnswer(parseDnsList('zen.example')!, { status: 'failed' })).toBe('unlisted')
  })
})

describe('names', () => {
  test.each([
    ['a.b', true, true],
    ['_spf.a-b.example', true, true],
    ['a', false, false],
    ['a..b', false, false],
    ['a.b.', false, false],
    [`${'x'.repeat(64)}.example`, false, false],
    [`${'x'.repeat(63)}.example`, true, true],
    [`${'ab.'.repeat(84)}x`, true, true],
    [`${'ab.'.repeat(85)}x`, false, false],
    ['a b.example', true, false],
    ['192.0.2.1', true, false],
    ['[192.0.2.1]', true, false],
  ])('%s: askable %s, of a host %s', (name, askable, host) => {
    expect([isAskable(name), isHostName(name)]).toEqual([askable, host])
  })

  test('a name is cut by labels from its left', () => {
    expect(fitName('a.b.')).toBe('a.b')
    expect(fitName(`${'ab.'.repeat(85)}x`)).toBe(`${'ab.'.repeat(84)}x`)
    expect(fitName(`ab.${'c'.repeat(252)}`)).toBe('c'.repeat(252))
    expect(fitName('c'.repeat(300))).toHaveLength(300)
  })

  test('reverse look-ups', () => {
    expect(reverseName('192.0.2.1')).toBe('1.2.0.192.in-addr.arpa')
    expect(reverseName('2001:db8::ff')).toMatch(/^f\.f\.(0\.)+8\.b\.d\.0\.1\.0\.0\.2\.ip6\.arpa$/)
  })
})
