import { describe, expect, test } from 'vitest'
import { decodePflog, type PflogDirection } from '../../../../src/codec/capture/pflog.js'
import { encodePflog, PFLOG_LAYOUTS } from '../../../support/capture/encode-pflog.js'
import { mailSyn, pflogRecord } from '../../../support/log-records.js'

const SYN = mailSyn('192.0.2.1', '198.51.100.25')
/** The record of a transcript of OpenBSD's spamlogd, header of 100 bytes. */
const OPENBSD_RECORD = Buffer.from(
  `64020000${'656d30'.padEnd(32, '0')}${'0'.repeat(32)}${'00000001'}${'00000000'}${'0'.repeat(32)}01000200${'0'.repeat(72)}450000280001000040060000c0000201c63364199c40001900000001000000005002200000000000`,
  'hex',
)

describe('decodePflog', () => {
  test('reads a record of OpenBSD', () => {
    expect(decodePflog(OPENBSD_RECORD)).toEqual({
      ok: true,
      value: {
        length: 100,
        af: 2,
        action: 0,
        reason: 0,
        ifname: 'em0',
        ruleset: '',
        rulenr: 1,
        subrulenr: 0,
        direction: 'in',
        packetOffset: 100,
      },
      bytesRead: 100,
    })
  })

  test.each(Object.entries(PFLOG_LAYOUTS))('finds packet and direction in the layout %s', (_name, layout) => {
    for (const direction of ['in', 'out', 'both', 'forward', 'unknown'] as PflogDirection[]) {
      const result = decodePflog(encodePflog({ direction, ifname: 'vio0', ruleset: 'mail' }, layout, SYN))
      expect(
        result.ok && [
          result.value.direction,
          result.value.packetOffset,
          result.value.ifname,
          result.value.ruleset,
        ],
      ).toEqual([direction, layout.headerBytes, 'vio0', 'mail'])
    }
  })

  test.each([
    ['8-byte rounding of a header of 68 bytes', 68, 72],
    ['8-byte rounding of a header of 100 bytes', 100, 104],
    ['length 61 before a header of 68 bytes', 61, 68],
    ['a header that may yet come', 200, 200],
    ['the longest header', 252, 252],
  ])('finds the packet behind %s', (_name, length, headerBytes) => {
    const result = decodePflog(encodePflog({ direction: 'in' }, { length, headerBytes }, SYN))
    expect(result.ok && result.value.packetOffset).toBe(headerBytes)
  })

  test.each([10, 24, 28, 30])('takes family %i for IPv6', (af) => {
    expect(decodePflog(pflogRecord(mailSyn('::1', '::2'), { direction: 'in', af })).ok).toBe(true)
  })

  test('with af-to, the packet may be of the translated family', () => {
    const record = pflogRecord(SYN, { direction: 'in', af: 24 })
    expect(decodePflog(record)).toMatchObject({ ok: false, reason: 'no-packet' })
    record[62] = 2
    expect(decodePflog(record).ok).toBe(true)
  })

  test.each<[string, Uint8Array, string]>([
    ['no bytes', new Uint8Array(0), 'truncated'],
    ['length 44', pflogRecord(SYN, { direction: 'in' }, { length: 44, headerBytes: 48 }), 'header-length'],
    ['length 0', new Uint8Array(100), 'header-length'],
    [
      'length 253, whose padded size is no byte',
      pflogRecord(SYN, { direction: 'in' }, { length: 253, headerBytes: 256 }),
      'header-length',
    ],
    ['an unknown family', pflogRecord(SYN, { direction: 'in', af: 3 }), 'family'],
    [
      'a packet of the other family',
      pflogRecord(SYN, { direction: 'in', af: 24 }, PFLOG_LAYOUTS.freebsd14),
      'no-packet',
    ],
  ])('refuses %s', (_name, bytes, reason) => {
    expect(decodePflog(bytes)).toMatchObject({ ok: false, reason })
  })

  test.each(Object.entries(PFLOG_LAYOUTS))(
    'every prefix of a record of layout %s without packet is truncated',
    (_name, layout) => {
      const record = pflogRecord(SYN, { direction: 'in' }, layout)
      for (let length = 0; length <= layout.headerBytes; length += 1) {
        expect(decodePflog(record.subarray(0, length))).toMatchObject({ ok: false, reason: 'truncated' })
      }
      expect(decodePflog(record.subarray(0, layout.headerBytes + 1)).ok).toBe(true)
    },
  )

  test('names of 16 bytes without NUL are read whole', () => {
    const record = pflogRecord(SYN)
    record.fill(0x78, 4, 20)
    const result = decodePflog(record)
    expect(result.ok && result.value.ifname).toBe('x'.repeat(16))
  })
})
