import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { CaptureFileReader } from '../../../../src/codec/capture/capture-file.js'
import { type CaptureRecord, MAX_CAPTURED_BYTES } from '../../../../src/codec/capture/capture-record.js'
import { MAX_PCAPNG_INTERFACES } from '../../../../src/codec/capture/pcapng-file.js'
import { encodePcapFileHeader, encodePcapRecord } from '../../../support/capture/encode-pcap-file.js'
import { captureFile } from '../../../support/log-records.js'
import { PcapngWriter } from '../../../support/pcapng-blocks.js'

const PACKETS = [Uint8Array.of(1, 2, 3), new Uint8Array(0), Uint8Array.of(9)]
const TIME_SEC = 1_700_000_000

interface Outcome {
  records: CaptureRecord[]
  damage: { offset: number; reason: string } | undefined
}

/** Reads a file in pieces of the given size to its end or damage. */
function readAll(file: Uint8Array, pieceBytes = file.length || 1): Outcome {
  const reader = new CaptureFileReader()
  const records: CaptureRecord[] = []
  for (let offset = 0; offset < file.length; offset += pieceBytes) {
    reader.push(file.subarray(offset, offset + pieceBytes))
    for (let item = reader.next(); item !== undefined; item = reader.next()) {
      if (item.kind === 'damage') return { records, damage: { offset: item.offset, reason: item.reason } }
      records.push({ ...item, bytes: Uint8Array.from(item.bytes) })
    }
  }
  const damage = reader.end()
  return { records, damage: damage && { offset: damage.offset, reason: damage.reason } }
}

const packetsOf = (outcome: Outcome) => outcome.records.map((record) => record.bytes)

describe('classic pcap', () => {
  test.each(
    (['little', 'big'] as const).flatMap((byteOrder) => [
      { byteOrder, hasNanoseconds: false },
      { byteOrder, hasNanoseconds: true },
    ]),
  )('is read in $byteOrder order, nanoseconds $hasNanoseconds', ({ byteOrder, hasNanoseconds }) => {
    const file = Buffer.concat([
      encodePcapFileHeader({ linkType: 117, byteOrder, hasNanoseconds }),
      ...PACKETS.map((packet) => encodePcapRecord(packet, TIME_SEC, byteOrder)),
    ])
    const outcome = readAll(file)
    expect(outcome.damage).toBeUndefined()
    expect(packetsOf(outcome)).toEqual(PACKETS)
    expect(outcome.records[0]).toMatchObject({ timeSec: TIME_SEC, linkType: 117, byteOrder })
  })

  test('does not depend on how the bytes arrive', () => {
    const file = captureFile(PACKETS)
    for (let pieceBytes = 1; pieceBytes <= file.length; pieceBytes += 1) {
      expect(packetsOf(readAll(file, pieceBytes))).toEqual(PACKETS)
    }
  })

  test.each<[string, number, string]>([
    ['nothing at all', 0, 'truncated dump file; tried to read 4 file header bytes, only got 0'],
    ['a cut magic', 3, 'truncated dump file; tried to read 4 file header bytes, only got 3'],
    ['a cut file header', 23, 'truncated dump file; tried to read 24 file header bytes, only got 23'],
    ['a cut record header', 24 + 19 + 9, 'truncated dump file; tried to read 16 header bytes, only got 9'],
    ['cut data', 24 + 18, 'truncated dump file; tried to read 3 captured bytes, only got 2'],
  ])("reports %s, in libpcap's words", (_name, length, reason) => {
    expect(readAll(captureFile(PACKETS).subarray(0, length)).damage?.reason).toBe(reason)
  })

  test('every prefix gives the records before the cut and says where the cut is', () => {
    const file = captureFile(PACKETS)
    const ends = [24, 24 + 19, 24 + 19 + 16, file.length]
    for (let length = 24; length <= file.length; length += 1) {
      const outcome = readAll(file.subarray(0, length))
      const complete = ends.filter((end) => end <= length).length - 1
      expect(packetsOf(outcome)).toEqual(PACKETS.slice(0, complete))
      expect(outcome.damage?.offset).toBe(ends.includes(length) ? undefined : ends[complete])
    }
  })

  test('an absurd captured length is damage at the record, the largest real one is not', () => {
    const good = captureFile([new Uint8Array(MAX_CAPTURED_BYTES)])
    expect(readAll(good).damage).toBeUndefined()
    const bad = Uint8Array.from(captureFile([PACKETS[0]!, PACKETS[2]!]))
    new DataView(bad.buffer).setUint32(24 + 19 + 8, MAX_CAPTURED_BYTES + 1, true)
    const outcome = readAll(bad)
    expect(packetsOf(outcome)).toEqual([PACKETS[0]])
    expect(outcome.damage).toEqual({
      offset: 43,
      reason: `invalid packet capture length 262145, bigger than maximum of 262144`,
    })
  })

  test('other formats and versions are named', () => {
    expect(readAll(Buffer.from('hello world, this is text')).damage?.reason).toBe('unknown file format')
    expect(readAll(Uint8Array.of(0x1f, 0x8b, 8, 0, 0)).damage?.reason).toBe('unknown file format (gzip)')
    const old = Uint8Array.from(captureFile([]))
    old[4] = 1
    expect(readAll(old).damage?.reason).toBe('unsupported pcap savefile version 1.4')
  })

  test('the frame check bits beside the link type do not count', () => {
    const file = Uint8Array.from(captureFile(PACKETS))
    file[23] = 0xf4
    expect(readAll(file).records[0]?.linkType).toBe(117)
  })
})

describe('pcapng', () => {
  test.each([true, false])('is read, little-endian %s, with all kinds of packet blocks', (isLittle) => {
    const writer = new PcapngWriter(isLittle)
    const file = Buffer.concat([
      writer.section(),
      writer.interfaceDescription(117),
      writer.block(5, Buffer.alloc(20)),
      writer.enhancedPacket(0, TIME_SEC * 1e6 + 999_999, PACKETS[0]!),
      writer.obsoletePacket(0, TIME_SEC * 1e6, PACKETS[2]!),
      writer.simplePacket(PACKETS[0]!),
      writer.block(0x80000001, Buffer.alloc(100_000)),
      writer.enhancedPacket(0, TIME_SEC * 1e6, PACKETS[1]!),
    ])
    for (const pieceBytes of [1, 7, file.length]) {
      const outcome = readAll(file, pieceBytes)
      expect(outcome.damage).toBeUndefined()
      // A simple packet block does not tell padding from data.
      expect(packetsOf(outcome)).toEqual([PACKETS[0], PACKETS[2], PACKETS[0], PACKETS[1]])
      expect(outcome.records.map((record) => record.timeSec)).toEqual([TIME_SEC, TIME_SEC, 0, TIME_SEC])
      expect(outcome.records[0]).toMatchObject({ linkType: 117, byteOrder: isLittle ? 'little' : 'big' })
    }
  })

  test.each([
    ['nanoseconds', 9, 1e9],
    ['seconds', 0, 1],
    ['powers of two', 0x80 | 10, 1024],
  ])('reads times in %s', (_name, resolution, ticksPerSec) => {
    const writer = new PcapngWriter()
    const file = Buffer.concat([
      writer.section(),
      writer.interfaceDescription(239, 0, resolution),
      writer.enhancedPacket(0, TIME_SEC * ticksPerSec, PACKETS[0]!),
    ])
    expect(readAll(file).records[0]).toMatchObject({ timeSec: TIME_SEC, linkType: 239 })
  })

  test('each section has its own byte order and interfaces', () => {
    const [little, big] = [new PcapngWriter(true), new PcapngWriter(false)]
    const file = Buffer.concat([
      little.section(),
      little.interfaceDescription(117),
      little.enhancedPacket(0, 0, PACKETS[0]!),
      big.section(),
      big.interfaceDescription(239),
      big.enhancedPacket(0, 0, PACKETS[2]!),
    ])
    expect(readAll(file).records.map((record) => [record.linkType, record.byteOrder])).toEqual([
      [117, 'little'],
      [239, 'big'],
    ])
  })

  const writer = new PcapngWriter()
  const start = Buffer.concat([writer.section(), writer.interfaceDescription(117)])
  const withLength = (length: number) => {
    const block = writer.enhancedPacket(0, 0, PACKETS[0]!)
    new DataView(block.buffer).setUint32(4, length, true)
    return block
  }
  test.each<[string, Uint8Array, string | RegExp]>([
    ['an unknown byte order', Buffer.concat([writer.block(0x0a0d0d0a, Buffer.alloc(16))]), /byte order/],
    ['a block length below its own size', Buffer.concat([start, withLength(8)]), /length 8 is impossible/],
    ['a block length of 0', Buffer.concat([start, withLength(0)]), /length 0 is impossible/],
    ['an odd block length', Buffer.concat([start, withLength(37)]), /length 37 is impossible/],
    ['a packet block beyond every limit', Buffer.concat([start, withLength(0xfffffff0)]), /is larger than/],
    [
      'two lengths that differ',
      Buffer.concat([start, withLength(32), Buffer.alloc(8)]),
      /lengths of a block differ/,
    ],
    [
      'a packet of an unknown interface',
      Buffer.concat([start, writer.enhancedPacket(1, 0, PACKETS[0]!)]),
      /interface 1/,
    ],
    [
      'a captured length beyond the block',
      Buffer.concat([
        start,
        writer.block(6, Buffer.concat([Buffer.alloc(12), writer.u32(5), writer.u32(5), Buffer.alloc(4)])),
      ]),
      /capture length 5/,
    ],
    [
      'too many interfaces',
      Buffer.concat([start, ...new Array(MAX_PCAPNG_INTERFACES).fill(writer.interfaceDescription(117))]),
      /more than 4096 interfaces/,
    ],
    ['a cut block', start.subarray(0, start.length - 1), /truncated pcapng block/],
    [
      'a cut block that is skipped',
      Buffer.concat([start, writer.block(5, Buffer.alloc(100))]).subarray(0, start.length + 50),
      /truncated pcapng block/,
    ],
  ])('reports %s', (_name, file, reason) => {
    expect(readAll(file).damage?.reason).toMatch(reason)
  })
})

test('any bytes after any start are read to an end, in any pieces, with the same result', () => {
  const starts = [
    captureFile(PACKETS),
    Buffer.concat([new PcapngWriter().section(), new PcapngWriter().interfaceDescription(117)]),
    new Uint8Array(0),
  ]
  fc.assert(
    fc.property(
      fc.constantFrom(...starts),
      fc.uint8Array({ maxLength: 300 }),
      fc.integer({ min: 1, max: 50 }),
      (start, noise, pieceBytes) => {
        const file = Buffer.concat([start, noise])
        const whole = readAll(file)
        expect(readAll(file, pieceBytes)).toEqual(whole)
        expect(whole.records.length).toBeLessThanOrEqual(file.length)
      },
    ),
    { numRuns: 500 },
  )
})
