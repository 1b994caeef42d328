/**
 * Address space that no public mail server can have: private, loopback, link-local, shared, benchmarking,
 * multicast and reserved addresses, and all of IPv6 outside 2000::/3. A block list that contains it can only
 * harm the site itself. Documentation prefixes are left out, because they are harmless. Source: IANA
 * special-purpose address registries (RFC 6890), IANA IPv6 address space.
 */
import { parseCidr } from './cidr.js'
import { IpRangeCollector, type IpRangeSet } from './ip-range-set.js'
import { WORDS_PER_ADDRESS } from './ipv6-words.js'

const SPECIAL_USE = [
  ...['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12'],
  ...['192.0.0.0/24', '192.168.0.0/16', '198.18.0.0/15', '224.0.0.0/3', '::/3', '4000::/2', '8000::/1'],
]

/** What IANA has assigned to the regional registries of 2000::/3, in whole blocks. */
const ASSIGNED_IPV6 = [
  '2001::/16',
  '2002::/15',
  '2400::/11',
  '2600::/10',
  '2800::/12',
  '2a00::/11',
  '2c00::/12',
]

let specialUse: IpRangeSet | undefined

/** The special-use space of both families. */
export function specialUseSpace(): IpRangeSet {
  specialUse ??= setOfCidrs(SPECIAL_USE)
  return specialUse
}

/** The part of IPv6 that is in use; empty for IPv4. */
export function assignedIpv6Space(): IpRangeSet {
  return setOfCidrs(ASSIGNED_IPV6)
}

/** The addresses of CIDR texts as read by `parseCidr`; anything else is ignored. */
export function setOfCidrs(texts: readonly string[]): IpRangeSet {
  const collector = new IpRangeCollector()
  for (const text of texts) {
    const cidr = parseCidr(text)
    if (cidr === undefined) continue
    const view = new DataView(cidr.bytes.buffer, cidr.bytes.byteOffset)
    if (cidr.family === 4) {
      const first = view.getUint32(0)
      collector.ipv4.addRange(first, first + 2 ** (32 - cidr.prefixLength) - 1)
      continue
    }
    const words = Uint32Array.from({ length: WORDS_PER_ADDRESS }, (_, word) => view.getUint32(word * 4))
    collector.addIpv6Prefix(words, 0, cidr.prefixLength)
  }
  return collector.takeSet()
}
