/** Classic pcap savefiles, as src/codec/capture/pcap-file.ts reads them. */
import type { ByteOrder } from '../../../src/codec/capture/nflog.js'

/** Source: pcap-savefile(5). */
const MAGIC_MICRO = 0xa1b2c3d4
const MAGIC_NANO = 0xa1b23c4d
const FILE_HEADER_BYTES = 24
const RECORD_HEADER_BYTES = 16
const VERSION_MAJOR = 2

export interface PcapFileShape {
  byteOrder?: ByteOrder
  hasNanoseconds?: boolean
  linkType: number
}

/** The file header of a savefile with snap length 512. */
export function encodePcapFileHeader(shape: PcapFileShape): Uint8Array {
  const isLittle = shape.byteOrder !== 'big'
  const bytes = new Uint8Array(FILE_HEADER_BYTES)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, shape.hasNanoseconds ? MAGIC_NANO : MAGIC_MICRO, isLittle)
  view.setUint16(4, VERSION_MAJOR, isLittle)
  view.setUint16(6, 4, isLittle)
  view.setUint32(16, 512, isLittle)
  view.setUint32(20, shape.linkType, isLittle)
  return bytes
}

/** One record of a savefile: header and complete packet. */
export function encodePcapRecord(
  packet: Uint8Array,
  timeSec: number,
  byteOrder: ByteOrder = 'little',
): Uint8Array {
  const bytes = new Uint8Array(RECORD_HEADER_BYTES + packet.length)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, timeSec, byteOrder === 'little')
  view.setUint32(8, packet.length, byteOrder === 'little')
  view.setUint32(12, packet.length, byteOrder === 'little')
  bytes.set(packet, RECORD_HEADER_BYTES)
  return bytes
}
