import { isIpv4Text, isIpv6Text } from './numeric-text.js'

const DOT = 0x2e
const ZERO = 0x30

/** Address family by its IP version. */
export type IpFamily = 4 | 6

/** The address family of canonical address text as `canonicalIp` returns it. */
export function familyOf(canonicalText: string): IpFamily {
  return canonicalText.includes(':') ? 6 : 4
}

/**
 * Canonical text of a numeric address: IPv4 as a plain dotted quad, IPv6 as in RFC 5952, IPv4-mapped IPv6
 * (`::ffff:a.b.c.d` in any spelling) folded to IPv4. `undefined` for anything else: names, short IPv4
 * forms (`10.1`), leading zeros, prefixes (`/24`), zone suffixes (`%em0`), surrounding blanks.
 */
export function canonicalIp(text: string): string | undefined {
  if (isIpv4Text(text)) return text
  if (!text.includes(':') || text.includes('%') || !isIpv6Text(text)) return undefined
  const groups = parseIpv6Groups(text)
  if (
    groups[0] === 0 &&
    groups[1] === 0 &&
    groups[2] === 0 &&
    groups[3] === 0 &&
    groups[4] === 0 &&
    groups[5] === 0xffff
  ) {
    return formatIpv4(((groups[6]! << 16) | groups[7]!) >>> 0)
  }
  return formatIpv6(groups)
}

/** The dotted quad of an unsigned 32-bit number in host order: `0x0a000001` is `10.0.0.1`. */
export function formatIpv4(value: number): string {
  return `${value >>> 24}.${(value >>> 16) & 255}.${(value >>> 8) & 255}.${value & 255}`
}

/** The unsigned 32-bit number of a dotted quad that `canonicalIp` accepted. */
export function ipv4ToNumber(canonicalText: string): number {
  let value = 0
  let octet = 0
  for (let index = 0; index < canonicalText.length; index += 1) {
    const code = canonicalText.charCodeAt(index)
    if (code === DOT) {
      value = value * 256 + octet
      octet = 0
    } else octet = octet * 10 + code - ZERO
  }
  return value * 256 + octet
}

/** RFC 5952 text of eight 16-bit groups, most significant first. Source: RFC 5952 section 4. */
export function formatIpv6(groups: ArrayLike<number>): string {
  let bestStart = -1
  let bestLength = 1
  for (let start = 0; start < 8; start += 1) {
    let length = 0
    while (start + length < 8 && groups[start + length] === 0) length += 1
    if (length > bestLength) {
      bestStart = start
      bestLength = length
    }
    if (length > 0) start += length
  }
  let text = ''
  for (let index = 0; index < 8; index += 1) {
    if (index === bestStart) {
      text += '::'
      index += bestLength - 1
      continue
    }
    if (text !== '' && !text.endsWith(':')) text += ':'
    text += groups[index]!.toString(16)
  }
  return text
}

/** Eight 16-bit groups, most significant first, of text that `isIpv6Text` accepts and that has no zone. */
export function parseIpv6Groups(text: string): number[] {
  const [head = '', tail] = text.split('::')
  const headGroups = parseGroupList(head)
  if (tail === undefined) return headGroups
  const tailGroups = parseGroupList(tail)
  return [
    ...headGroups,
    ...new Array<number>(8 - headGroups.length - tailGroups.length).fill(0),
    ...tailGroups,
  ]
}

function parseGroupList(text: string): number[] {
  if (text === '') return []
  const groups: number[] = []
  for (const part of text.split(':')) {
    if (part.includes('.')) {
      const value = ipv4ToNumber(part)
      groups.push(Math.floor(value / 65536), value % 65536)
    } else {
      groups.push(Number.parseInt(part, 16))
    }
  }
  return groups
}
