/** Netmasks (`255.255.255.0`, `ffff:ffff::`) and their inverse (`0.0.0.255`) as prefix lengths. */
import { WORDS_PER_ADDRESS } from '../../ip/ipv6-words.js'

/** Masks of fewer bits are more likely an address: `192.0.0.0`. */
const SURE_IPV4_BITS = 8
/** `ffff::`; shorter ones may be multicast. */
const SURE_IPV6_BITS = 16

/** Bits of an IPv4 netmask; -1 when its ones are not all in front, and for no ones at all. */
export function ipv4MaskBits(mask: number): number {
  const hostMask = ~mask >>> 0
  if (mask === 0 || (hostMask & (hostMask + 1)) !== 0) return -1
  return Math.clz32(hostMask)
}

/**
 * The prefix length that a number behind an address stands for as a netmask or an inverse one, -1 when it is
 * neither. Where it could be an address as well, it is a mask only if the address has no bits behind it.
 */
export function ipv4PrefixOfMask(address: number, mask: number): number {
  const bits = ipv4MaskBits(mask)
  if (bits >= SURE_IPV4_BITS) return bits
  if (bits > 0) return (address & ~mask) === 0 ? bits : -1
  const isInverse = mask > 0 && mask < 2 ** (32 - SURE_IPV4_BITS) && (mask & (mask + 1)) === 0
  return isInverse && (address & mask) === 0 ? Math.clz32(mask) : -1
}

/** True for an end of a range that is surely a netmask: `192.0.2.0 - 255.255.255.0`. */
export function isIpv4MaskNoEnd(last: number): boolean {
  const bits = ipv4MaskBits(last)
  return bits >= SURE_IPV4_BITS && bits <= 30
}

/** Bits of an IPv6 netmask of at least 16; -1 for what is none. */
export function ipv6MaskBits(words: Uint32Array): number {
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
  return bits >= SURE_IPV6_BITS ? bits : -1
}
