import {
  EMPTY_IPV4_SET,
  Ipv4Collector,
  type Ipv4RangeSet,
  subtractIpv4,
  unionIpv4,
} from './ipv4-range-set.js'
import {
  EMPTY_IPV6_SET,
  Ipv6Collector,
  type Ipv6RangeSet,
  subtractIpv6,
  unionIpv6,
} from './ipv6-range-set.js'
import { WORDS_PER_ADDRESS } from './ipv6-words.js'

/** A set of addresses of both families. Sets are immutable, so they may be shared. */
export interface IpRangeSet {
  readonly ipv4: Ipv4RangeSet
  readonly ipv6: Ipv6RangeSet
}

/** The set without addresses of either family. */
export const EMPTY_SET: IpRangeSet = { ipv4: EMPTY_IPV4_SET, ipv6: EMPTY_IPV6_SET }

/** Source: RFC 4291 section 2.5.5.2, `::ffff:0:0/96`. */
const MAPPED_WORD_2 = 0xffff
const MAPPED_PREFIX_BITS = 96

/**
 * Gathers addresses, networks and ranges of both families in any order; `takeSet` sorts and merges them.
 * IPv4-mapped IPv6 becomes IPv4.
 */
export class IpRangeCollector {
  readonly ipv4 = new Ipv4Collector()
  readonly #ipv6 = new Ipv6Collector()

  /** Adds the IPv6 network of the four words at `words[at]`; host bits are cleared. */
  addIpv6Prefix(words: Uint32Array, at: number, prefixLength: number): void {
    if (prefixLength >= MAPPED_PREFIX_BITS && isMapped(words, at)) {
      const hostBits = 128 - prefixLength
      const span = 2 ** hostBits
      const first = Math.floor(words[at + 3]! / span) * span
      if (hostBits === 0) this.ipv4.addAddress(first)
      else this.ipv4.addRange(first, first + span - 1)
      return
    }
    this.#ipv6.addPrefix(words, at, prefixLength)
  }

  /** Adds an IPv6 range of four words each, both ends included; `first` must not be above `last`. */
  addIpv6Range(first: Uint32Array, last: Uint32Array): void {
    if (isMapped(first, 0) && isMapped(last, 0)) this.ipv4.addRange(first[3]!, last[3]!)
    else this.#ipv6.addRange(first, last)
  }

  /** The gathered addresses as a set; the collector is empty afterwards. */
  takeSet(): IpRangeSet {
    return { ipv4: this.ipv4.takeSet(), ipv6: this.#ipv6.takeSet() }
  }
}

/** The addresses of `black` that are not in `white`, regardless of their order and overlap. */
export function subtractSet(black: IpRangeSet, white: IpRangeSet): IpRangeSet {
  return { ipv4: subtractIpv4(black.ipv4, white.ipv4), ipv6: subtractIpv6(black.ipv6, white.ipv6) }
}

/** Every address of any of the sets; the empty set for none. */
export function unionOf(sets: readonly IpRangeSet[]): IpRangeSet {
  const work = unionInSteps(sets)
  for (;;) {
    const step = work.next()
    if (step.done === true) return step.value
  }
}

/** As `unionOf`, a few milliseconds at a time: every yield is an opportunity to pause. */
export function* unionInSteps(sets: readonly IpRangeSet[]): Generator<undefined, IpRangeSet> {
  let round = [...sets]
  while (round.length > 1) {
    const joined: IpRangeSet[] = []
    for (let index = 0; index < round.length; index += 2) {
      const left = round[index]!
      const right = round[index + 1]
      joined.push(
        right === undefined
          ? left
          : {
              ipv4: yield* unionIpv4(left.ipv4, right.ipv4),
              ipv6: yield* unionIpv6(left.ipv6, right.ipv6),
            },
      )
    }
    round = joined
  }
  return round[0] ?? EMPTY_SET
}

/** True when the set holds no address. */
export function isEmptySet(set: IpRangeSet): boolean {
  return set.ipv4.length === 0 && set.ipv6.length === 0
}

/**
 * True for an IPv4-mapped address with a prefix length that includes all of `::ffff:0:0/96`, `0.0.0.0/0` in
 * IPv6.
 */
export function isMappedSpace(words: Uint32Array, prefixLength: number): boolean {
  return prefixLength <= MAPPED_PREFIX_BITS && isMapped(words, 0)
}

/** True for an IPv4-mapped address, which counts as IPv4. */
export function isMapped(words: Uint32Array, at: number): boolean {
  return words[at] === 0 && words[at + 1] === 0 && words[at + WORDS_PER_ADDRESS - 2] === MAPPED_WORD_2
}
