/** Sets made from columns of prefixes, as config lines bring them. */
import { IpRangeCollector, type IpRangeSet } from './ip-range-set.js'
import { WORDS_PER_ADDRESS } from './ipv6-words.js'

/** Prefixes in typed arrays: words in host order, one (IPv4) or four (IPv6, most significant first) each. */
export interface PrefixArrays {
  readonly count: number
  readonly words: Uint32Array
  /** 1 to 32, or 1 to 128. */
  readonly prefixLengths: Uint8Array
}

/** The addresses of all the prefixes, host bits cleared, in any order and with any overlap. */
export function setOfPrefixes(ipv4: PrefixArrays, ipv6: PrefixArrays): IpRangeSet {
  const collector = new IpRangeCollector()
  for (let index = 0; index < ipv4.count; index += 1) {
    const prefixLength = ipv4.prefixLengths[index]!
    const word = ipv4.words[index]!
    if (prefixLength === 32) {
      collector.ipv4.addAddress(word)
      continue
    }
    const hostMask = 0xffffffff >>> prefixLength
    const first = (word & ~hostMask) >>> 0
    collector.ipv4.addRange(first, first + hostMask)
  }
  for (let index = 0; index < ipv6.count; index += 1) {
    collector.addIpv6Prefix(ipv6.words, index * WORDS_PER_ADDRESS, ipv6.prefixLengths[index]!)
  }
  return collector.takeSet()
}
