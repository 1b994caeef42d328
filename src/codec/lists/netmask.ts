/** Netmasks (`255.255.255.0`, `ffff:ffff::`) and their inverse (`0.0.0.255`) as prefix lengths. */
import { isMappedSpace } from '../../ip/ip-range-set.js'
import { WORDS_PER_ADDRESS } from '../../ip/ipv6-words.js'

/** Masks of fewer bits are more likely an address: `192.0.0.0`. */
const SURE_IPV4_BITS = 8
/** `ffff::`; shorter ones may be multicast. */
const SURE_IPV6_BITS = 16

/** Addresses from here on are never assigned: a second address this high is not the end of a range. */
const UNASSIGNED = 0xf0000000
/** First numbers of `0.0.0.0` and `127.0.0.1`, which names follow in a hosts file. */
const HOSTS_FILE_NETS = [0, 127]

/**
 * False if the second of two addresses with a blank between them is not the end of a range, but a netmask of any
 * length, an inverse one that is too wide to be meant (`127.255.255.255`), an address that is never assigned, or the
 * "name" in a line of a hosts file (`0.0.0.0 192.0.2.1`).
 */
export function canEndIpv4Pair(first: number, last: number): boolean {
  if (last >= UNASSIGNED || ipv4MaskBits(last) > 0) return false
  if (last >>> 24 !== 0 && ipv4MaskBits(~last >>> 0) > 0) return false
  const net = first >>> 24
  return last >>> 24 === net || !HOSTS_FILE_NETS.includes(net)
}

/** Prefix length of an IPv4 netmask; -1 if its ones are not all at the start, or if it has none. */
export function ipv4MaskBits(mask: number): number {
  const hostMask = ~mask >>> 0
  if (mask === 0 || (hostMask & (hostMask + 1)) !== 0) return -1
  return Math.clz32(hostMask)
}

/**
 * The prefix length that the number after an address means as a netmask or an inverse one; -1 if it is neither. If it
 * could also be an address, it is a mask only if it clears no bits of the address.
 */
export function ipv4PrefixOfMask(address: number, mask: number): number {
  const bits = ipv4MaskBits(mask)
  if (bits >= SURE_IPV4_BITS) return bits
  if (bits > 0) return (address & ~mask) === 0 ? bits : -1
  const isInverse = mask > 0 && mask < 2 ** (32 - SURE_IPV4_BITS) && (mask & (mask + 1)) === 0
  return isInverse && (address & mask) === 0 ? Math.clz32(mask) : -1
}

/** True if the end of a range is certainly a netmask: `192.0.2.0 - 255.255.255.0`. */
export function isIpv4MaskNoEnd(last: number): boolean {
  const bits = ipv4MaskBits(last)
  return bits >= SURE_IPV4_BITS && bits <= 30
}

/**
 * The prefix length that `mask` means after `address`; -1 if it is not a netmask. If both contain IPv4 addresses
 * (`::ffff:192.0.2.0 ::ffff:255.255.255.0`), these are compared.
 */
export function ipv6PrefixOfMask(address: Uint32Array, mask: Uint32Array): number {
  if (!isMappedSpace(address, 96) || !isMappedSpace(mask, 96)) return ipv6MaskBits(mask)
  const prefixLength = ipv4PrefixOfMask(address[3]!, mask[3]!)
  return prefixLength < 0 ? -1 : 96 + prefixLength
}

/**
 * True if the end of a range is certainly a netmask: `2001:db8:: - ffff:ffff::`, `::ffff:1.2.3.0 -
 * ::ffff:255.255.255.0`.
 */
export function isIpv6MaskNoEnd(last: Uint32Array): boolean {
  if (isMappedSpace(last, 96)) return isIpv4MaskNoEnd(last[3]!)
  const bits = ipv6MaskBits(last)
  return bits > 0 && bits < 128
}

/** Prefix length of an IPv6 netmask of at least `least` bits; -1 if it is not one. */
export function ipv6MaskBits(words: Uint32Array, least = SURE_IPV6_BITS): number {
  let bits = 0
  for (let word = 0; word < WORDS_PER_ADDRESS; word += 1) {
    const value = words[word]!
    if (bits < word * 32) {
      if (value !== 0) return -1
      continue
    }
    if (value === 0) continue
    const wordBits = ipv4MaskBits(value)
    if (wordBits < 0) return -1
    bits += wordBits
  }
  return bits >= least ? bits : -1
}
