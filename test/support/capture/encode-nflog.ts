/** Records of NFLOG, as src/codec/capture/nflog.ts reads them. */
import type { ByteOrder, NflogRecord } from '../../../src/codec/capture/nflog.js'

/** Source: linux/netfilter/nfnetlink_log.h. */
const NFULA_PACKET_HDR = 1
const NFULA_IFINDEX_INDEV = 4
const NFULA_IFINDEX_OUTDEV = 5
const NFULA_PAYLOAD = 9
const NFULA_PREFIX = 10

/** A record as the kernel of a host with the given byte order would deliver it; absent fields are left out. */
export function encodeNflog(
  record: Partial<NflogRecord> & { payload: Uint8Array },
  byteOrder: ByteOrder,
): Uint8Array {
  const parts: Uint8Array[] = [
    Uint8Array.of(record.family ?? 2, 0, (record.group ?? 0) >> 8, (record.group ?? 0) & 255),
  ]
  const add = (type: number, value: Uint8Array): void => {
    const tlv = new Uint8Array(Math.ceil((value.length + 4) / 4) * 4)
    const view = new DataView(tlv.buffer)
    view.setUint16(0, value.length + 4, byteOrder === 'little')
    view.setUint16(2, type, byteOrder === 'little')
    tlv.set(value, 4)
    parts.push(tlv)
  }
  if (record.hook !== undefined) add(NFULA_PACKET_HDR, Uint8Array.of(8, 0, record.hook, 0))
  if (record.prefix !== undefined) add(NFULA_PREFIX, Buffer.from(`${record.prefix}\0`, 'latin1'))
  if (record.inputIndex !== undefined) add(NFULA_IFINDEX_INDEV, u32be(record.inputIndex))
  if (record.outputIndex !== undefined) add(NFULA_IFINDEX_OUTDEV, u32be(record.outputIndex))
  add(NFULA_PAYLOAD, record.payload)
  return Buffer.concat(parts)
}

function u32be(value: number): Uint8Array {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, value)
  return bytes
}
