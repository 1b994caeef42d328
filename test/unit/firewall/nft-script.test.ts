import { describe, expect, test } from 'vitest'
import { nftReplaceScript, parseNftElements } from '../../../src/firewall/nft-script.js'
import { cutIntoPortions, missingFrom, sortPrefixes } from '../../../src/firewall/prefix-lines.js'
import { contentOf } from '../../support/table-content.js'

const scriptOf = (...parameters: Parameters<typeof nftReplaceScript>) =>
  Buffer.concat([...nftReplaceScript(...parameters)]).toString()

describe('the transaction that nft reads', () => {
  test('networks: interval sets, flushed and filled by one list each', () => {
    expect(
      scriptOf(
        { name: 'spamd', content: 'networks' },
        contentOf(['10.0.0.0/8', '192.0.2.1/32', '2001:db8::/32']),
      ),
    ).toBe(
      'add table inet spamd\n' +
        'add set inet spamd spamd { type ipv4_addr; flags interval; }\n' +
        'add set inet spamd spamd6 { type ipv6_addr; flags interval; }\n' +
        'flush set inet spamd spamd\n' +
        'flush set inet spamd spamd6\n' +
        'add element inet spamd spamd { 10.0.0.0/8,192.0.2.1/32 }\n' +
        'add element inet spamd spamd6 { 2001:db8::/32 }\n',
    )
  })

  test('hosts: plain sets, which take no prefixes', () => {
    expect(
      scriptOf(
        { name: 'spamd-white', content: 'hosts' },
        contentOf(['192.0.2.1/32', '192.0.2.2/32', '::1/128']),
      ),
    ).toBe(
      'add table inet spamd\n' +
        'add set inet spamd spamd-white { type ipv4_addr; }\n' +
        'add set inet spamd spamd-white6 { type ipv6_addr; }\n' +
        'flush set inet spamd spamd-white\n' +
        'flush set inet spamd spamd-white6\n' +
        'add element inet spamd spamd-white { 192.0.2.1,192.0.2.2 }\n' +
        'add element inet spamd spamd-white6 { ::1 }\n',
    )
  })

  test('nothing: sets are made and emptied', () => {
    expect(scriptOf({ name: 'spamd', content: 'networks' }, contentOf([]))).not.toContain('add element')
  })
})

describe('what nft lists', () => {
  const listing = (elem: unknown[]) =>
    JSON.stringify({ nftables: [{ metainfo: {} }, { set: { name: 'spamd', elem } }] })
  test.each([
    { name: 'no element', json: JSON.stringify({ nftables: [{ set: { name: 'spamd' } }] }), want: [] },
    { name: 'nothing', json: '{}', want: [] },
    {
      name: 'addresses',
      json: listing(['10.0.0.1', '2001:db8::1']),
      want: ['10.0.0.1/32', '2001:db8::1/128'],
    },
    { name: 'prefixes', json: listing([{ prefix: { addr: '10.0.0.0', len: 8 } }]), want: ['10.0.0.0/8'] },
    {
      name: 'a range',
      json: listing([{ range: ['10.0.0.1', '10.0.0.4'] }]),
      want: ['10.0.0.1/32', '10.0.0.2/31', '10.0.0.4/32'],
    },
    {
      name: 'a range of IPv6',
      json: listing([{ range: ['2001:db8::', '2001:db8::2'] }]),
      want: ['2001:db8::/127', '2001:db8::2/128'],
    },
    {
      name: 'an element with a time-out',
      json: listing([{ elem: { val: { prefix: { addr: '10.0.0.0', len: 8 } }, timeout: 60 } }]),
      want: ['10.0.0.0/8'],
    },
    {
      name: 'elements of another kind',
      json: listing([25, null, 'ssh', { concat: ['10.0.0.1', 25] }, { range: ['10.0.0.1', '::1'] }]),
      want: [],
    },
  ])('$name', ({ json, want }) => {
    expect(parseNftElements(json)).toEqual(want)
  })
})

describe('prefix lines', () => {
  const bytes = (text: string) => Buffer.from(text)

  test.each([
    { name: 'less than one portion', parts: ['a\nb\n'], most: 3, want: ['a\nb\n'] },
    { name: 'exactly one', parts: ['a\nb\n'], most: 2, want: ['a\nb\n'] },
    { name: 'more', parts: ['a\nb\nc\n'], most: 2, want: ['a\nb\n', 'c\n'] },
    { name: 'two parts', parts: ['a\n', 'b\nc\n'], most: 2, want: ['a\n', 'b\nc\n'] },
    { name: 'nothing', parts: ['', ''], most: 2, want: [] },
  ])('portions: $name', ({ parts, most, want }) => {
    expect([...cutIntoPortions(parts.map(bytes), most)].map(String)).toEqual(want)
  })

  test('what is missing from the wanted lines', () => {
    expect(String(missingFrom(['1', '2', '3'], [bytes('2\n'), bytes('4\n')]))).toBe('1\n3\n')
  })

  test('sorted by number, not by text', () => {
    expect(
      sortPrefixes([
        '2001:db8::/32',
        '10.0.0.0/8',
        '9.0.0.0/8',
        '::1/128',
        '10.0.0.0/16',
        '255.0.0.0/8',
        '::/1',
      ]),
    ).toEqual(['9.0.0.0/8', '10.0.0.0/8', '10.0.0.0/16', '255.0.0.0/8', '::/1', '::1/128', '2001:db8::/32'])
  })
})
