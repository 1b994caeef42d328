import type { ByteOrder } from './nflog.js'

/** One captured packet of a capture file. */
export interface CaptureRecord {
  kind: 'record'
  /** The captured bytes, a view into the reader's buffer: copy them if they are needed after the next push. */
  bytes: Uint8Array
  /** Capture time in whole seconds since the Epoch. */
  timeSec: number
  /** LINKTYPE_* number of the interface. */
  linkType: number
  /** Byte order of the host that wrote the file. */
  byteOrder: ByteOrder
}

/** Where and why reading of a capture file stops; no record follows it. */
export interface CaptureDamage {
  kind: 'damage'
  /** Offset in the stream of the header or block that is damaged. */
  offset: number
  /** In libpcap's words if it reports this damage. */
  reason: string
  /** The program that decompresses it, if it begins like a compressed file. */
  compression?: 'gzip' | 'zstd' | 'xz'
}

/** Reads one format from a byte queue; `undefined` means that more bytes are needed. */
export interface CaptureFormatReader {
  /** Link type of the file as far as known: undefined before its header or first interface was read. */
  readonly linkType: number | undefined
  readonly byteOrder: ByteOrder
  next(): CaptureRecord | CaptureDamage | undefined
  /** The damage if the stream ends here, or undefined if this is between two records. */
  damageAtEnd(): CaptureDamage | undefined
}

/** Largest captured packet that libpcap accepts (MAXIMUM_SNAPLEN); a larger stated length is damage. */
export const MAX_CAPTURED_BYTES = 262_144
