/** The header of a gzip member, flag by flag. Source: RFC 1952 section 2.3. */
import { deflateRawSync, gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { gunzip } from '../../../src/feeds/gunzip.js'

const TEXT = '192.0.2.1\n'
const FLAG = { text: 0x01, headerCrc: 0x02, extra: 0x04, name: 0x08, comment: 0x10 }

/** A member with these flags and these bytes behind the fixed header. */
function member(flags: number, fields: Uint8Array | string = '', method = 8): Buffer {
  const head = Buffer.from([0x1f, 0x8b, method, flags, 0, 0, 0, 0, 0, 3])
  const trailer = gzipSync(TEXT).subarray(-8)
  return Buffer.concat([head, Buffer.from(fields as string, 'latin1'), deflateRawSync(TEXT), trailer])
}

async function read(bytes: Uint8Array, chunkBytes = bytes.length, maxMembers?: number): Promise<string> {
  const chunks = async function* (): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += chunkBytes) yield bytes.subarray(at, at + chunkBytes)
  }
  let text = ''
  for await (const chunk of gunzip(chunks(), maxMembers)) text += Buffer.from(chunk).toString('latin1')
  return text
}

const extra = (length: number): string =>
  `${String.fromCharCode(length & 255, length >> 8)}${'x'.repeat(length)}`

const good = [
  { name: 'no flag', flags: 0, fields: '' },
  { name: 'the text flag, which means nothing', flags: FLAG.text, fields: '' },
  { name: 'an extra field', flags: FLAG.extra, fields: extra(300) },
  { name: 'an empty extra field', flags: FLAG.extra, fields: extra(0) },
  { name: 'a name', flags: FLAG.name, fields: 'list.txt\0' },
  { name: 'an empty name', flags: FLAG.name, fields: '\0' },
  { name: 'a comment', flags: FLAG.comment, fields: 'made at noon\0' },
  { name: 'a checksum of the header', flags: FLAG.headerCrc, fields: 'ab' },
  {
    name: 'all of them, in the order of the standard',
    flags: 0x1f,
    fields: `${extra(5)}list.txt\0comment\0ab`,
  },
]

describe('a header is skipped', () => {
  test.each(good)('with $name, in one piece and byte by byte', async ({ flags, fields }) => {
    const bytes = member(flags, fields)
    expect(await read(bytes)).toBe(TEXT)
    expect(await read(bytes, 1)).toBe(TEXT)
    expect(await read(Buffer.concat([bytes, bytes]), 7)).toBe(TEXT + TEXT)
  })

  test.each(good)('and cut anywhere it is an end that comes too early: $name', async ({ flags, fields }) => {
    const bytes = member(flags, fields)
    for (const length of [2, 3, 9, 10, 11, 10 + fields.length, bytes.length - 1]) {
      await expect(read(bytes.subarray(0, length))).rejects.toMatchObject({
        code: 'ERR_FEED_GZIP',
        message: 'the compressed data ends too early',
        isTransient: true,
      })
    }
  })
})

test.each([
  ['a reserved flag', member(0x20)],
  ['the highest reserved flag', member(0x80)],
  ['another method', member(0, '', 7)],
  ['a name of 200,000 bytes', member(FLAG.name, `${'n'.repeat(200_000)}\0`)],
])('damaged: %s', async (_name, bytes) => {
  await expect(read(bytes, 65_536)).rejects.toMatchObject({
    code: 'ERR_FEED_GZIP',
    message: 'the compressed data is damaged',
    isTransient: false,
  })
})

test('as many members as are allowed are read, and no more', async () => {
  const members = (count: number) => Buffer.concat(Array.from({ length: count }, () => member(0)))
  expect(await read(members(3), 64, 3)).toBe(TEXT.repeat(3))
  await expect(read(members(4), 64, 3)).rejects.toMatchObject({
    code: 'ERR_FEED_GZIP',
    message: 'more than 3 gzip members',
    isTransient: false,
  })
})

describe('the trailer', () => {
  test.each([
    ['another checksum', -8],
    ['another length', -1],
  ])('%s is damage', async (_name, at) => {
    const bytes = member(0)
    bytes[bytes.length + at]! ^= 1
    await expect(read(bytes)).rejects.toMatchObject({ message: 'the compressed data is damaged' })
  })
})

test('a header field as long as is allowed is skipped', async () => {
  expect(await read(member(FLAG.name, `${'n'.repeat(128 * 1024)}\0`), 4096)).toBe(TEXT)
  expect(await read(member(FLAG.extra, extra(65_535)), 4096)).toBe(TEXT)
})
