/**
 * The fields of a TCP segment inside a captured IP packet that the log watcher needs.
 *
 * | | IPv4 (RFC 791) | IPv6 (RFC 8200) |
 * |---|---|---|
 * | version, header length | byte 0, high and low nibble (in words) | byte 0, high nibble; 40 bytes |
 * | protocol | byte 9 | byte 6, then each extension header's byte 0 |
 * | source, destination | bytes 12 and 16 | bytes 8 and 24 |
 * | fragment offset | low 13 bits of bytes 6-7 | high 13 bits of bytes 2-3 of the fragment header |
 */
import type { IpFamily } from '../../ip/address.js'
import { ByteReader } from '../byte-reader.js'
import type { Decoded } from '../decoded.js'

/** Flag bits of the TCP header. Source: RFC 9293 section 3.1. */
export const TCP_SYN = 0x02
export const TCP_ACK = 0x10

const PROTOCOL_TCP = 6
const HEADER_HOP_BY_HOP = 0
const HEADER_ROUTING = 43
const HEADER_FRAGMENT = 44
const HEADER_DESTINATION_OPTIONS = 60
const IPV4_MIN_HEADER_BYTES = 20
const IPV6_HEADER_BYTES = 40
/** Bytes of a TCP header up to and including its flags. */
const TCP_HEAD_BYTES = 14
/**
 * RFC 8200 section 4.1 allows each of four kinds once, destination options twice; more is an attack.
 * @internal The tests go to the limit and beyond it.
 */
export const MAX_EXTENSION_HEADERS = 8

export interface TcpPacket {
  family: IpFamily
  /** Views into the given bytes: 4 or 16 bytes, network order. */
  source: Uint8Array
  destination: Uint8Array
  sourcePort: number
  destinationPort: number
  /** Byte 13 of the TCP header: `TCP_SYN`, `TCP_ACK` and so on. */
  flags: number
}

export type TcpPacketReason =
  | 'truncated'
  | 'not-ip'
  | 'bad-header'
  | 'not-tcp'
  | 'fragment'
  | 'too-many-headers'

/**
 * Reads the packet that starts at `offset`. Only the captured bytes count: the length fields of the packet are
 * ignored, since the snap length may have truncated it. A first fragment is read; later ones have no TCP header and
 * are refused.
 */
export function decodeTcpPacket(bytes: Uint8Array, offset = 0): Decoded<TcpPacket, TcpPacketReason> {
  const reader = new ByteReader(bytes, offset)
  const first = reader.u8()
  if (reader.isShort) return { ok: false, reason: 'truncated', offset }
  const version = first >> 4
  if (version === 4) return decodeIpv4(reader, offset, (first & 0x0f) * 4)
  if (version === 6) return decodeIpv6(reader, offset)
  return { ok: false, reason: 'not-ip', offset }
}

function decodeIpv4(
  reader: ByteReader,
  offset: number,
  headerBytes: number,
): Decoded<TcpPacket, TcpPacketReason> {
  if (headerBytes < IPV4_MIN_HEADER_BYTES) return { ok: false, reason: 'bad-header', offset }
  reader.seek(offset + 6)
  const fragmentOffset = reader.u16be() & 0x1fff
  reader.skip(1)
  const protocol = reader.u8()
  reader.skip(2)
  const source = reader.take(4)
  const destination = reader.take(4)
  if (reader.isShort) return { ok: false, reason: 'truncated', offset: reader.position }
  if (protocol !== PROTOCOL_TCP) return { ok: false, reason: 'not-tcp', offset: offset + 9 }
  if (fragmentOffset !== 0) return { ok: false, reason: 'fragment', offset: offset + 6 }
  return decodeTcpHead(reader, offset + headerBytes, 4, source, destination)
}

function decodeIpv6(reader: ByteReader, offset: number): Decoded<TcpPacket, TcpPacketReason> {
  reader.seek(offset + 6)
  let nextHeader = reader.u8()
  reader.skip(1)
  const source = reader.take(16)
  const destination = reader.take(16)
  if (reader.isShort) return { ok: false, reason: 'truncated', offset: reader.position }
  let headerAt = offset + IPV6_HEADER_BYTES
  for (let count = 0; count <= MAX_EXTENSION_HEADERS; count += 1) {
    if (nextHeader === PROTOCOL_TCP) return decodeTcpHead(reader, headerAt, 6, source, destination)
    if (
      nextHeader !== HEADER_HOP_BY_HOP &&
      nextHeader !== HEADER_ROUTING &&
      nextHeader !== HEADER_FRAGMENT &&
      nextHeader !== HEADER_DESTINATION_OPTIONS
    ) {
      return { ok: false, reason: 'not-tcp', offset: headerAt }
    }
    reader.seek(headerAt)
    const following = reader.u8()
    const lengthUnits = reader.u8()
    const fragmentWord = nextHeader === HEADER_FRAGMENT ? reader.u16be() : 0
    if (reader.isShort) return { ok: false, reason: 'truncated', offset: reader.position }
    if (fragmentWord >> 3 !== 0) return { ok: false, reason: 'fragment', offset: headerAt }
    headerAt += nextHeader === HEADER_FRAGMENT ? 8 : (lengthUnits + 1) * 8
    nextHeader = following
  }
  return { ok: false, reason: 'too-many-headers', offset: headerAt }
}

function decodeTcpHead(
  reader: ByteReader,
  tcpAt: number,
  family: IpFamily,
  source: Uint8Array,
  destination: Uint8Array,
): Decoded<TcpPacket, TcpPacketReason> {
  reader.seek(tcpAt)
  const sourcePort = reader.u16be()
  const destinationPort = reader.u16be()
  reader.skip(9)
  const flags = reader.u8()
  if (reader.isShort) return { ok: false, reason: 'truncated', offset: reader.position }
  return {
    ok: true,
    value: { family, source, destination, sourcePort, destinationPort, flags },
    bytesRead: tcpAt + TCP_HEAD_BYTES,
  }
}
