/** IP packets with the header of a TCP segment, as src/codec/capture/tcp-packet.ts reads them. */
import type { TcpPacket } from '../../../src/codec/capture/tcp-packet.js'

/** Flag bit of the TCP header. Source: RFC 9293 section 3.1. */
export const TCP_RST = 0x04

const PROTOCOL_TCP = 6
const HEADER_FRAGMENT = 44
const IPV4_MIN_HEADER_BYTES = 20
const IPV6_HEADER_BYTES = 40

export interface TcpPacketShape {
  /** IPv4: options to insert, a multiple of 4 bytes. IPv6: whole extension headers follow in `extensions`. */
  ipv4Options?: Uint8Array
  /** IPv6 extension headers in order; the first two bytes of `body` (next header, length) are filled in. */
  extensions?: readonly { header: number; body: Uint8Array }[]
  /** Fragment offset of an IPv4 packet in units of 8 bytes. */
  fragmentOffset?: number
}

/** An IP packet with a TCP header of 20 bytes and no data, for tests, benchmarks and samples. */
export function encodeTcpPacket(packet: TcpPacket, shape: TcpPacketShape = {}): Uint8Array {
  const tcp = new Uint8Array(20)
  const tcpView = new DataView(tcp.buffer)
  tcpView.setUint16(0, packet.sourcePort)
  tcpView.setUint16(2, packet.destinationPort)
  tcpView.setUint32(4, 1)
  tcp[12] = 0x50
  tcp[13] = packet.flags
  tcpView.setUint16(14, 0x2000)
  return packet.family === 4 ? encodeIpv4(packet, tcp, shape) : encodeIpv6(packet, tcp, shape)
}

function encodeIpv4(packet: TcpPacket, tcp: Uint8Array, shape: TcpPacketShape): Uint8Array {
  const optionBytes = shape.ipv4Options?.length ?? 0
  const headerBytes = IPV4_MIN_HEADER_BYTES + optionBytes
  const bytes = new Uint8Array(headerBytes + tcp.length)
  const view = new DataView(bytes.buffer)
  bytes[0] = 0x40 | (headerBytes / 4)
  view.setUint16(2, bytes.length)
  view.setUint16(4, 1)
  view.setUint16(6, shape.fragmentOffset ?? 0)
  bytes[8] = 64
  bytes[9] = PROTOCOL_TCP
  bytes.set(packet.source, 12)
  bytes.set(packet.destination, 16)
  if (shape.ipv4Options !== undefined) bytes.set(shape.ipv4Options, 20)
  bytes.set(tcp, headerBytes)
  return bytes
}

function encodeIpv6(packet: TcpPacket, tcp: Uint8Array, shape: TcpPacketShape): Uint8Array {
  const extensions = shape.extensions ?? []
  const extensionBytes = extensions.reduce((sum, extension) => sum + extension.body.length, 0)
  const bytes = new Uint8Array(IPV6_HEADER_BYTES + extensionBytes + tcp.length)
  const view = new DataView(bytes.buffer)
  bytes[0] = 0x60
  view.setUint16(4, extensionBytes + tcp.length)
  bytes[6] = extensions[0]?.header ?? PROTOCOL_TCP
  bytes[7] = 64
  bytes.set(packet.source, 8)
  bytes.set(packet.destination, 24)
  let at = IPV6_HEADER_BYTES
  for (const [index, extension] of extensions.entries()) {
    bytes.set(extension.body, at)
    bytes[at] = extensions[index + 1]?.header ?? PROTOCOL_TCP
    if (extension.header !== HEADER_FRAGMENT) bytes[at + 1] = extension.body.length / 8 - 1
    at += extension.body.length
  }
  bytes.set(tcp, at)
  return bytes
}
