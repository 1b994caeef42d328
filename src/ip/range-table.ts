import { familyOf, ipv4ToNumber, parseIpv6Groups } from './address.js'
import type { Network } from './cidr.js'
import type { IpRangeSet } from './ip-range-set.js'
import { hasIpv4, overlapsIpv4 } from './ipv4-range-set.js'
import { hasIpv6, overlapsIpv6 } from './ipv6-range-set.js'
import { copyWords, setHostBits, WORDS_PER_ADDRESS } from './ipv6-words.js'

/**
 * Membership of single addresses in a set, for block lists in memory: a binary search, 8 bytes an IPv4
 * range and 32 an IPv6 range. The table keeps no more memory than its ranges need.
 */
export class RangeTable {
  readonly #set: IpRangeSet
  readonly #words = new Uint32Array(WORDS_PER_ADDRESS)

  constructor(set: IpRangeSet) {
    const { ipv4, ipv6 } = set
    this.#set = {
      ipv4: {
        length: ipv4.length,
        firsts: trimmed(ipv4.firsts, ipv4.length),
        lasts: trimmed(ipv4.lasts, ipv4.length),
      },
      ipv6: {
        length: ipv6.length,
        firsts: trimmed(ipv6.firsts, ipv6.length * WORDS_PER_ADDRESS),
        lasts: trimmed(ipv6.lasts, ipv6.length * WORDS_PER_ADDRESS),
      },
    }
  }

  /** The set behind the table. */
  get set(): IpRangeSet {
    return this.#set
  }

  /** True when an address of the network is in the set. */
  overlaps({ family, bytes, prefixLength }: Network): boolean {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    if (family === 4) {
      const first = view.getUint32(0)
      return overlapsIpv4(this.#set.ipv4, first, first + 2 ** (32 - prefixLength) - 1)
    }
    const ends = new Uint32Array(WORDS_PER_ADDRESS * 2)
    for (let word = 0; word < WORDS_PER_ADDRESS; word += 1) ends[word] = view.getUint32(word * 4)
    copyWords(ends, 0, ends, WORDS_PER_ADDRESS)
    setHostBits(ends, WORDS_PER_ADDRESS, prefixLength)
    return overlapsIpv6(this.#set.ipv6, ends)
  }

  /** True when the address, as `canonicalIp` returns it (IPv4-mapped folded), is in the set. */
  has(canonicalText: string): boolean {
    if (familyOf(canonicalText) === 4) return hasIpv4(this.#set.ipv4, ipv4ToNumber(canonicalText))
    if (this.#set.ipv6.length === 0) return false
    const groups = parseIpv6Groups(canonicalText)
    for (let word = 0; word < WORDS_PER_ADDRESS; word += 1) {
      this.#words[word] = groups[word * 2]! * 65536 + groups[word * 2 + 1]!
    }
    return hasIpv6(this.#set.ipv6, this.#words, 0)
  }
}

function trimmed(array: Uint32Array, length: number): Uint32Array {
  return array.length === length ? array : array.slice(0, length)
}
