/**
 * Classic pcap savefiles, either byte order, microseconds or nanoseconds.
 *
 * | offset | size | file header | | offset | size | record header |
 * |---|---|---|---|---|---|---|
 * | 0 | 4 | magic a1b2c3d4 (us), a1b23c4d (ns) | | 0 | 4 | seconds |
 * | 4 | 2 + 2 | version 2.4 | | 4 | 4 | fraction |
 * | 8 | 8 | unused | | 8 | 4 | captured bytes, which follow |
 * | 16 | 4 | snap length | | 12 | 4 | bytes on the wire |
 * | 20 | 4 | link type (low 26 bits) | | | | |
 *
 * Source: pcap-savefile(5).
 */
import { ByteReader } from '../byte-reader.js'
import type { ByteQueue } from './byte-queue.js'
import {
  type CaptureDamage,
  type CaptureFormatReader,
  type CaptureRecord,
  MAX_CAPTURED_BYTES,
} from './capture-record.js'
import type { ByteOrder } from './nflog.js'

/** First four bytes of a file with microsecond or nanosecond times. Source: pcap-savefile(5). */
const PCAP_MAGIC_MICRO = 0xa1b2c3d4
const PCAP_MAGIC_NANO = 0xa1b23c4d
const FILE_HEADER_BYTES = 24
const RECORD_HEADER_BYTES = 16
const VERSION_MAJOR = 2
/** The upper bits of the link-type field hold the length of a frame check sequence. */
const LINK_TYPE_MASK = 0x03ffffff

/** Byte order of a classic pcap by its first four bytes, or undefined for another format. */
export function pcapByteOrder(magic: Uint8Array): ByteOrder | undefined {
  const big = new ByteReader(magic).u32be()
  if (big === PCAP_MAGIC_MICRO || big === PCAP_MAGIC_NANO) return 'big'
  const little = new ByteReader(magic).u32le()
  return little === PCAP_MAGIC_MICRO || little === PCAP_MAGIC_NANO ? 'little' : undefined
}

/** Reads the records of a classic pcap file in either byte order. */
export class PcapFileReader implements CaptureFormatReader {
  linkType: number | undefined
  readonly #queue: ByteQueue
  readonly byteOrder: ByteOrder

  /** `queue` is positioned at the magic number, whose byte order is given. */
  constructor(queue: ByteQueue, byteOrder: ByteOrder) {
    this.#queue = queue
    this.byteOrder = byteOrder
  }

  next(): CaptureRecord | CaptureDamage | undefined {
    if (this.linkType === undefined) {
      const damage = this.#readFileHeader()
      if (damage !== undefined || this.linkType === undefined) return damage
    }
    const header = this.#queue.peek(RECORD_HEADER_BYTES)
    if (header === undefined) return undefined
    const reader = new ByteReader(header)
    const timeSec = this.#u32(reader)
    reader.skip(4)
    const capturedBytes = this.#u32(reader)
    if (capturedBytes > MAX_CAPTURED_BYTES) {
      const reason = `invalid packet capture length ${capturedBytes}, bigger than maximum of ${MAX_CAPTURED_BYTES}`
      return { kind: 'damage', offset: this.#queue.offset, reason }
    }
    const whole = this.#queue.peek(RECORD_HEADER_BYTES + capturedBytes)
    if (whole === undefined) return undefined
    this.#queue.discard(whole.length)
    return {
      kind: 'record',
      bytes: whole.subarray(RECORD_HEADER_BYTES),
      timeSec,
      linkType: this.linkType,
      byteOrder: this.byteOrder,
    }
  }

  damageAtEnd(): CaptureDamage | undefined {
    const left = this.#queue.available
    const damage = (wantedBytes: number, what: string, gotBytes: number): CaptureDamage => ({
      kind: 'damage',
      offset: this.#queue.offset,
      reason: `truncated dump file; tried to read ${wantedBytes} ${what} bytes, only got ${gotBytes}`,
    })
    if (this.linkType === undefined) return damage(FILE_HEADER_BYTES, 'file header', left)
    if (left === 0) return undefined
    const header = this.#queue.peek(RECORD_HEADER_BYTES)
    if (header === undefined) return damage(RECORD_HEADER_BYTES, 'header', left)
    const capturedBytes = this.#u32(new ByteReader(header, 8))
    return damage(capturedBytes, 'captured', left - RECORD_HEADER_BYTES)
  }

  #readFileHeader(): CaptureDamage | undefined {
    const header = this.#queue.peek(FILE_HEADER_BYTES)
    if (header === undefined) return undefined
    const reader = new ByteReader(header, 4)
    const major = this.byteOrder === 'little' ? reader.u16le() : reader.u16be()
    const minor = this.byteOrder === 'little' ? reader.u16le() : reader.u16be()
    if (major !== VERSION_MAJOR) {
      return { kind: 'damage', offset: 4, reason: `unsupported pcap savefile version ${major}.${minor}` }
    }
    reader.seek(20)
    this.linkType = (this.#u32(reader) & LINK_TYPE_MASK) >>> 0
    this.#queue.discard(FILE_HEADER_BYTES)
    return undefined
  }

  #u32(reader: ByteReader): number {
    return this.byteOrder === 'little' ? reader.u32le() : reader.u32be()
  }
}
