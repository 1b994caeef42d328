/**
 * pcapng capture files, as far as packets need it: section header, interface description, enhanced, simple
 * and obsolete packet blocks; every other block is skipped without being held in memory.
 *
 * Each block: type 4, total length 4, body, total length 4 again; multiples of 4, in the byte order of the
 * section. Source: draft-ietf-opsawg-pcapng, sections 3 and 4.
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

/** Block types. Source: the pcapng draft (draft-ietf-opsawg-pcapng), section 4. */
export const BLOCK_SECTION_HEADER = 0x0a0d0d0a
const BLOCK_INTERFACE = 1
const BLOCK_OBSOLETE_PACKET = 2
const BLOCK_SIMPLE_PACKET = 3
const BLOCK_ENHANCED_PACKET = 6
const BYTE_ORDER_MAGIC = 0x1a2b3c4d
const BLOCK_HEAD_BYTES = 8
const MIN_BLOCK_BYTES = 12
const MIN_SECTION_BYTES = 28
/** Limit of a block that is read whole: a packet of maximum size, with room for its options. */
const MAX_READ_BLOCK_BYTES = MAX_CAPTURED_BYTES + 65_536
/**
 * Maximum number of interfaces in one section; a capture of all interfaces of a large router has far fewer.
 * @internal The tests go to the limit and beyond it.
 */
export const MAX_PCAPNG_INTERFACES = 4_096
const OPTION_END = 0
const OPTION_TIME_RESOLUTION = 9
const DEFAULT_TICKS_PER_SEC = 1e6
/** Later times cannot be real: they are limited to what a classic pcap can hold. */
const MAX_TIME_SEC = 0xffffffff

interface PcapngInterface {
  linkType: number
  snapLengthBytes: number
  ticksPerSec: number
}

/** Reads the packets of a pcapng file; all its interfaces must share one link type. */
export class PcapngFileReader implements CaptureFormatReader {
  byteOrder: ByteOrder = 'little'
  readonly #queue: ByteQueue
  #interfaces: PcapngInterface[] = []
  /** Remaining bytes of the block that is being skipped. */
  #skipBytes = 0

  /** `queue` is positioned at the first section header. */
  constructor(queue: ByteQueue) {
    this.#queue = queue
  }

  get linkType(): number | undefined {
    return this.#interfaces[0]?.linkType
  }

  next(): CaptureRecord | CaptureDamage | undefined {
    for (;;) {
      this.#skipBytes -= this.#queue.discard(this.#skipBytes)
      if (this.#skipBytes > 0) return undefined
      const head = this.#queue.peek(MIN_BLOCK_BYTES)
      if (head === undefined) return undefined
      const type = this.#readBlockType(head)
      if (type === undefined) return this.#damage('unknown byte order of a section')
      const lengthBytes = this.#u32(new ByteReader(head, 4))
      const minBytes = type === BLOCK_SECTION_HEADER ? MIN_SECTION_BYTES : MIN_BLOCK_BYTES
      if (lengthBytes < minBytes || lengthBytes % 4 !== 0) {
        return this.#damage(`block length ${lengthBytes} is impossible`)
      }
      if (!isReadWhole(type)) {
        this.#skipBytes = lengthBytes
        continue
      }
      if (lengthBytes > MAX_READ_BLOCK_BYTES) {
        return this.#damage(`block length ${lengthBytes} is larger than ${MAX_READ_BLOCK_BYTES}`)
      }
      const block = this.#queue.peek(lengthBytes)
      if (block === undefined) return undefined
      if (this.#u32(new ByteReader(block, lengthBytes - 4)) !== lengthBytes) {
        return this.#damage('the two lengths of a block differ')
      }
      const result = this.#readBlock(type, block.subarray(BLOCK_HEAD_BYTES, lengthBytes - 4))
      if (result?.kind === 'damage') return result
      this.#queue.discard(lengthBytes)
      if (result !== undefined) return result
    }
  }

  damageAtEnd(): CaptureDamage | undefined {
    if (this.#skipBytes === 0 && this.#queue.available === 0) return undefined
    return this.#damage(`truncated pcapng block; only got ${this.#queue.available} bytes of it`)
  }

  /** Type of the block. A section header sets the byte order; undefined if its byte-order magic is invalid. */
  #readBlockType(head: Uint8Array): number | undefined {
    // The section header's type reads the same in both orders.
    if (new ByteReader(head).u32be() !== BLOCK_SECTION_HEADER) return this.#u32(new ByteReader(head))
    if (new ByteReader(head, 8).u32be() === BYTE_ORDER_MAGIC) this.byteOrder = 'big'
    else if (new ByteReader(head, 8).u32le() === BYTE_ORDER_MAGIC) this.byteOrder = 'little'
    else return undefined
    return BLOCK_SECTION_HEADER
  }

  #readBlock(type: number, body: Uint8Array): CaptureRecord | CaptureDamage | undefined {
    const reader = new ByteReader(body)
    if (type === BLOCK_SECTION_HEADER) {
      this.#interfaces = []
      return undefined
    }
    if (type === BLOCK_INTERFACE) return this.#readInterface(reader)
    if (type === BLOCK_SIMPLE_PACKET) {
      const wireBytes = this.#u32(reader)
      const snapBytes = this.#interfaces[0]?.snapLengthBytes || MAX_CAPTURED_BYTES
      return this.#record(0, 0, reader, Math.min(wireBytes, snapBytes, reader.remaining))
    }
    const interfaceIndex = type === BLOCK_ENHANCED_PACKET ? this.#u32(reader) : this.#u16(reader)
    if (type === BLOCK_OBSOLETE_PACKET) reader.skip(2)
    const high = this.#u32(reader)
    const low = this.#u32(reader)
    const capturedBytes = this.#u32(reader)
    reader.skip(4)
    return this.#record(interfaceIndex, high * 2 ** 32 + low, reader, capturedBytes)
  }

  #record(
    interfaceIndex: number,
    ticks: number,
    reader: ByteReader,
    capturedBytes: number,
  ): CaptureRecord | CaptureDamage {
    const bytes = reader.take(capturedBytes)
    const source = this.#interfaces[interfaceIndex]
    if (reader.isShort || capturedBytes > MAX_CAPTURED_BYTES) {
      return this.#damage(`invalid packet capture length ${capturedBytes}`)
    }
    if (source === undefined) {
      return this.#damage(`a packet of interface ${interfaceIndex}, which is not described`)
    }
    const timeSec = Math.min(Math.floor(ticks / source.ticksPerSec), MAX_TIME_SEC)
    return { kind: 'record', bytes, timeSec, linkType: source.linkType, byteOrder: this.byteOrder }
  }

  #readInterface(reader: ByteReader): CaptureDamage | undefined {
    const linkType = this.#u16(reader)
    reader.skip(2)
    const snapLengthBytes = this.#u32(reader)
    if (reader.isShort) return this.#damage('an interface description is too short')
    if (this.#interfaces.length === MAX_PCAPNG_INTERFACES) {
      return this.#damage(`more than ${MAX_PCAPNG_INTERFACES} interfaces`)
    }
    this.#interfaces.push({ linkType, snapLengthBytes, ticksPerSec: this.#readTicksPerSec(reader) })
    return undefined
  }

  #readTicksPerSec(reader: ByteReader): number {
    while (reader.remaining >= 4) {
      const code = this.#u16(reader)
      const lengthBytes = this.#u16(reader)
      if (code === OPTION_END) break
      if (code === OPTION_TIME_RESOLUTION && lengthBytes === 1) {
        const exponent = reader.u8()
        return exponent >= 128 ? 2 ** (exponent - 128) : 10 ** exponent
      }
      reader.skip(Math.ceil(lengthBytes / 4) * 4)
      if (reader.isShort) break
    }
    return DEFAULT_TICKS_PER_SEC
  }

  #damage(reason: string): CaptureDamage {
    return { kind: 'damage', offset: this.#queue.offset, reason }
  }

  #u16(reader: ByteReader): number {
    return this.byteOrder === 'little' ? reader.u16le() : reader.u16be()
  }

  #u32(reader: ByteReader): number {
    return this.byteOrder === 'little' ? reader.u32le() : reader.u32be()
  }
}

function isReadWhole(type: number): boolean {
  return (
    type === BLOCK_SECTION_HEADER ||
    type === BLOCK_INTERFACE ||
    type === BLOCK_OBSOLETE_PACKET ||
    type === BLOCK_SIMPLE_PACKET ||
    type === BLOCK_ENHANCED_PACKET
  )
}
