import { describe, expect, test } from 'vitest'
import {
  INBOUND_PREFIXES,
  OUTBOUND_PREFIXES,
  readSighting,
  type SightingParts,
  type SightingRules,
  type SightingVerdict,
} from '../../../src/app/read-sighting.js'
import { LINK_TYPE_NFLOG } from '../../../src/codec/capture/nflog.js'
import { LINK_TYPE_PFLOG } from '../../../src/codec/capture/pflog.js'
import { TCP_ACK, TCP_SYN, type TcpPacket } from '../../../src/codec/capture/tcp-packet.js'
import { parseCidr } from '../../../src/ip/cidr.js'
import { PFLOG_LAYOUTS, type PflogFields, type PflogLayout } from '../../support/capture/encode-pflog.js'
import { TCP_RST } from '../../support/capture/encode-tcp-packet.js'
import { mailSyn, nflogRecord, pflogRecord } from '../../support/log-records.js'

const RULES: SightingRules = {
  ports: [25],
  direction: 'both',
  excludedNetworks: [],
  inboundGroups: [],
  outboundGroups: [],
  inboundPrefixes: INBOUND_PREFIXES,
  outboundPrefixes: OUTBOUND_PREFIXES,
}
const parts: SightingParts = {
  indexOf: (name) => ({ em0: 2, em1: 3 })[name],
  isOwnAddress: (address) => address === '192.0.2.1' || address === '2001:db8::1',
}
const inbound = (ip: string): SightingVerdict => ({ kind: 'sighting', ip, direction: 'in' })
/** All packets here come from the first address of their family. */
const outbound = (ip: string): SightingVerdict => ({
  kind: 'sighting',
  ip,
  direction: 'out',
  source: ip.includes(':') ? '2001:db8::1' : '192.0.2.1',
})
const IGNORED: SightingVerdict = { kind: 'ignored' }

const pflog = (bytes: Uint8Array, rules: Partial<SightingRules> = {}) =>
  readSighting(bytes, { linkType: LINK_TYPE_PFLOG, byteOrder: 'little' }, { ...RULES, ...rules }, parts)
const nflog = (bytes: Uint8Array, rules: Partial<SightingRules> = {}) =>
  readSighting(bytes, { linkType: LINK_TYPE_NFLOG, byteOrder: 'little' }, { ...RULES, ...rules }, parts)

const SYN = mailSyn('192.0.2.1', '192.0.2.2')
const SYN6 = mailSyn('2001:db8::1', '2001:db8::2')
const record = (fields: PflogFields, layout: PflogLayout = PFLOG_LAYOUTS.openbsd, packet = SYN) =>
  pflogRecord(packet, fields, layout)
const withTcp = (changes: Partial<TcpPacket>) => pflogRecord(mailSyn('192.0.2.1', '192.0.2.2', changes))

describe('pflog: required results of the specification', () => {
  test.each<[string, Uint8Array, Partial<SightingRules>, SightingVerdict]>([
    ['length 100, in, pass, SYN to port 25', record({ direction: 'in' }), {}, inbound('192.0.2.1')],
    ['length 100, out: the destination', record({ direction: 'out' }), {}, outbound('192.0.2.2')],
    [
      'length 61 in 64',
      record({ direction: 'in' }, { length: 61, headerBytes: 64 }),
      {},
      inbound('192.0.2.1'),
    ],
    [
      'length 69 in 72',
      record({ direction: 'in' }, { length: 69, headerBytes: 72 }),
      {},
      inbound('192.0.2.1'),
    ],
    [
      'length 68 in 68',
      record({ direction: 'in' }, { length: 68, headerBytes: 68 }),
      {},
      inbound('192.0.2.1'),
    ],
    ['action block', record({ direction: 'in', action: 1 }), {}, IGNORED],
    ['action redirect', record({ direction: 'in', action: 8 }), {}, IGNORED],
    ['action match', record({ direction: 'in', action: 12 }), {}, IGNORED],
    ['SYN+ACK', withTcp({ flags: TCP_SYN | TCP_ACK }), {}, IGNORED],
    ['RST', withTcp({ flags: TCP_RST }), {}, IGNORED],
    ['no flags', withTcp({ flags: 0 }), {}, IGNORED],
    ['SYN with ECN bits', withTcp({ flags: TCP_SYN | 0xc0 }), {}, inbound('192.0.2.1')],
    ['direction 0', record({ direction: 'both' }), {}, IGNORED],
    ['direction forward', record({ direction: 'forward' }), {}, IGNORED],
    ['direction 255', record({ direction: 'unknown' }), {}, IGNORED],
    ['with -I, out', record({ direction: 'out' }), { direction: 'in' }, IGNORED],
    ['with --direction out, in', record({ direction: 'in' }), { direction: 'out' }, IGNORED],
    ['with -i em1, logged on em0', record({ direction: 'in' }), { interfaceName: 'em1' }, IGNORED],
    [
      'with -i em0, logged on em0',
      record({ direction: 'in' }),
      { interfaceName: 'em0' },
      inbound('192.0.2.1'),
    ],
    [
      'length 45, direction at its own place',
      record({ direction: 'in' }, PFLOG_LAYOUTS.old),
      {},
      inbound('192.0.2.1'),
    ],
    ['IPv6 in', record({ direction: 'in' }, PFLOG_LAYOUTS.openbsd, SYN6), {}, inbound('2001:db8::1')],
    ['IPv6 out', record({ direction: 'out' }, PFLOG_LAYOUTS.freebsd14, SYN6), {}, outbound('2001:db8::2')],
    [
      'an IPv4-mapped source',
      record(
        { direction: 'in' },
        PFLOG_LAYOUTS.openbsd,
        mailSyn('2001:db8::1', '2001:db8::2', {
          source: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 192, 0, 2, 9),
        }),
      ),
      {},
      inbound('192.0.2.9'),
    ],
    ['port 25 as source port only', withTcp({ sourcePort: 25, destinationPort: 40_000 }), {}, IGNORED],
    ['port 587', withTcp({ destinationPort: 587 }), {}, IGNORED],
    [
      'port 587 when asked for',
      withTcp({ destinationPort: 587 }),
      { ports: [25, 587] },
      inbound('192.0.2.1'),
    ],
    ['port 25 when only 587 was asked for', record({ direction: 'in' }), { ports: [587] }, IGNORED],
    ['a fragment', pflogRecord(mailSyn('192.0.2.1', '192.0.2.2', {}, { fragmentOffset: 9 })), {}, IGNORED],
    [
      'a TCP header beyond the snap length',
      record({ direction: 'in' }).subarray(0, 130),
      {},
      { kind: 'undecodable' },
    ],
    ['only the header', record({ direction: 'in' }).subarray(0, 100), {}, { kind: 'undecodable' }],
    ['an empty record', new Uint8Array(0), {}, { kind: 'undecodable' }],
  ])('%s', (_name, bytes, rules, verdict) => {
    expect(pflog(bytes, rules)).toEqual(verdict)
  })

  test.each([20, 44, 253, 255])(
    'header length %i is refused, and told where the packet would have counted',
    (length) => {
      const headerBytes = Math.ceil(length / 4) * 4
      // A header shorter than its fields: only its first bytes exist.
      const bytes = Buffer.concat([
        record({ direction: 'in' }).subarray(0, Math.min(headerBytes, 100)),
        Buffer.alloc(Math.max(0, headerBytes - 100)),
        SYN,
      ])
      bytes[0] = length
      expect(pflog(bytes)).toEqual({ kind: 'bad-header', lengthBytes: length })
      bytes[2] = 1
      expect(pflog(bytes)).toEqual({ kind: 'undecodable' })
      bytes[2] = 0
      expect(pflog(bytes, { ports: [26] })).toEqual({ kind: 'undecodable' })
      expect(pflog(bytes, { interfaceName: 'em1' })).toEqual({ kind: 'undecodable' })
    },
  )

  test('a packet of no family at the place is told for passed records only', () => {
    const bytes = Buffer.from(record({ direction: 'in' }))
    bytes[100] = 0x05
    expect(pflog(bytes)).toEqual({ kind: 'bad-header', lengthBytes: 100 })
    bytes[2] = 1
    expect(pflog(bytes)).toEqual({ kind: 'undecodable' })
  })

  test('a packet of the other family is told as such', () => {
    const bytes = Buffer.from(record({ direction: 'in' }))
    // Also the family behind a translation, in the header of OpenBSD.
    bytes[1] = bytes[62] = 24
    expect(pflog(bytes)).toEqual({ kind: 'other-family', af: 24, version: 4 })
    bytes[2] = 1
    expect(pflog(bytes)).toEqual({ kind: 'undecodable' })
    const other = Buffer.from(record({ direction: 'in' }, PFLOG_LAYOUTS.openbsd, SYN6))
    other[1] = other[62] = 2
    expect(pflog(other)).toEqual({ kind: 'other-family', af: 2, version: 6 })
  })

  test('only the sources named may whitelist by connecting out; inbound does not ask', () => {
    const rules = { outboundSources: [parseCidr('192.0.2.0/31')!, parseCidr('2001:db8::1')!] }
    expect(pflog(record({ direction: 'out' }), rules)).toEqual(outbound('192.0.2.2'))
    expect(pflog(record({ direction: 'out' }, PFLOG_LAYOUTS.openbsd, SYN6), rules)).toEqual(
      outbound('2001:db8::2'),
    )
    const other = mailSyn('192.0.2.3', '192.0.2.2')
    expect(pflog(record({ direction: 'out' }, PFLOG_LAYOUTS.openbsd, other), rules)).toEqual(IGNORED)
    expect(pflog(record({ direction: 'in' }, PFLOG_LAYOUTS.openbsd, other), rules)).toEqual(
      inbound('192.0.2.3'),
    )
    expect(nflog(nflogRecord(other, { prefix: 'spamd-out', hook: 3 }), rules)).toEqual(IGNORED)
  })

  test('self: the addresses of this host may, beside the sources named, and nobody else', () => {
    const rules = { outboundSources: [parseCidr('192.0.2.9')!], isOutboundSelf: true }
    const out = (source: string) =>
      pflog(record({ direction: 'out' }, PFLOG_LAYOUTS.openbsd, mailSyn(source, '192.0.2.2')), rules)
    expect(out('192.0.2.1')).toEqual(outbound('192.0.2.2'))
    expect(out('192.0.2.9')).toMatchObject({ kind: 'sighting', source: '192.0.2.9' })
    expect(out('192.0.2.3')).toEqual(IGNORED)
    expect(pflog(record({ direction: 'out' }, PFLOG_LAYOUTS.openbsd, SYN6), rules)).toEqual(
      outbound('2001:db8::2'),
    )
    expect(pflog(record({ direction: 'out' }), { outboundSources: [parseCidr('192.0.2.9')!] })).toEqual(
      IGNORED,
    )
  })

  test('own networks are left out of outbound traffic only', () => {
    const rules = { excludedNetworks: [parseCidr('192.0.2.0/28')!, parseCidr('2001:db8::/32')!] }
    expect(pflog(record({ direction: 'out' }), rules)).toEqual(IGNORED)
    expect(pflog(record({ direction: 'out' }, PFLOG_LAYOUTS.openbsd, SYN6), rules)).toEqual(IGNORED)
    expect(pflog(record({ direction: 'in' }), rules)).toEqual(inbound('192.0.2.1'))
    expect(
      pflog(record({ direction: 'out' }, PFLOG_LAYOUTS.openbsd, mailSyn('192.0.2.1', '192.0.2.16')), rules),
    ).toEqual(outbound('192.0.2.16'))
  })
})

describe('nflog: the direction is the first of', () => {
  test.each<[string, Parameters<typeof nflogRecord>[1], Partial<SightingRules>, SightingVerdict]>([
    [
      'group: inbound',
      { group: 155, hook: 3 },
      { inboundGroups: [155], outboundGroups: [255] },
      inbound('192.0.2.1'),
    ],
    [
      'group: outbound, before the prefix',
      { group: 255, prefix: 'spamd-in' },
      { outboundGroups: [255] },
      outbound('192.0.2.2'),
    ],
    ['prefix in, before the hook', { prefix: 'spamlogd-in: ', hook: 3 }, {}, inbound('192.0.2.1')],
    ['prefix out', { prefix: 'spamd-out', hook: 1 }, {}, outbound('192.0.2.2')],
    [
      'own prefix word',
      { prefix: 'von-aussen', hook: 3 },
      { inboundPrefixes: ['von'] },
      inbound('192.0.2.1'),
    ],
    ['hook prerouting', { hook: 0 }, {}, inbound('192.0.2.1')],
    ['hook input', { hook: 1, prefix: 'other' }, {}, inbound('192.0.2.1')],
    ['hook output', { hook: 3 }, {}, outbound('192.0.2.2')],
    [
      'hook forward with -i as input',
      { hook: 2, inputIndex: 2, outputIndex: 3 },
      { interfaceName: 'em0' },
      inbound('192.0.2.1'),
    ],
    [
      'hook forward with -i as output',
      { hook: 2, inputIndex: 3, outputIndex: 2 },
      { interfaceName: 'em0' },
      outbound('192.0.2.2'),
    ],
    [
      'hook postrouting with -i as output',
      { hook: 4, outputIndex: 2 },
      { interfaceName: 'em0' },
      outbound('192.0.2.2'),
    ],
    ['the only interface: input', { inputIndex: 3 }, {}, inbound('192.0.2.1')],
    ['the only interface: output', { outputIndex: 3 }, {}, outbound('192.0.2.2')],
    ['nothing', {}, {}, { kind: 'no-direction' }],
    ['nothing: forward without -i', { hook: 2, inputIndex: 2, outputIndex: 3 }, {}, { kind: 'no-direction' }],
    ['-i that was not met, in', { hook: 1, inputIndex: 3 }, { interfaceName: 'em0' }, IGNORED],
    ['-i that was not met, out', { hook: 3, outputIndex: 3 }, { interfaceName: 'em0' }, IGNORED],
    ['-i that does not exist', { hook: 1, inputIndex: 3 }, { interfaceName: 'em9' }, IGNORED],
    ['-I and outbound', { hook: 3 }, { direction: 'in' }, IGNORED],
  ])('%s', (_name, fields, rules, verdict) => {
    expect(nflog(nflogRecord(SYN, fields), rules)).toEqual(verdict)
  })

  test('IPv6, other packets and damage are told apart as for pflog', () => {
    expect(nflog(nflogRecord(SYN6, { hook: 1 }))).toEqual(inbound('2001:db8::1'))
    expect(
      nflog(nflogRecord(mailSyn('192.0.2.1', '192.0.2.2', { destinationPort: 80 }), { hook: 1 })),
    ).toEqual(IGNORED)
    expect(nflog(nflogRecord(SYN, { hook: 1 }).subarray(0, 20))).toEqual({ kind: 'undecodable' })
    expect(nflog(nflogRecord(SYN.subarray(0, 30), { hook: 1 }))).toEqual({ kind: 'undecodable' })
  })
})

test('a record of any other link type is not guessed at', () => {
  expect(readSighting(SYN, { linkType: 101, byteOrder: 'little' }, RULES, parts)).toEqual({
    kind: 'undecodable',
  })
})
