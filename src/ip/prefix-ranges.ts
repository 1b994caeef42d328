/** Sets built from columns of prefixes, as received in config lines. */
import { type PrefixArrays, setOfAscendingIpv4 } from './ascending-prefixes.js'
import { IpRangeCollector, type IpRangeSet, unionInSteps } from './ip-range-set.js'
import { EMPTY_IPV6_SET } from './ipv6-range-set.js'
import { WORDS_PER_ADDRESS } from './ipv6-words.js'

export type { PrefixArrays }

/** Number of prefixes sorted between two pauses: a few milliseconds. */
const STEP_PREFIXES = 32_768

/** The addresses of all the prefixes, host bits cleared, in any order and with any overlap. */
export function setOfPrefixes(ipv4: PrefixArrays, ipv6: PrefixArrays): IpRangeSet {
  const collector = new IpRangeCollector()
  addIpv4Prefixes(collector, ipv4, 0, ipv4.count)
  addIpv6Prefixes(collector, ipv6, 0, ipv6.count)
  return collector.takeSet()
}

/** As `setOfPrefixes`, a few milliseconds at a time: every yield is an opportunity to pause. */
export function* setOfPrefixesInSteps(
  ipv4: PrefixArrays,
  ipv6: PrefixArrays,
): Generator<undefined, IpRangeSet> {
  const collector = new IpRangeCollector()
  const sets: IpRangeSet[] = []
  const ascending = yield* setOfAscendingIpv4(ipv4)
  if (ascending !== undefined) sets.push({ ipv4: ascending, ipv6: EMPTY_IPV6_SET })
  for (let start = ascending === undefined ? 0 : ipv4.count; start < ipv4.count; start += STEP_PREFIXES) {
    addIpv4Prefixes(collector, ipv4, start, Math.min(start + STEP_PREFIXES, ipv4.count))
    sets.push(collector.takeSet())
    yield
  }
  for (let start = 0; start < ipv6.count; start += STEP_PREFIXES) {
    addIpv6Prefixes(collector, ipv6, start, Math.min(start + STEP_PREFIXES, ipv6.count))
    sets.push(collector.takeSet())
    yield
  }
  return yield* unionInSteps(sets)
}

function addIpv4Prefixes(
  collector: IpRangeCollector,
  prefixes: PrefixArrays,
  start: number,
  end: number,
): void {
  for (let index = start; index < end; index += 1) {
    const prefixLength = prefixes.prefixLengths[index]!
    const word = prefixes.words[index]!
    if (prefixLength === 32) {
      collector.ipv4.addAddress(word)
      continue
    }
    const hostMask = 0xffffffff >>> prefixLength
    const first = (word & ~hostMask) >>> 0
    collector.ipv4.addRange(first, first + hostMask)
  }
}

function addIpv6Prefixes(
  collector: IpRangeCollector,
  prefixes: PrefixArrays,
  start: number,
  end: number,
): void {
  for (let index = start; index < end; index += 1) {
    collector.addIpv6Prefix(prefixes.words, index * WORDS_PER_ADDRESS, prefixes.prefixLengths[index]!)
  }
}
