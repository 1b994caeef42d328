import { createHash, createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  decodeSyncMessage,
  encodeSyncMessage,
  MAX_SYNC_MESSAGE_BYTES,
  type SyncEntry,
  type SyncRefusal,
  syncKeyOf,
} from '../../../src/codec/sync-message.js'

const KEY = syncKeyOf(Buffer.from('spamd sync test key\n'))
const hex = (text: string) => Buffer.from(text.replace(/\s+/g, ''), 'hex')

/** Worked examples of the specification of the protocol. */
const examples: { name: string; counter: number; entry: SyncEntry; key: Uint8Array; bytes: Buffer }[] = [
  {
    name: 'GREY',
    counter: 0,
    key: KEY,
    entry: {
      type: 'GREY',
      timestamp: 1_700_000_000,
      ip: '192.0.2.25',
      from: '<a@example.org>',
      to: '<b@example.net>',
      helo: 'mail.example.org',
    },
    bytes: hex(`02020074 00000000 68a0e26c f26f29cc 215e956f ecf1442d 07686242 00000000
      00010050 6553f100 c0000219 00100010 00113c61 40657861 6d706c65 2e6f7267 3e003c62 40657861 6d706c65
      2e6e6574 3e006d61 696c2e65 78616d70 6c652e6f 72670000 00000000 00000000 00000000 00000004`),
  },
  {
    name: 'WHITE',
    counter: 1,
    key: KEY,
    entry: { type: 'WHITE', timestamp: 1_700_000_000, ip: '192.0.2.25', expire: 1_703_110_400 },
    bytes: hex(`02020034 00000001 fef004fa cd8eb079 0c8a5f63 602750a8 7583722a 00000000
      00020010 6553f100 65836700 c0000219 00000004`),
  },
  {
    name: 'TRAPPED',
    counter: 2,
    key: KEY,
    entry: { type: 'TRAPPED', timestamp: 1_700_000_000, ip: '198.51.100.7', expire: 1_700_086_400 },
    bytes: hex(`02020034 00000002 0b7d6407 9fba776f 178dc0e2 476689c3 d2246970 00000000
      00030010 6553f100 65554280 c6336407 00000004`),
  },
  {
    name: 'WHITE without a key file',
    counter: 0,
    key: syncKeyOf(undefined),
    entry: { type: 'WHITE', timestamp: 1_700_000_000, ip: '192.0.2.25', expire: 1_703_110_400 },
    bytes: hex(`02020034 00000000 069d66ba d8866b89 2224d1b4 1dd572a5 de2e50fd 00000000
      00020010 6553f100 65836700 c0000219 00000004`),
  },
]

describe('worked examples', () => {
  test('the key is the SHA-1 of the file in hexadecimal', () => {
    const key = syncKeyOf(Buffer.from('this is the key\n'))
    const digest = createHash('sha1').update('this is the key\n').digest('hex')
    expect(Buffer.from(key).toString('latin1')).toBe(digest)
    expect(Buffer.from(syncKeyOf(Buffer.from('this is the key'))).toString('latin1')).not.toBe(digest)
  })
  test.each(examples)('$name is encoded to the byte', ({ counter, entry, key, bytes }) => {
    expect(encodeSyncMessage(counter, entry, key)).toEqual(bytes)
  })
  test.each(examples)('$name is decoded', ({ counter, entry, key, bytes }) => {
    expect(decodeSyncMessage(bytes, key)).toEqual({
      ok: true,
      value: { counter, entries: [entry] },
      bytesRead: bytes.length,
    })
  })
  test('those of docs/protocol/sync.md have the bytes that the page shows', () => {
    const key = syncKeyOf(Buffer.from('one key\n'))
    const address = { timestamp: 1_700_000_000, ip: '192.0.2.44' }
    const texts = { from: '<a@b.example>', to: '<c@d.example>', helo: 'mx.b.example' }
    const page = readFileSync('docs/protocol/sync.md', 'utf8')
    const shown = [...page.matchAll(/```\n(0202[0-9a-f\n]+)```/g)].map(([, text]) => hex(text!))
    expect(page).toContain(`\`${Buffer.from(key).toString('latin1')}\``)
    expect(shown).toEqual([
      encodeSyncMessage(7, { type: 'WHITE', ...address, expire: 1_703_110_400 }, key),
      encodeSyncMessage(8, { type: 'GREY', ...address, ...texts }, key),
    ])
  })
  test.each(examples)('no prefix of $name is taken', ({ key, bytes }) => {
    for (let length = 0; length < bytes.length; length += 1) {
      expect(decodeSyncMessage(bytes.subarray(0, length), key).ok).toBe(false)
    }
  })
  test.each(examples)('no flipped bit of $name is taken', ({ key, bytes }) => {
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const flipped = Buffer.from(bytes)
      flipped[bit >> 3] = flipped[bit >> 3]! ^ (1 << (bit & 7))
      expect(decodeSyncMessage(flipped, key).ok).toBe(false)
    }
  })
  test('a key with a NUL behind it (greyd) is the same key', () => {
    const { bytes } = examples[0]!
    expect(decodeSyncMessage(bytes, Buffer.concat([KEY, Buffer.alloc(1)])).ok).toBe(true)
  })
  test('bytes behind the stated length are passed over', () => {
    const { bytes } = examples[0]!
    expect(decodeSyncMessage(Buffer.concat([bytes, Buffer.alloc(9, 7)]), KEY)).toMatchObject({
      ok: true,
      bytesRead: bytes.length,
    })
  })
})

/** A datagram with a right HMAC around whatever entries. */
function signed(
  entriesHex: string,
  part: { version?: number; family?: number; totalBytes?: number } = {},
): Buffer {
  const entries = hex(entriesHex)
  const bytes = Buffer.concat([Buffer.alloc(32), entries])
  const totalBytes = part.totalBytes ?? bytes.length
  bytes[0] = part.version ?? 2
  bytes[1] = part.family ?? 2
  bytes.writeUInt16BE(totalBytes, 2)
  createHmac('sha1', KEY).update(bytes.subarray(0, totalBytes)).digest().copy(bytes, 8)
  return bytes
}

const HEAD = '6553f100 c0000201'
const WHITE = '00020010 6553f100 6554180f c0000202'
const END = '00000004'
const grey = (lengths: string, text: string, length: string) => `0001${length} ${HEAD} ${lengths} ${text}`
const GOOD_TEXT = '3c6140623e00 3c6340643e00 6800'

const refusals: { name: string; bytes: Buffer; reason: SyncRefusal }[] = [
  { name: 'nothing', bytes: Buffer.alloc(0), reason: 'truncated' },
  { name: 'more than 1408 bytes', bytes: Buffer.alloc(1409, 2), reason: 'too long' },
  { name: 'another version', bytes: signed(WHITE + END, { version: 3 }), reason: 'version' },
  { name: 'another family', bytes: signed(WHITE + END, { family: 24 }), reason: 'address family' },
  {
    name: 'a stated length beyond the datagram',
    bytes: Buffer.from(signed(END)).fill(0xff, 2, 4),
    reason: 'truncated',
  },
  {
    name: 'a stated length within the header',
    bytes: signed(WHITE + END, { totalBytes: 10 }),
    reason: 'truncated',
  },
  {
    name: 'an entry beyond the stated length',
    bytes: signed(WHITE + END, { totalBytes: 40 }),
    reason: 'entry length',
  },
  { name: 'half an entry head', bytes: signed(`${WHITE}0000`), reason: 'entry length' },
  { name: 'an entry of length 0', bytes: signed(`00010000${'00'.repeat(12)}${END}`), reason: 'entry length' },
  { name: 'an END of length 0', bytes: signed('00000000'), reason: 'entry length' },
  {
    name: 'an unknown type',
    bytes: signed(`00090010${'00'.repeat(12)}${WHITE}${END}`),
    reason: 'entry type',
  },
  {
    name: 'an unknown type behind a good entry',
    bytes: signed(`${WHITE}00090004${END}`),
    reason: 'entry type',
  },
  { name: 'a WHITE of 20 bytes', bytes: signed(`00020014${'00'.repeat(16)}${END}`), reason: 'entry length' },
  {
    name: 'a GREY shorter than its head',
    bytes: signed(`00010010${'00'.repeat(12)}${END}`),
    reason: 'entry length',
  },
  {
    name: 'string lengths beyond the entry',
    bytes: signed(grey('003c003c003c', GOOD_TEXT, '0020') + END),
    reason: 'entry length',
  },
  {
    name: 'string lengths of 0',
    bytes: signed(grey('000000000000', '00'.repeat(14), '0020') + END),
    reason: 'string',
  },
  {
    name: 'string lengths of 0 around text',
    bytes: signed(grey('000000000000', `${GOOD_TEXT}`, '0020') + END),
    reason: 'string',
  },
  {
    name: 'a string without its NUL',
    bytes: signed(grey('000600060002', '3c6140623e3e 3c6340643e00 6800', '0020') + END),
    reason: 'string',
  },
  {
    name: 'a second NUL',
    bytes: signed(grey('000600060002', '3c6100623e00 3c6340643e00 6800', '0020') + END),
    reason: 'string',
  },
  {
    name: 'a line feed that injects text',
    bytes: signed(
      grey('000600060010', '3c6140623e00 3c6340643e00 680a49503a3139322e302e322e363600 0000', '0030') + END,
    ),
    reason: 'string',
  },
  {
    name: 'a DEL',
    bytes: signed(grey('000600060002', '3c617f623e00 3c6340643e00 6800', '0020') + END),
    reason: 'string',
  },
  {
    name: 'no sender',
    bytes: signed(grey('000100060002', '00 3c6340643e00 6800 0000000000', '0020') + END),
    reason: 'string',
  },
  {
    name: 'sixteen bytes of padding',
    bytes: signed(grey('000600060002', `${GOOD_TEXT}${'00'.repeat(16)}`, '0030') + END),
    reason: 'entry length',
  },
  {
    name: 'a string of 1025 bytes',
    bytes: signed(
      grey('040100060002', `${'61'.repeat(1024)}00 3c6340643e00 6800 00000000000000000000`, '0425') + END,
    ),
    reason: 'string',
  },
]

describe('refused', () => {
  test.each(refusals)('$name', ({ bytes, reason }) => {
    expect(decodeSyncMessage(bytes, KEY)).toMatchObject({ ok: false, reason })
  })
  test('a wrong key', () => {
    expect(decodeSyncMessage(examples[0]!.bytes, syncKeyOf(Buffer.from('other')))).toMatchObject({
      reason: 'hmac',
    })
    expect(decodeSyncMessage(examples[0]!.bytes, syncKeyOf(undefined))).toMatchObject({ reason: 'hmac' })
  })
})

describe('taken', () => {
  test('several entries, and nothing behind the END', () => {
    const message = decodeSyncMessage(signed(`${WHITE}${WHITE}${END}${'ff'.repeat(8)}`), KEY)
    expect(message).toMatchObject({ ok: true, value: { entries: [{ type: 'WHITE' }, { type: 'WHITE' }] } })
  })
  test('an END that is missing at the exact end', () => {
    expect(decodeSyncMessage(signed(WHITE), KEY)).toMatchObject({
      ok: true,
      value: { entries: [{ ip: '192.0.2.2' }] },
    })
  })
  test('a header alone and an END alone, which say nothing', () => {
    for (const bytes of [signed(''), signed(END)]) {
      expect(decodeSyncMessage(bytes, KEY)).toMatchObject({ ok: true, value: { entries: [] } })
    }
  })
  test('an empty HELO, which the greylister drops', () => {
    const bytes = signed(grey('000600060001', '3c6140623e00 3c6340643e00 00 00', '0020') + END)
    expect(decodeSyncMessage(bytes, KEY)).toMatchObject({ ok: true, value: { entries: [{ helo: '' }] } })
  })
  test('the deletions of greyd', () => {
    const bytes = signed(`0004${WHITE.slice(4)}${END}`)
    expect(decodeSyncMessage(bytes, KEY)).toMatchObject({ value: { entries: [{ type: 'DELETE-WHITE' }] } })
  })
})

describe('sizes', () => {
  const entryOf = (length: number): SyncEntry => ({
    type: 'GREY',
    timestamp: 0,
    ip: '192.0.2.1',
    from: 'f'.repeat(length),
    to: 't',
    helo: 'h',
  })
  test('a message of 1408 bytes is made, a longer one is not', () => {
    let largest = 0
    for (let length = 1; length <= 1023; length += 1) {
      largest = Math.max(
        largest,
        encodeSyncMessage(0, { ...entryOf(length), to: 't'.repeat(400) } as SyncEntry, KEY)?.length ?? 0,
      )
    }
    expect(largest).toBe(1396)
    expect(largest + 16).toBeGreaterThan(MAX_SYNC_MESSAGE_BYTES)
    expect(encodeSyncMessage(0, { ...entryOf(1023), to: 't'.repeat(1023) } as SyncEntry, KEY)).toBeUndefined()
  })
})

const text = fc.string({
  unit: fc
    .integer({ min: 0x20, max: 0xff })
    .filter((code) => code !== 0x7f)
    .map((code) => String.fromCharCode(code)),
  minLength: 1,
  maxLength: 60,
})
const ip = fc.tuple(fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(255)).map((octets) => octets.join('.'))
const uint32 = fc.nat(0xffffffff)
const anyEntry: fc.Arbitrary<SyncEntry> = fc.oneof(
  fc.record({ type: fc.constant('GREY' as const), timestamp: uint32, ip, from: text, to: text, helo: text }),
  fc.record({
    type: fc.constantFrom(
      'WHITE' as const,
      'TRAPPED' as const,
      'DELETE-WHITE' as const,
      'DELETE-TRAPPED' as const,
    ),
    timestamp: uint32,
    ip,
    expire: uint32,
  }),
)

test('what is encoded is decoded to the same, whatever it holds', () => {
  fc.assert(
    fc.property(uint32, anyEntry, fc.uint8Array(), (counter, entry, content) => {
      const key = syncKeyOf(content)
      const bytes = encodeSyncMessage(counter, entry, key)!
      expect(decodeSyncMessage(bytes, key)).toEqual({
        ok: true,
        value: { counter, entries: [entry] },
        bytesRead: bytes.length,
      })
    }),
  )
})

test('any bytes behind a right HMAC are taken or refused, never an exception', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 1300 }), (entries) => {
      const result = decodeSyncMessage(signed(Buffer.from(entries).toString('hex')), KEY)
      expect(typeof result.ok).toBe('boolean')
    }),
    { numRuns: 2000 },
  )
})

describe('recorded packets of the originals', () => {
  const folder = 'test/golden'
  const sent = [
    ...readFileSync(`${folder}/spamd.jsonl`, 'latin1').matchAll(/"hex": ?"(02020[0-9a-f]+)"/g),
    ...readFileSync(`${folder}/spamlogd.jsonl`, 'latin1').matchAll(/"(02020[0-9a-f]{60,})"/g),
  ].map((match) => hex(match[1]!))
  const keys = [undefined, '', 'this is the key\n'].map((content) =>
    syncKeyOf(content === undefined ? undefined : Buffer.from(content)),
  )
  test('those that are taken are made again to the byte', () => {
    expect(sent.length).toBeGreaterThan(30)
    let taken = 0
    for (const bytes of sent) {
      for (const key of keys) {
        const result = decodeSyncMessage(bytes, key)
        if (!result.ok || result.value.entries.length !== 1 || result.bytesRead !== bytes.length) continue
        const again = encodeSyncMessage(result.value.counter, result.value.entries[0]!, key)
        // A message without END is taken, never made.
        if (again !== undefined && again.length === bytes.length) {
          expect(again).toEqual(bytes)
          taken += 1
        }
      }
    }
    expect(taken).toBeGreaterThan(20)
  })
})
