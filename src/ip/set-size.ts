import { type IpRangeSet, subtractSet } from './ip-range-set.js'
import { compareWords, WORDS_PER_ADDRESS } from './ipv6-words.js'

/** How many addresses of each family a set holds; IPv6 with the precision of a double. */
export function countAddresses(set: IpRangeSet): { ipv4: number; ipv6: number } {
  let ipv4 = 0
  for (let range = 0; range < set.ipv4.length; range += 1) {
    ipv4 += set.ipv4.lasts[range]! - set.ipv4.firsts[range]! + 1
  }
  let ipv6 = 0
  for (let at = 0; at < set.ipv6.length * WORDS_PER_ADDRESS; at += WORDS_PER_ADDRESS) {
    let span = 0
    for (let word = 0; word < WORDS_PER_ADDRESS; word += 1) {
      span = span * 2 ** 32 + (set.ipv6.lasts[at + word]! - set.ipv6.firsts[at + word]!)
    }
    ipv6 += span + 1
  }
  return { ipv4, ipv6 }
}

/** The addresses that are in both sets. */
export function intersectSet(left: IpRangeSet, right: IpRangeSet): IpRangeSet {
  return subtractSet(left, subtractSet(left, right))
}

/** True when the sets share an address; quick when `few` has few ranges, however large `set` is. */
export function overlaps(set: IpRangeSet, few: IpRangeSet): boolean {
  const { ipv4, ipv6 } = set
  for (let range = 0; range < few.ipv4.length; range += 1) {
    const first = few.ipv4.firsts[range]!
    const at = lowest(ipv4.length, (index) => ipv4.lasts[index]! >= first)
    if (at < ipv4.length && ipv4.firsts[at]! <= few.ipv4.lasts[range]!) return true
  }
  for (let place = 0; place < few.ipv6.length * WORDS_PER_ADDRESS; place += WORDS_PER_ADDRESS) {
    const at = lowest(
      ipv6.length,
      (index) => compareWords(ipv6.lasts, index * WORDS_PER_ADDRESS, few.ipv6.firsts, place) >= 0,
    )
    if (at === ipv6.length) continue
    if (compareWords(ipv6.firsts, at * WORDS_PER_ADDRESS, few.ipv6.lasts, place) <= 0) return true
  }
  return false
}

/** The lowest index below `length` for which a condition holds that holds for all after it; `length` for none. */
function lowest(length: number, holds: (index: number) => boolean): number {
  let low = 0
  let high = length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (holds(middle)) high = middle
    else low = middle + 1
  }
  return low
}
