/**
 * Decoder of the PROXY protocol header, versions 1 and 2, that a load balancer sends before the client's bytes.
 *
 *     version 1  "PROXY TCP4 192.0.2.1 192.0.2.9 56324 25\r\n", at most 107 bytes
 *     version 2  0   12 bytes  signature 0d 0a 0d 0a 00 0d 0a 51 55 49 54 0a
 *                12  1 byte    version 2 in the high half, command in the low (0 LOCAL, 1 PROXY)
 *                13  1 byte    family in the high half (1 inet, 2 inet6), 1 = stream in the low
 *                14  2 bytes   length of the rest, big endian
 *                16  addresses: source, destination, source port, destination port; then TLVs (skipped)
 *
 * Source: "The PROXY protocol, versions 1 & 2" of HAProxy, sections 2.1 and 2.2.
 */
import { canonicalIp, formatIpv4, formatIpv6 } from '../../ip/address.js'

/**
 * Longest version 1 line with its CR LF. Source: section 2.1.
 * @internal The tests go to the limit and beyond it.
 */
export const MAX_PROXY_V1_BYTES = 107
/**
 * Maximum length of a version 2 header after its first 16 bytes: addresses take 36 bytes, and the TLVs of real load
 * balancers are shorter than the rest.
 */
export const MAX_PROXY_V2_REST_BYTES = 4096

const V2_SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex')
const V2_FIXED_BYTES = 16
const V1_PREFIX = Buffer.from('PROXY ', 'latin1')

/** The real source and destination of the connection; canonical addresses. */
export interface ProxiedEndpoints {
  sourceIp: string
  sourcePort: number
  destinationIp: string
  destinationPort: number
}

export type ProxyHeaderResult =
  /** The header is not complete yet. */
  | { status: 'more' }
  /** `endpoints` is undefined for a connection of the load balancer itself: LOCAL, UNKNOWN and no address family. */
  | { status: 'done'; endpoints: ProxiedEndpoints | undefined; bytesRead: number }
  | { status: 'bad'; reason: string }

/** Decodes the header at the start of the received bytes; anything else is bad. Never throws. */
export function decodeProxyHeader(bytes: Uint8Array): ProxyHeaderResult {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (buffer.length === 0) return { status: 'more' }
  if (startsLike(buffer, V1_PREFIX)) return decodeVersion1(buffer)
  if (startsLike(buffer, V2_SIGNATURE)) return decodeVersion2(buffer)
  return { status: 'bad', reason: 'no PROXY header' }
}

function startsLike(buffer: Buffer, prefix: Buffer): boolean {
  const length = Math.min(buffer.length, prefix.length)
  return buffer.compare(prefix, 0, length, 0, length) === 0
}

// eslint-disable-next-line complexity -- a grammar: one test for each part of a line
function decodeVersion1(buffer: Buffer): ProxyHeaderResult {
  const lineFeed = buffer.subarray(0, MAX_PROXY_V1_BYTES).indexOf(10)
  if (lineFeed < 0) {
    return buffer.length < MAX_PROXY_V1_BYTES
      ? { status: 'more' }
      : { status: 'bad', reason: 'PROXY line too long' }
  }
  if (buffer[lineFeed - 1] !== 13) return { status: 'bad', reason: 'PROXY line without CR' }
  const words = buffer.toString('latin1', 0, lineFeed - 1).split(' ')
  const [, protocol, source = '', destination = '', sourcePortText = '', destinationPortText = ''] = words
  // A health check; what follows the word is to be ignored. Source: section 2.1.
  if (protocol === 'UNKNOWN') return { status: 'done', endpoints: undefined, bytesRead: lineFeed + 1 }
  if ((protocol !== 'TCP4' && protocol !== 'TCP6') || words.length !== 6) {
    return { status: 'bad', reason: 'malformed PROXY line' }
  }
  const isRightFamily = (text: string): boolean => text.includes(':') === (protocol === 'TCP6')
  const sourceIp = isRightFamily(source) ? canonicalIp(source) : undefined
  const destinationIp = isRightFamily(destination) ? canonicalIp(destination) : undefined
  const sourcePort = parsePort(sourcePortText)
  const destinationPort = parsePort(destinationPortText)
  if (
    sourceIp === undefined ||
    destinationIp === undefined ||
    sourcePort === undefined ||
    destinationPort === undefined
  ) {
    return { status: 'bad', reason: 'bad address in PROXY line' }
  }
  return {
    status: 'done',
    endpoints: { sourceIp, sourcePort, destinationIp, destinationPort },
    bytesRead: lineFeed + 1,
  }
}

function decodeVersion2(buffer: Buffer): ProxyHeaderResult {
  if (buffer.length < V2_FIXED_BYTES) return { status: 'more' }
  const versionAndCommand = buffer.readUInt8(12)
  const familyAndProtocol = buffer.readUInt8(13)
  const restBytes = buffer.readUInt16BE(14)
  const command = versionAndCommand & 0x0f
  if (versionAndCommand >> 4 !== 2 || command > 1) return { status: 'bad', reason: 'bad PROXY version' }
  if (restBytes > MAX_PROXY_V2_REST_BYTES) return { status: 'bad', reason: 'PROXY header too long' }
  if (buffer.length < V2_FIXED_BYTES + restBytes) return { status: 'more' }
  const bytesRead = V2_FIXED_BYTES + restBytes
  // Without an address family the real addresses count. Source: section 2.2.
  if (command === 0 || familyAndProtocol === 0) return { status: 'done', endpoints: undefined, bytesRead }
  const rest = buffer.subarray(V2_FIXED_BYTES, bytesRead)
  if (familyAndProtocol === 0x11 && rest.length >= 12) {
    return {
      status: 'done',
      endpoints: {
        sourceIp: formatIpv4(rest.readUInt32BE(0)),
        destinationIp: formatIpv4(rest.readUInt32BE(4)),
        sourcePort: rest.readUInt16BE(8),
        destinationPort: rest.readUInt16BE(10),
      },
      bytesRead,
    }
  }
  if (familyAndProtocol === 0x21 && rest.length >= 36) {
    return {
      status: 'done',
      endpoints: {
        sourceIp: ipv6At(rest, 0),
        destinationIp: ipv6At(rest, 16),
        sourcePort: rest.readUInt16BE(32),
        destinationPort: rest.readUInt16BE(34),
      },
      bytesRead,
    }
  }
  return { status: 'bad', reason: 'unsupported PROXY address family' }
}

function ipv6At(buffer: Buffer, offset: number): string {
  const groups = Array.from({ length: 8 }, (_, index) => buffer.readUInt16BE(offset + 2 * index))
  const text = formatIpv6(groups)
  return canonicalIp(text) ?? text
}

function parsePort(text: string): number | undefined {
  if (!/^(0|[1-9][0-9]{0,4})$/.test(text)) return undefined
  const port = Number(text)
  return port <= 65535 ? port : undefined
}
