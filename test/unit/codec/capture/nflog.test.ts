import { describe, expect, test } from 'vitest'
import { decodeNflog, MAX_NFLOG_TLVS, MAX_PREFIX_BYTES } from '../../../../src/codec/capture/nflog.js'
import { encodeNflog } from '../../../support/capture/encode-nflog.js'
import { mailSyn, nflogRecord } from '../../../support/log-records.js'

const SYN = mailSyn('192.0.2.1', '198.51.100.25')
const tlv = (length: number, type: number, ...value: number[]) => [
  length & 255,
  length >> 8,
  type & 255,
  type >> 8,
  ...value,
]

describe('decodeNflog', () => {
  test.each(['little', 'big'] as const)('reads what a %s-endian host writes', (byteOrder) => {
    const fields = {
      family: 2,
      group: 0x1234,
      hook: 1,
      inputIndex: 70_000,
      outputIndex: 3,
      prefix: 'spamd-in',
      payload: SYN,
    }
    const bytes = Uint8Array.from(encodeNflog(fields, byteOrder))
    expect(decodeNflog(bytes, byteOrder)).toEqual({ ok: true, value: fields, bytesRead: bytes.length })
  })

  test('reads a record written by hand: little-endian heads, big-endian values', () => {
    const bytes = Uint8Array.of(
      10,
      0,
      0,
      25,
      ...tlv(8, 1, 0x86, 0xdd, 3, 0),
      ...tlv(7, 10, 0x61, 0x62, 0, 0),
      ...tlv(8, 5, 0, 0, 0, 2),
      ...tlv(6, 9 | 0x4000, 0x60, 0x01),
    )
    expect(decodeNflog(bytes, 'little')).toMatchObject({
      ok: true,
      value: {
        family: 10,
        group: 25,
        hook: 3,
        prefix: 'ab',
        inputIndex: undefined,
        outputIndex: 2,
        payload: Uint8Array.of(0x60, 1),
      },
    })
  })

  test.each<[string, Uint8Array, string, number]>([
    ['nothing', Uint8Array.of(), 'truncated', 0],
    ['fewer than 4 bytes', Uint8Array.of(2, 0, 0), 'truncated', 3],
    ['another version', Uint8Array.of(2, 1, 0, 0), 'version', 1],
    ['a length below 4', Uint8Array.of(2, 0, 0, 0, ...tlv(3, 9)), 'tlv-length', 4],
    ['a length of 0, which would not move on', Uint8Array.of(2, 0, 0, 0, ...tlv(0, 9)), 'tlv-length', 4],
    ['a length past the end', Uint8Array.of(2, 0, 0, 0, ...tlv(9, 9, 1, 2, 3, 4)), 'tlv-length', 4],
    [
      'the second of two',
      Uint8Array.of(2, 0, 0, 0, ...tlv(5, 2, 0, 0, 0, 0), ...tlv(3, 9)),
      'tlv-length',
      12,
    ],
    ['no payload', nflogRecord(SYN).subarray(0, 4), 'no-payload', 4],
    [
      'more attributes than the kernel has',
      Uint8Array.from([2, 0, 0, 0, ...new Array(MAX_NFLOG_TLVS + 1).fill(tlv(4, 2)).flat()]),
      'too-many-tlvs',
      4 + MAX_NFLOG_TLVS * 4,
    ],
  ])('refuses %s', (_name, bytes, reason, offset) => {
    expect(decodeNflog(bytes, 'little')).toEqual({ ok: false, reason, offset })
  })

  test('attributes that are too short for their number are passed over', () => {
    const bytes = Uint8Array.of(
      2,
      0,
      0,
      0,
      ...tlv(6, 1, 8, 0, 0, 0),
      ...tlv(6, 4, 1, 1, 0, 0),
      ...tlv(5, 9, 0x45),
    )
    expect(decodeNflog(bytes, 'little')).toMatchObject({
      ok: true,
      value: { hook: undefined, inputIndex: undefined },
    })
  })

  test('a prefix longer than the kernel allows is cut', () => {
    const result = decodeNflog(nflogRecord(SYN, { prefix: 'x'.repeat(500) }), 'little')
    expect(result.ok && result.value.prefix).toBe('x'.repeat(MAX_PREFIX_BYTES))
  })

  test('every prefix of a record is refused or lacks only padding', () => {
    const record = nflogRecord(SYN, { hook: 1, prefix: 'in' })
    for (let length = 0; length < record.length; length += 1) {
      expect(decodeNflog(record.subarray(0, length), 'little').ok).toBe(false)
    }
    const odd = nflogRecord(SYN.subarray(0, 37))
    expect(decodeNflog(odd.subarray(0, odd.length - 3), 'little').ok).toBe(true)
  })
})
