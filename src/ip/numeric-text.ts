/**
 * Recognises numeric addresses by their text, as `isIPv4` and `isIPv6` of node:net do, without loading
 * node:net: that module alone would take a tenth of the run time of a one-key spamdb.
 */
const OCTET = '(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])'
const IPV4 = new RegExp(`^${OCTET}(?:\\.${OCTET}){3}$`)
/** Longest text without a zone, `ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255`. */
const MAX_IPV6_CHARS = 45
const GROUP_COUNT = 8

/** True for a dotted quad without leading zeros. */
export function isIpv4Text(text: string): boolean {
  return IPV4.test(text)
}

/** True for an IPv6 address without a zone, in any spelling of RFC 4291 section 2.2. */
export function isIpv6Text(text: string): boolean {
  if (text.length > MAX_IPV6_CHARS || !/^[0-9a-fA-F:.]+$/.test(text)) return false
  const halves = text.split('::')
  if (halves.length > 2) return false
  const head = countGroups(halves[0]!, halves.length === 1)
  if (halves.length === 1) return head === GROUP_COUNT
  const tail = countGroups(halves[1]!, true)
  return head >= 0 && tail >= 0 && head + tail < GROUP_COUNT
}

/** Groups in a part between `::`, or -1 when one is malformed. A dotted quad at the end counts as two. */
function countGroups(part: string, mayEndInQuad: boolean): number {
  if (part === '') return 0
  const groups = part.split(':')
  const last = groups.at(-1)!
  const hasQuad = mayEndInQuad && last.includes('.') && isIpv4Text(last)
  const plain = hasQuad ? groups.slice(0, -1) : groups
  if (!plain.every((group) => /^[0-9a-fA-F]{1,4}$/.test(group))) return -1
  return plain.length + (hasQuad ? 2 : 0)
}
