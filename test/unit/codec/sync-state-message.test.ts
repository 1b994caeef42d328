import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeRecords } from '../../../src/codec/decode-sync-records.js'
import { encodeRecord, encodeSoundRecord } from '../../../src/codec/encode-sync-record.js'
import { MAX_RECORD_BYTES, type SyncRecord } from '../../../src/codec/sync-record.js'
import {
  decodeStateMessage,
  encodeStateMessage,
  MAX_STATE_MESSAGE_BYTES,
  stateKeyOf,
} from '../../../src/codec/sync-state-message.js'
import { canonicalIp } from '../../../src/ip/address.js'
import { bytesToIp } from '../../../src/ip/cidr.js'

const KEY = stateKeyOf(Buffer.from('key\n'))
const HEADER = { node: 7, number: 12, clockMs: 1_700_000_000_000, from: 3, upTo: 9, isTellingAll: true }

const timeOf = fc.integer({ min: 0, max: 2 ** 40 })
const stampOf = fc.record({
  time: timeOf,
  counter: fc.integer({ min: 0, max: 2047 }),
  node: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
})
const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined })
const ipOf = fc
  .oneof(fc.uint8Array({ minLength: 4, maxLength: 4 }), fc.uint8Array({ minLength: 16, maxLength: 16 }))
  .map(bytesToIp)
  .filter((ip) => canonicalIp(ip) === ip)
const wireText = (minLength: number) =>
  fc
    .array(
      fc.integer({ min: 0x20, max: 0xff }).filter((byte) => byte !== 0x7f),
      { minLength, maxLength: 1023 },
    )
    .map((bytes) => String.fromCharCode(...bytes))
const commentOf = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 60 })
  .filter((text) => !/\p{Cc}/u.test(text) && Buffer.from(text).toString() === text)
const seenOf = fc.record({ time: timeOf, node: fc.integer({ min: 0, max: 2 ** 32 - 1 }) })
const count = fc.integer({ min: 0, max: 2 ** 32 - 1 })

const recordOf: fc.Arbitrary<SyncRecord> = fc.oneof(
  fc.record({
    kind: fc.constant('host' as const),
    ip: ipOf,
    registers: fc.record({
      reset: optional(stampOf),
      white: optional(
        fc.record({ grant: stampOf, stamp: stampOf, first: timeOf, pass: timeOf, expire: timeOf }),
      ),
      trap: optional(fc.record({ stamp: stampOf, first: timeOf, expire: timeOf })),
      hand: optional(
        fc.record({
          stamp: stampOf,
          pinned: fc.boolean(),
          kind: fc.constantFrom('WHITE' as const, 'TRAPPED' as const),
          expire: optional(timeOf),
          comment: optional(commentOf),
        }),
      ),
      bcount: count,
      pcount: count,
    }),
  }),
  fc.record({
    kind: fc.constant('tuple' as const),
    tuple: fc.record({
      ip: fc.oneof(ipOf, fc.constantFrom('192.0.2.0/24', '2001:db8::/64', 'spf:example.org')),
      helo: wireText(0),
      from: wireText(1),
      to: wireText(1),
    }),
    state: fc.oneof(
      fc.record({ epoch: optional(stampOf), first: seenOf, last: seenOf, expire: timeOf, count }),
      fc.record({ epoch: stampOf }),
    ),
  }),
  fc
    .record({
      address: wireText(1),
      stamp: stampOf,
      first: timeOf,
      comment: optional(commentOf),
      isThere: fc.boolean(),
    })
    .map(({ address, stamp, first, comment, isThere }) => ({
      kind: 'spamtrap' as const,
      address,
      stamp,
      entry: isThere
        ? { kind: 'SPAMTRAP' as const, address, first, ...(comment === undefined ? {} : { comment }) }
        : undefined,
    })),
  fc
    .record({
      reset: optional(stampOf),
      first: timeOf,
      pass: timeOf,
      expire: timeOf,
      bcount: count,
      isOpen: fc.boolean(),
    })
    .map(({ reset, isOpen, ...times }) => ({
      kind: 'pool' as const,
      network: '2001:db8:1::/64',
      reset,
      entry: isOpen
        ? { kind: 'POOL' as const, ip: '2001:db8:1::/64', pool: 'spf:example.org', ...times, pcount: 3 }
        : undefined,
    })),
  fc
    .record({
      stamp: stampOf,
      from: optional(wireText(0)),
      to: wireText(1),
      network: optional(fc.constantFrom('192.0.2.0/24', '2001:db8::/32')),
      scope: fc.constantFrom('address' as const, 'pool' as const),
      first: timeOf,
      expire: timeOf,
      used: count,
      author: optional(commentOf),
    })
    .map(({ stamp, ...entry }) => ({
      kind: 'release' as const,
      id: 'k3x9',
      stamp,
      entry: { kind: 'RELEASE' as const, id: 'k3x9', ...entry },
    })),
)

/** Absent and undefined are the same. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value))

function decode(bytes: Uint8Array) {
  const decoded = decodeRecords(bytes, 0, bytes.length)
  if (typeof decoded === 'string') throw new Error(decoded)
  return decoded
}

describe('records of version 3', () => {
  test('come out as they went in', () => {
    fc.assert(
      fc.property(fc.array(recordOf, { maxLength: 5 }), (records) => {
        const bytes = Buffer.concat(records.map((record) => encodeRecord(record)!))
        expect(plain(decode(bytes).records)).toEqual(plain(records))
      }),
      { numRuns: 200 },
    )
  })

  test('are refused when cut anywhere, and never throw whatever the bytes are', () => {
    fc.assert(
      fc.property(recordOf, fc.nat(), fc.nat(255), (record, at, value) => {
        const bytes = encodeRecord(record)!
        const cut = bytes.subarray(0, 1 + (at % (bytes.length - 1)))
        expect(decodeRecords(cut, 0, cut.length)).toBe('entry length')
        const changed = Buffer.from(bytes)
        changed[at % bytes.length] = value
        decodeRecords(changed, 0, changed.length)
      }),
      { numRuns: 300 },
    )
  })

  test('hold three full texts, and no more', () => {
    const full = 'x'.repeat(1023)
    const tuple = { ip: '2001:db8::1', helo: full, from: full, to: full }
    const state = { epoch: { time: 1, counter: 0, node: 1 } }
    const bytes = encodeRecord({ kind: 'tuple', tuple, state })!
    expect(bytes.length).toBeLessThanOrEqual(MAX_RECORD_BYTES)
    expect(decode(bytes).records).toHaveLength(1)
    const longer = encodeRecord({ kind: 'tuple', tuple: { ...tuple, to: `${full}y` }, state })!
    expect(decodeRecords(longer, 0, longer.length)).toBe('string')
    expect(encodeRecord({ kind: 'tuple', tuple: { ...tuple, to: 'x'.repeat(3000) }, state })).toBeUndefined()
  })

  const stamp = { time: 5, counter: 1, node: 2 }
  const tupleWith = (changes: Partial<Record<'ip' | 'helo' | 'from' | 'to', string>>): SyncRecord => ({
    kind: 'tuple',
    tuple: { ip: '192.0.2.1', helo: 'h', from: '<a@b>', to: '<c@d>', ...changes },
    state: { epoch: stamp },
  })
  test.each<[string, SyncRecord, string]>([
    ['a control character', tupleWith({ helo: 'a\nb' }), 'string'],
    ['no sender', tupleWith({ from: '' }), 'string'],
    ['a key that is no address', tupleWith({ ip: '192.0.2.1; flush' }), 'address'],
    ['an address in another form', tupleWith({ ip: '192.0.2.01' }), 'address'],
    ['a network with bits of a host', tupleWith({ ip: '192.0.2.1/24' }), 'address'],
    ['an empty spamtrap', { kind: 'spamtrap', address: '', stamp, entry: undefined }, 'string'],
    [
      'a comment with a line feed',
      {
        kind: 'spamtrap',
        address: 'a@b',
        stamp,
        entry: { kind: 'SPAMTRAP', address: 'a@b', first: 1, comment: 'a\nb' },
      },
      'string',
    ],
  ])('are refused for %s', (_, record, reason) => {
    const bytes = encodeRecord(record)!
    expect(decodeRecords(bytes, 0, bytes.length)).toBe(reason)
  })

  test('that others would refuse are not sent, whatever their texts are', () => {
    const anyText = fc.oneof(wireText(0), fc.string({ unit: 'binary-ascii' }), fc.constant('x'.repeat(1024)))
    const anyComment = fc.oneof(commentOf, fc.string({ unit: 'binary' }), fc.constant('é'.repeat(600)))
    const stamps = { time: 5, counter: 1, node: 2 }
    const anyRecord = fc.oneof(
      fc
        .record({ ip: fc.oneof(ipOf, anyText), helo: anyText, from: anyText, to: anyText })
        .map((tuple): SyncRecord => ({ kind: 'tuple', tuple, state: { epoch: stamps } })),
      fc.record({ address: anyText, comment: anyComment }).map(
        ({ address, comment }): SyncRecord => ({
          kind: 'spamtrap',
          address,
          stamp: stamps,
          entry: { kind: 'SPAMTRAP', address, first: 1, comment },
        }),
      ),
      anyComment.map(
        (comment): SyncRecord => ({
          kind: 'host',
          ip: '192.0.2.1',
          registers: { bcount: 0, pcount: 0, hand: { stamp: stamps, pinned: true, kind: 'WHITE', comment } },
        }),
      ),
    )
    fc.assert(
      fc.property(anyRecord, (record) => {
        const bytes = encodeSoundRecord(record)
        if (bytes !== undefined) expect(plain(decode(bytes).records)).toEqual(plain([record]))
        else
          expect(
            typeof (
              encodeRecord(record) && decodeRecords(encodeRecord(record)!, 0, encodeRecord(record)!.length)
            ),
          ).not.toBe('object')
      }),
      { numRuns: 300 },
    )
  })

  test('are refused for an IPv4 address in an IPv6 one, and for bytes behind the last field', () => {
    const host = encodeRecord({ kind: 'host', ip: '2001:db8::1', registers: { bcount: 0, pcount: 0 } })!
    const mapped = Buffer.from(host)
    Buffer.from('00000000000000000000ffffc0000201', 'hex').copy(mapped, 4)
    expect(decodeRecords(mapped, 0, mapped.length)).toBe('address')
    const longer = Buffer.concat([host, Buffer.alloc(1)])
    longer.writeUInt16BE(longer.length, 2)
    expect(decodeRecords(longer, 0, longer.length)).toBe('entry length')
  })

  test('of a type that is not known are passed over and counted', () => {
    const host = encodeRecord({ kind: 'host', ip: '192.0.2.1', registers: { bcount: 0, pcount: 0 } })!
    const unknown = Buffer.from([99, 0, 0, 6, 1, 2])
    expect(decode(Buffer.concat([unknown, host]))).toMatchObject({
      records: [{ ip: '192.0.2.1' }],
      unknownCount: 1,
    })
  })
})

describe('messages of version 3', () => {
  const records = [encodeRecord({ kind: 'host', ip: '192.0.2.1', registers: { bcount: 1, pcount: 2 } })!]

  test('come out as they went in', () => {
    const decoded = decodeStateMessage(encodeStateMessage(HEADER, records, KEY), KEY)
    expect(decoded).toMatchObject({
      ok: true,
      value: { ...HEADER, records: [{ kind: 'host', ip: '192.0.2.1' }], unknownCount: 0 },
    })
  })

  test('have the bytes that docs/protocol/sync.md says, as another implementation computes them', () => {
    // Python: hmac.new(sha256('spamd sync version 3' NUL 'key' LF), header + 32 zero bytes, sha256).
    expect(encodeStateMessage({ ...HEADER, isTellingAll: false }, [], KEY).toString('hex')).toBe(
      '030000400000000700000000000c018bcfe56800000000000003000000000009' +
        '20770fbd59548d222b70d6da3e331938aa94c808a42f85021040b860e23ad093',
    )
  })

  test('are refused when any bit differs, with another key, cut, or longer than stated', () => {
    const bytes = encodeStateMessage(HEADER, records, KEY)
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const changed = Buffer.from(bytes)
      changed[bit >> 3]! ^= 1 << (bit & 7)
      expect(decodeStateMessage(changed, KEY).ok).toBe(false)
    }
    expect(decodeStateMessage(bytes, stateKeyOf(Buffer.from('other')))).toMatchObject({ reason: 'hmac' })
    for (let length = 0; length < bytes.length; length += 1) {
      expect(decodeStateMessage(bytes.subarray(0, length), KEY)).toMatchObject({
        ok: false,
        reason: 'truncated',
      })
    }
    expect(decodeStateMessage(Buffer.concat([bytes, Buffer.alloc(1)]), KEY)).toMatchObject({
      reason: 'truncated',
    })
    expect(decodeStateMessage(Buffer.alloc(MAX_STATE_MESSAGE_BYTES + 1), KEY)).toMatchObject({
      reason: 'too long',
    })
  })

  test('that end before they begin are refused', () => {
    expect(decodeStateMessage(encodeStateMessage({ ...HEADER, upTo: 2 }, [], KEY), KEY).ok).toBe(false)
  })
})
