import { IpRangeCollector, type IpRangeSet, isMappedSpace } from '../../ip/ip-range-set.js'
import { compareWords, hasHostBits } from '../../ip/ipv6-words.js'
import type { ItemRemark } from './text-behind.js'

/**
 * Result for one item of a list. All but `accepted` are refusals: `zero-prefix` would cover every address, `reversed`
 * is a range whose end is below its start, `short-form` an IPv4 address of fewer than four numbers without a matching
 * prefix length, `netmask` a range that ends with a netmask, `max-range` a range larger than the zone file allows,
 * and `unknown` anything else.
 */
export type ItemOutcome =
  | 'accepted'
  | 'zero-prefix'
  | 'reversed'
  | 'short-form'
  | 'netmask'
  | 'max-range'
  | 'unknown'

/** Addresses of a /8: an IPv4 item with more is wide. */
export const WIDE_IPV4_ADDRESSES = 2 ** 24
/** An IPv6 item with more addresses than this prefix length has is wide. */
export const WIDE_IPV6_BITS = 19

/** Receives the items of a list and keeps the remarks about the last one. */
export class ItemSink {
  /** Where items go. */
  collector: IpRangeCollector
  /** True if the last item was a network written with host bits (`10.1.2.3/24`). */
  hadHostBits = false
  remark: ItemRemark | undefined
  /** The addresses of the last item if it was wide. */
  wide: IpRangeSet | undefined

  constructor(collector: IpRangeCollector) {
    this.collector = collector
  }

  /** Forgets the last item; the next one goes to `collector`. */
  begin(collector: IpRangeCollector): void {
    this.collector = collector
    this.hadHostBits = false
    this.remark = undefined
    this.wide = undefined
  }

  addIpv4Address(address: number): ItemOutcome {
    this.collector.ipv4.addAddress(address)
    return 'accepted'
  }

  addIpv4Range(first: number, last: number): ItemOutcome {
    if (first > last) return 'reversed'
    if (first === 0 && last === 0xffffffff) return 'zero-prefix'
    if (first === last) return this.addIpv4Address(first)
    this.collector.ipv4.addRange(first, last)
    if (last - first >= WIDE_IPV4_ADDRESSES) this.#keepWide((wide) => wide.ipv4.addRange(first, last))
    return 'accepted'
  }

  /** Host bits are cleared. */
  addIpv4Network(address: number, prefixLength: number): ItemOutcome {
    if (prefixLength > 32) return 'unknown'
    if (prefixLength === 0) return 'zero-prefix'
    if (prefixLength === 32) return this.addIpv4Address(address)
    const hostMask = 0xffffffff >>> prefixLength
    this.hadHostBits = (address & hostMask) !== 0
    return this.addIpv4Range((address & ~hostMask) >>> 0, (address | hostMask) >>> 0)
  }

  /** Host bits are cleared. The prefix length must reach into a dotted quad at the end of the text. */
  addIpv6Network(words: Uint32Array, prefixLength: number, end: 'hex' | 'quad'): ItemOutcome {
    if (prefixLength > 128) return 'unknown'
    if (prefixLength === 0 || isMappedSpace(words, prefixLength)) return 'zero-prefix'
    if (end === 'quad' && prefixLength < 96) return 'unknown'
    this.hadHostBits = hasHostBits(words, 0, prefixLength)
    this.collector.addIpv6Prefix(words, 0, prefixLength)
    if (prefixLength < WIDE_IPV6_BITS || isWideMapped(words, prefixLength)) {
      this.#keepWide((wide) => wide.addIpv6Prefix(words, 0, prefixLength))
    }
    return 'accepted'
  }

  addIpv6Range(first: Uint32Array, last: Uint32Array): ItemOutcome {
    const order = compareWords(first, 0, last, 0)
    if (order > 0) return 'reversed'
    if (order === 0) return this.addIpv6Network(first, 128, 'hex')
    if (isWholeFamily(first, last)) return 'zero-prefix'
    this.collector.addIpv6Range(first, last)
    const isMapped = isMappedSpace(first, 96)
    const isWide = isMapped
      ? last[3]! - first[3]! >= WIDE_IPV4_ADDRESSES
      : last[0]! - first[0]! >= 2 ** (32 - WIDE_IPV6_BITS)
    if (isWide) this.#keepWide((wide) => wide.addIpv6Range(first, last))
    return 'accepted'
  }

  #keepWide(add: (wide: IpRangeCollector) => void): void {
    const collector = new IpRangeCollector()
    add(collector)
    this.wide = collector.takeSet()
  }
}

function isWideMapped(words: Uint32Array, prefixLength: number): boolean {
  return prefixLength < 96 + 8 && isMappedSpace(words, 96)
}

/** All of IPv6, or all of IPv4 in the addresses of IPv6. */
function isWholeFamily(first: Uint32Array, last: Uint32Array): boolean {
  if (first[3] !== 0 || last[3] !== 0xffffffff) return false
  if (isMappedSpace(first, 96) && isMappedSpace(last, 96)) return true
  return first.every((word) => word === 0) && last.every((word) => word === 0xffffffff)
}
