/** Private addresses, to which a server on the Internet must not redirect us. */
import { BlockList, isIP, isIPv4 } from 'node:net'
import { parseIpv6Groups } from '../ip/address.js'

/** Source: RFC 6890 and the IANA special-purpose registries. */
const INSIDE: readonly (readonly [string, number, 'ipv4' | 'ipv6'])[] = [
  ['0.0.0.0', 8, 'ipv4'],
  ['10.0.0.0', 8, 'ipv4'],
  ['100.64.0.0', 10, 'ipv4'],
  ['127.0.0.0', 8, 'ipv4'],
  ['169.254.0.0', 16, 'ipv4'],
  ['172.16.0.0', 12, 'ipv4'],
  ['192.168.0.0', 16, 'ipv4'],
  ['224.0.0.0', 3, 'ipv4'],
  ['::', 127, 'ipv6'],
  ['fc00::', 7, 'ipv6'],
  ['fe80::', 9, 'ipv6'],
  ['ff00::', 8, 'ipv6'],
]

/** Prefixes in which an IPv4 address is embedded: mapped, NAT64, 6to4; and the groups that contain it. */
const EMBEDDED: readonly (readonly [RegExp, number])[] = [
  [/^0:0:0:0:0:(?:0|ffff):/, 6],
  [/^64:ff9b:0:0:0:0:/, 6],
  [/^2002:/, 1],
]

let inside: BlockList | undefined

/** True for loopback, link-local, private, shared, multicast and unspecified addresses, also within IPv6 ones. */
export function isInsideAddress(address: string): boolean {
  const text = address.split('%', 1)[0]!
  if (isIP(text) === 0) return false
  inside ??= blockListOf(INSIDE)
  if (isIPv4(text)) return inside.check(text, 'ipv4')
  if (inside.check(text, 'ipv6')) return true
  const groups = parseIpv6Groups(text)
  const found = EMBEDDED.find(([prefix]) => prefix.test(groups.map((group) => group.toString(16)).join(':')))
  if (found === undefined) return false
  const [, at] = found
  const [high = 0, low = 0] = groups.slice(at)
  return inside.check([high >> 8, high & 255, low >> 8, low & 255].join('.'), 'ipv4')
}

function blockListOf(subnets: typeof INSIDE): BlockList {
  const list = new BlockList()
  for (const [network, prefixLength, family] of subnets) list.addSubnet(network, prefixLength, family)
  return list
}
