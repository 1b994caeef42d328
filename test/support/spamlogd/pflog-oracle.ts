/**
 * Predicts what the original and our spamlogd do with one pflog record, from the bytes and the specification, without
 * any of the project's decoders.
 */
export interface RecordRules {
  /** -i */
  interfaceName: string | undefined
  /** -I */
  isInboundOnly: boolean
}

/** What is logged for a record; `ip` is set if it is a sighting. */
export interface RecordLine {
  level: 'DEBUG' | 'WARNING'
  text: string
  ip?: string
}

interface TcpHead {
  sourcePort: number
  destinationPort: number
  flags: number
  source: string
  destination: string
}

const IN = 1
const OUT = 2
const MIN_HEADER = 45
const MAX_HEADER = 252
const ipv6Families = [10, 24, 28, 30]
const roundUp = (value: number, multiple: number): number => Math.ceil(value / multiple) * multiple

/** The original: `ip and port 25 and action pass and tcp[13] & 0x12 = 0x2`, then its own tests. */
export function originalLine(bytes: Uint8Array, rules: RecordRules): RecordLine | undefined {
  const [length = 0, af, action] = bytes
  const packetAt = roundUp(length, 4)
  const tcp = findTcp(bytes, packetAt, 4)
  if (af !== 2 || action !== 0 || tcp === undefined || (tcp.flags & 0x12) !== 2) return undefined
  if (tcp.sourcePort !== 25 && tcp.destinationPort !== 25) return undefined
  // `on IF` of pcap-filter(7) compares only the length of the name: em1 also matches em10.
  if (!interfaceOf(bytes).startsWith(rules.interfaceName ?? '')) return undefined
  if (length < MIN_HEADER) return invalidHeader(length)
  // The sum of a length above 252 does not fit its byte: addresses are read from the header.
  const shown = packetAt > 255 ? { source: dotted(bytes, 12), destination: dotted(bytes, 16) } : tcp
  return sighting(bytes[60], shown, rules)
}

/** Ours: IPv6, destination port only, exact interface, direction and packet by the layout of the header. */
export function ourLine(bytes: Uint8Array, rules: RecordRules): RecordLine | undefined {
  const [length = 0, af = 0, action] = bytes
  const family = af === 2 ? 4 : ipv6Families.includes(af) ? 6 : undefined
  if (family === undefined || action !== 0) return undefined
  const isPossible = length >= MIN_HEADER && length <= MAX_HEADER
  // After translation (OpenBSD), the packet is of the other family.
  const families =
    isPossible && length >= 100 && ipv6Families.concat(2).includes(bytes[62] ?? 0)
      ? [family, bytes[62] === 2 ? 4 : 6]
      : [family]
  const places = isPossible
    ? [roundUp(length, 4), roundUp(length, 8), ...(length === 61 ? [68] : [])]
    : [roundUp(length, 4)]
  if (isPossible && bytes.length <= places[0]!) return undefined
  const packetAt = places.find((at) => at < bytes.length && families.includes(bytes[at]! >> 4))
  if (packetAt === undefined) return isPossible ? invalidHeader(length) : undefined
  const tcp = findTcp(bytes, packetAt, bytes[packetAt]! >> 4)
  if (tcp === undefined || (tcp.flags & 0x12) !== 2 || tcp.destinationPort !== 25) return undefined
  if (rules.interfaceName !== undefined && interfaceOf(bytes) !== rules.interfaceName) return undefined
  if (!isPossible) return invalidHeader(length)
  return sighting(bytes[length >= 61 ? 60 : 44], tcp, rules)
}

function invalidHeader(length: number): RecordLine {
  return {
    level: 'WARNING',
    text: `invalid pflog header length (${length}/${MIN_HEADER}). packet dropped.`,
  }
}

function sighting(
  direction: number | undefined,
  { source, destination }: { source: string; destination: string },
  { isInboundOnly }: RecordRules,
): RecordLine | undefined {
  if (direction === IN) return { level: 'DEBUG', text: `inbound ${source}`, ip: source }
  if (direction !== OUT || isInboundOnly) return undefined
  return { level: 'DEBUG', text: `outbound ${destination}`, ip: destination }
}

function interfaceOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.subarray(4, 20)).toString('latin1').split('\0')[0]!
}

/** The TCP header of the packet at the offset; undefined for anything else and for later fragments. */
function findTcp(bytes: Uint8Array, at: number, version: number): TcpHead | undefined {
  if ((bytes[at] ?? 0) >> 4 !== version) return undefined
  return version === 4 ? findTcp4(bytes, at) : version === 6 ? findTcp6(bytes, at) : undefined
}

function findTcp4(bytes: Uint8Array, at: number): TcpHead | undefined {
  const fragment = (((bytes[at + 6] ?? 0) & 31) << 8) | (bytes[at + 7] ?? 0)
  const headerBytes = (bytes[at]! & 15) * 4
  if (bytes[at + 9] !== 6 || fragment !== 0 || headerBytes < 20) return undefined
  return tcpHead(bytes, at + headerBytes, dotted(bytes, at + 12), dotted(bytes, at + 16))
}

function findTcp6(bytes: Uint8Array, at: number): TcpHead | undefined {
  let kind = bytes[at + 6]
  let next = at + 40
  while (kind === 0 || kind === 43 || kind === 44 || kind === 60) {
    const [following, units = 0, high = 0, low = 0] = bytes.subarray(next)
    if (kind === 44 && (high * 256 + low) >> 3 !== 0) return undefined
    next += kind === 44 ? 8 : (units + 1) * 8
    kind = following
  }
  return kind === 6 ? tcpHead(bytes, next, grouped(bytes, at + 8), grouped(bytes, at + 24)) : undefined
}

function tcpHead(bytes: Uint8Array, at: number, source: string, destination: string): TcpHead | undefined {
  if (at + 14 > bytes.length) return undefined
  const sourcePort = bytes[at]! * 256 + bytes[at + 1]!
  const destinationPort = bytes[at + 2]! * 256 + bytes[at + 3]!
  return { sourcePort, destinationPort, flags: bytes[at + 13]!, source, destination }
}

function dotted(bytes: Uint8Array, offset: number): string {
  return bytes.subarray(offset, offset + 4).join('.')
}

/** RFC 5952 text by the URL parser; IPv4-mapped addresses become IPv4. */
function grouped(bytes: Uint8Array, offset: number): string {
  const address = bytes.subarray(offset, offset + 16)
  if (address.subarray(0, 12).join('.') === '0.0.0.0.0.0.0.0.0.0.255.255') return dotted(bytes, offset + 12)
  const groups: string[] = []
  for (let at = 0; at < 16; at += 2) groups.push((address[at]! * 256 + address[at + 1]!).toString(16))
  return new URL(`http://[${groups.join(':')}]/`).hostname.slice(1, -1)
}
