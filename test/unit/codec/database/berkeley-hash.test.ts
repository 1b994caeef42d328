import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type ByteSource,
  type HashFileItem,
  isBerkeleyHash,
  MAX_PAIR_BYTES,
  readBerkeleyHash,
} from '../../../../src/codec/database/berkeley-hash.js'
import { type Pair, pairsThatFit, writeBerkeleyHash } from '../../../support/berkeley-writer.js'

const root = join(import.meta.dirname, '../../../..')
const golden = join(root, 'test/golden')

interface FinalRecord {
  key: string
  /** Bytes of the record: 32, 20 in the obsolete form; with `hex` in place of fields any other number. */
  size: number
  hex: string | null
  fields: (string | number)[] | null
}
interface Case {
  id: string
  final_db: FinalRecord[] | null
  final_db_blk16384: FinalRecord[] | null
}
const cases = new Map(
  readFileSync(join(golden, 'spamdb.jsonl'), 'utf8')
    // JSON.parse would round numbers of 64 bits.
    .replace(/([[,] ?)(-?[0-9]{16,})(?=[,\]])/g, '$1"$2"')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Case)
    .map((each) => [each.id, each]),
)

function sourceOf(bytes: Buffer): ByteSource {
  return { sizeBytes: bytes.length, read: (offset, length) => bytes.subarray(offset, offset + length) }
}

function readAll(bytes: Buffer): { records: string[]; damages: Extract<HashFileItem, { type: 'damage' }>[] } {
  const records: string[] = []
  const damages: Extract<HashFileItem, { type: 'damage' }>[] = []
  for (const item of readBerkeleyHash(sourceOf(bytes))) {
    if (item.type === 'damage') damages.push(item)
    else records.push(pairText(item))
  }
  return { records: records.sort(), damages }
}

function pairText({ key, data }: { key: Uint8Array; data: Uint8Array }): string {
  return `${Buffer.from(key).toString('latin1')} = ${Buffer.from(data).toString('hex')}`
}

function dataOf({ size, hex, fields }: FinalRecord): string {
  if (fields === null) return hex!
  const isOld = size === 20
  const data = Buffer.alloc(size)
  for (const [index, value] of fields.slice(0, 3).entries()) {
    const relative = /^\{T([+-][0-9]+)\}$/.exec(String(value))
    const time = relative === null ? BigInt(value) : 1_700_000_000n + BigInt(relative[1]!)
    if (isOld) data.writeInt32LE(Number(time), index * 4)
    else data.writeBigInt64LE(time, index * 8)
  }
  data.writeInt32LE(Number(fields[3]), size - 8)
  data.writeInt32LE(Number(fields[4]), size - 4)
  return data.toString('hex')
}

describe('genuine files', () => {
  const files = readdirSync(join(golden, 'dbfiles')).filter((name) => name.endsWith('.db'))

  test.each(files)('%s is read without damage', (name) => {
    const { records, damages } = readAll(readFileSync(join(golden, 'dbfiles', name)))
    expect(damages).toEqual([])
    const found = cases.get(name.replace(/-[0-9]+\.db$/, ''))
    const final =
      name.endsWith('-16384.db') && found?.final_db_blk16384 != null
        ? found.final_db_blk16384
        : found?.final_db
    if (final == null) return
    // Where two bucket sizes left different tuples behind, only one of the two states is on record.
    const wanted = final.map((record) => `${record.key} = ${dataOf(record)}`).sort()
    expect(records.length).toBe(wanted.length)
    if (name.endsWith('-4096.db')) expect(records).toEqual(wanted)
  })
})

const sizes = fc.oneof({ weight: 3, arbitrary: fc.nat(60) }, fc.nat(400), fc.nat(6000))
const pairs = fc.array(fc.tuple(sizes, sizes, fc.nat(255)), { maxLength: 60 }).map((shapes) =>
  shapes.map(([keyBytes, dataBytes, seed], index): Pair => {
    const key = Buffer.alloc(keyBytes + 1, seed)
    key.write(String(index), 0)
    // Two bytes at least: the library itself finds no end where a key fills its page and the data is one byte.
    return { key, data: Buffer.alloc(dataBytes + 2, index) }
  }),
)

test('every pair is found, in either byte order, any bucket size, with big pairs and overflow pages', () => {
  fc.assert(
    fc.property(
      pairs,
      fc.constantFrom(64, 128, 256, 512, 1024, 4096, 16_384, 32_768),
      fc.boolean(),
      fc.integer({ min: 1, max: 9 }),
      (drawn, bucketBytes, littleEndian, bucketCount) => {
        const options = { bucketBytes, littleEndian, bucketCount }
        const given = pairsThatFit(drawn, options)
        const { records, damages } = readAll(writeBerkeleyHash(given, options))
        expect(damages).toEqual([])
        expect(records).toEqual(given.map(pairText).sort())
      },
    ),
    { numRuns: 300 },
  )
})

test('more overflow pages than a file has addresses for are not asked of the writer', () => {
  const big = Array.from({ length: 60 }, (_, index) => ({
    key: Buffer.alloc(6000, index),
    data: Buffer.alloc(6000),
  }))
  const options = { bucketBytes: 64, littleEndian: true, bucketCount: 1 }
  expect(() => writeBerkeleyHash(big, options)).toThrow('too many overflow pages')
  const fitting = pairsThatFit(big, options)
  expect(fitting.length).toBeGreaterThan(5)
  expect(readAll(writeBerkeleyHash(fitting, options)).records).toEqual(fitting.map(pairText).sort())
})

const sample = writeBerkeleyHash(
  Array.from({ length: 40 }, (_, index) => ({
    key: Buffer.from(`key ${index} ${'k'.repeat((index % 7) * 40)}`),
    data: Buffer.alloc(32 + (index % 5) * 100, index),
  })),
  { bucketBytes: 256, littleEndian: true, bucketCount: 4 },
)
const sampleRecords = new Set(readAll(sample).records)

test('a truncated file gives what is left of it and says so', () => {
  for (let length = 0; length < sample.length; length += 37) {
    const { records, damages } = readAll(sample.subarray(0, length))
    expect(damages.length).toBeGreaterThan(0)
    for (const record of records) expect(sampleRecords).toContain(record)
  }
})

test('one damaged page costs only its own chain, and its offset is named', () => {
  const damaged = Buffer.from(sample)
  damaged.writeUInt16LE(0xffff, 512)
  const { records, damages } = readAll(damaged)
  expect(damages[0]).toMatchObject({ offset: 512, reason: 'impossible number of words 65535' })
  expect(records.length).toBeGreaterThanOrEqual(25)
})

test('a chain that links to itself ends', () => {
  const looped = writeBerkeleyHash(
    Array.from({ length: 12 }, (_, index) => ({ key: Buffer.from(`key ${index}`), data: Buffer.alloc(32) })),
    { bucketBytes: 128, littleEndian: true, bucketCount: 1 },
  )
  const first = looped.readUInt16LE(384)
  expect(looped.readUInt16LE(384 + first * 2)).toBe(0)
  const second = 512
  const count = looped.readUInt16LE(second)
  expect(looped.readUInt16LE(second + count * 2)).toBe(0)
  looped.writeUInt16LE(1, second + count * 2 - 2)
  expect(readAll(looped).damages.map(({ reason }) => reason)).toContain('page is linked twice')
})

test('a pair beyond the cap is damage, not memory', () => {
  const pair = { key: Buffer.alloc(10, 1), data: Buffer.alloc(MAX_PAIR_BYTES + 1, 2) }
  const bytes = writeBerkeleyHash([pair], { bucketBytes: 4096, littleEndian: false, bucketCount: 1 })
  expect(readAll(bytes).damages[0]?.reason).toBe(`pair of more than ${MAX_PAIR_BYTES} bytes`)
})

test.each([
  ['an empty file', Buffer.alloc(0), 'header of 0 bytes'],
  ['garbage', Buffer.alloc(4096, 0x41), 'not a Berkeley DB'],
  ['a bucket size of 0', patched(12, 0), 'impossible bucket size 0'],
  ['a bucket size that is no power of two', patched(12, 1000), 'impossible bucket size 1000'],
  ['a bucket size beyond 64 KiB', patched(12, 131_072), 'impossible bucket size 131072'],
  ['a version of the future', patched(4, 3), 'unknown version 3'],
  ['an unknown byte order', patched(8, 3412), 'unknown byte order 3412'],
])('%s is refused or reported', (_name, bytes, reason) => {
  expect(readAll(bytes).damages[0]?.reason).toContain(reason)
})

function patched(offset: number, value: number): Buffer {
  const bytes = Buffer.from(sample)
  bytes.writeUInt32BE(value, offset)
  return bytes
}

test('any damaged bytes: it returns, reads each page once, and invents no endless work', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(sample.length - 1), fc.nat(255)), { minLength: 1, maxLength: 20 }),
      (changes) => {
        const bytes = Buffer.from(sample)
        for (const [offset, value] of changes) bytes[offset] = value
        let readBytes = 0
        const source = {
          sizeBytes: bytes.length,
          read: (offset: number, length: number) => {
            readBytes += length
            return bytes.subarray(offset, offset + length)
          },
        }
        let itemCount = 0
        for (const item of readBerkeleyHash(source)) itemCount += item.type === 'record' ? 1 : 0
        expect(readBytes).toBeLessThanOrEqual(2 * bytes.length + 260 + 65_536)
        expect(itemCount).toBeLessThanOrEqual(bytes.length)
      },
    ),
    { numRuns: 5000 },
  )
})

test('a count that drifted is no damage, a file that ends before its last bucket with records missing is', () => {
  expect(readAll(patched(56, 41)).damages).toEqual([])
  const moreBuckets = patched(40, 7)
  expect(readAll(moreBuckets).damages).toEqual([])
  moreBuckets.writeUInt32BE(41, 56)
  expect(readAll(moreBuckets).damages).toEqual([
    { type: 'damage', offset: 0, reason: 'the header counts 41 records, 40 were readable' },
  ])
})

test('the magic number tells the format', () => {
  expect(isBerkeleyHash(sample)).toBe(true)
  expect(isBerkeleyHash(Buffer.from('SQLite format 3\0'))).toBe(false)
  expect(isBerkeleyHash(Buffer.alloc(3))).toBe(false)
})
