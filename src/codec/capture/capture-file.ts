/**
 * A capture file or pipe, classic pcap or pcapng, recognised by its first bytes. Chunks go in as they arrive, records
 * come out one by one. Damage ends the file; the result says where it is.
 *
 * @example
 * reader.push(chunk)
 * for (let item = reader.next(); item !== undefined; item = reader.next()) ...
 */
import { ByteReader } from '../byte-reader.js'
import { ByteQueue } from './byte-queue.js'
import type { CaptureDamage, CaptureFormatReader, CaptureRecord } from './capture-record.js'
import type { ByteOrder } from './nflog.js'
import { PcapFileReader, pcapByteOrder } from './pcap-file.js'
import { BLOCK_SECTION_HEADER, PcapngFileReader } from './pcapng-file.js'

const MAGIC_BYTES = 4
/** First two bytes of gzip (RFC 1952), zstd and xz: captures are often stored compressed. */
const COMPRESSED_MAGICS: readonly (readonly [Required<CaptureDamage>['compression'], number])[] = [
  ['gzip', 0x1f8b],
  ['zstd', 0x28b5],
  ['xz', 0xfd37],
]

/** Reads classic pcap and pcapng from chunks, told apart by their first bytes. */
export class CaptureFileReader {
  readonly #queue = new ByteQueue()
  #format: CaptureFormatReader | undefined
  #damage: CaptureDamage | undefined

  /** Link type of the file, or undefined before it is known. */
  get linkType(): number | undefined {
    return this.#format?.linkType
  }

  /** Byte order of the host that wrote the file; `little` before it is known. */
  get byteOrder(): ByteOrder {
    return this.#format?.byteOrder ?? 'little'
  }

  push(chunk: Uint8Array): void {
    if (this.#damage === undefined) this.#queue.push(chunk)
  }

  /** The next record; undefined: push more bytes, or end. Once the file is damaged, every call returns the damage. */
  next(): CaptureRecord | CaptureDamage | undefined {
    if (this.#damage !== undefined) return this.#damage
    this.#format ??= this.#recognise()
    const item = this.#format?.next()
    if (item?.kind === 'damage') this.#damage = item
    return item ?? this.#damage
  }

  /**
   * Marks the end of the stream, after `next` has returned undefined. Returns the damage if it ended inside a record.
   */
  end(): CaptureDamage | undefined {
    this.#damage ??= this.#format?.damageAtEnd()
    if (this.#format === undefined) {
      const reason = `truncated dump file; tried to read ${MAGIC_BYTES} file header bytes, only got ${this.#queue.available}`
      this.#damage ??= { kind: 'damage', offset: 0, reason }
    }
    return this.#damage
  }

  #recognise(): CaptureFormatReader | undefined {
    const magic = this.#queue.peek(MAGIC_BYTES)
    if (magic === undefined) return undefined
    const byteOrder = pcapByteOrder(magic)
    if (byteOrder !== undefined) return new PcapFileReader(this.#queue, byteOrder)
    if (new ByteReader(magic).u32be() === BLOCK_SECTION_HEADER) return new PcapngFileReader(this.#queue)
    const start = new ByteReader(magic).u16be()
    const compression = COMPRESSED_MAGICS.find(([, number]) => number === start)?.[0]
    const unknown = { kind: 'damage', offset: 0, reason: 'unknown file format' } as const
    this.#damage =
      compression === undefined
        ? unknown
        : { ...unknown, reason: `${unknown.reason} (${compression})`, compression }
    return undefined
  }
}
