/**
 * What the original and what ours must say of one pflog record, read straight from the bytes and the
 * specification, without any of the project's decoders: where the two differ, the difference is wanted.
 */
export function predictSightings(
  bytes: Uint8Array,
  argv: readonly string[],
): { original: string | undefined; ours: string | undefined } {
  const [length = 0, af = 0, action] = bytes
  const packetAt = Math.ceil(length / 4) * 4
  const direction = bytes[length >= 61 ? 60 : 44]
  const originalDirection = bytes[60]
  const name = Buffer.from(bytes.subarray(4, 20)).toString('latin1').split('\0')[0]
  const wantedName = argv.includes('-i') ? argv[argv.indexOf('-i') + 1] : undefined
  const isIpv6 = [10, 24, 28, 30].includes(af)
  const tcp = findTcp(bytes, packetAt, isIpv6)
  const none = { original: undefined, ours: undefined }
  if (action !== 0 || tcp === undefined || (tcp.flags & 0x12) !== 2) return none
  if (wantedName !== undefined && wantedName !== name) return none

  const warning = `invalid pflog header length (${length}/45). packet dropped.`
  const say = (way: number | undefined, source: string, destination: string) => {
    if (way === 1) return `inbound ${source}`
    return way === 2 && !argv.includes('-I') ? `outbound ${destination}` : undefined
  }
  const matchesOriginal = af === 2 && (tcp.sourcePort === 25 || tcp.destinationPort === 25)
  const matchesOurs = tcp.destinationPort === 25
  let original: string | undefined
  if (matchesOriginal && length < 45) original = warning
  // The sum of a length above 252 does not fit its byte: the original reads addresses from the header.
  else if (matchesOriginal && packetAt > 255)
    original = say(originalDirection, dotted(bytes, 12), dotted(bytes, 16))
  else if (matchesOriginal) original = say(originalDirection, tcp.source, tcp.destination)
  let ours: string | undefined
  if (matchesOurs && (length < 45 || length > 252)) ours = warning
  else if (matchesOurs) ours = say(direction, tcp.source, tcp.destination)
  return { original, ours }
}

function findTcp(bytes: Uint8Array, at: number, isIpv6: boolean) {
  const version = (bytes[at] ?? 0) >> 4
  if (version !== (isIpv6 ? 6 : 4)) return undefined
  const headerBytes = isIpv6 ? 40 : ((bytes[at] ?? 0) & 15) * 4
  const protocol = bytes[at + (isIpv6 ? 6 : 9)]
  const fragment = isIpv6 ? 0 : (((bytes[at + 6] ?? 0) & 31) << 8) | (bytes[at + 7] ?? 0)
  const tcpAt = at + headerBytes
  if (protocol !== 6 || fragment !== 0 || tcpAt + 14 > bytes.length) return undefined
  const text = (offset: number) => (isIpv6 ? grouped(bytes, offset) : dotted(bytes, offset))
  return {
    sourcePort: bytes[tcpAt]! * 256 + bytes[tcpAt + 1]!,
    destinationPort: bytes[tcpAt + 2]! * 256 + bytes[tcpAt + 3]!,
    flags: bytes[tcpAt + 13]!,
    source: text(at + (isIpv6 ? 8 : 12)),
    destination: text(at + (isIpv6 ? 24 : 16)),
  }
}

function dotted(bytes: Uint8Array, offset: number): string {
  return bytes.subarray(offset, offset + 4).join('.')
}

/** RFC 5952 text, by way of the URL parser. */
function grouped(bytes: Uint8Array, offset: number): string {
  const groups: string[] = []
  for (let at = offset; at < offset + 16; at += 2) {
    groups.push((bytes[at]! * 256 + bytes[at + 1]!).toString(16))
  }
  return new URL(`http://[${groups.join(':')}]/`).hostname.slice(1, -1)
}
