import type { NflogRecord } from '../../src/codec/capture/nflog.js'
import { LINK_TYPE_PFLOG } from '../../src/codec/capture/pflog.js'
import { TCP_SYN, type TcpPacket } from '../../src/codec/capture/tcp-packet.js'
import { familyOf } from '../../src/ip/address.js'
import { ipToBytes } from '../../src/ip/cidr.js'
import { encodeNflog } from './capture/encode-nflog.js'
import { encodePcapFileHeader, encodePcapRecord } from './capture/encode-pcap-file.js'
import { encodePflog, PFLOG_LAYOUTS, type PflogFields, type PflogLayout } from './capture/encode-pflog.js'
import { encodeTcpPacket, type TcpPacketShape } from './capture/encode-tcp-packet.js'

/** A SYN from one address to port 25 of another; any field can be changed. */
export function mailSyn(
  source: string,
  destination: string,
  changes: Partial<TcpPacket> = {},
  shape: TcpPacketShape = {},
): Uint8Array {
  const packet: TcpPacket = {
    family: familyOf(source),
    source: ipToBytes(source),
    destination: ipToBytes(destination),
    sourcePort: 40_000,
    destinationPort: 25,
    flags: TCP_SYN,
    ...changes,
  }
  return encodeTcpPacket(packet, shape)
}

/** A pflog record as OpenBSD writes it around a packet. */
export function pflogRecord(
  packet: Uint8Array,
  fields: PflogFields = { direction: 'in' },
  layout: PflogLayout = PFLOG_LAYOUTS.openbsd,
): Uint8Array {
  const isIpv6 = packet[0]! >> 4 === 6
  return encodePflog({ af: isIpv6 ? 24 : 2, ...fields }, layout, packet)
}

/** An nflog record around a packet, in the byte order of this host. */
export function nflogRecord(packet: Uint8Array, fields: Partial<NflogRecord> = {}): Uint8Array {
  const isIpv6 = packet[0]! >> 4 === 6
  return encodeNflog({ family: isIpv6 ? 10 : 2, ...fields, payload: packet }, 'little')
}

/** A capture file of records that all have the same time. */
export function captureFile(
  records: readonly Uint8Array[],
  options: { linkType?: number; timeSec?: number } = {},
): Uint8Array {
  const { linkType = LINK_TYPE_PFLOG, timeSec = 1_700_000_000 } = options
  return Buffer.concat([
    encodePcapFileHeader({ linkType }),
    ...records.map((record) => encodePcapRecord(record, timeSec)),
  ])
}
