import type { Ipv4RangeSet } from './ipv4-range-set.js'

/** Prefixes in typed arrays: words in host order, one (IPv4) or four (IPv6, most significant first) each. */
export interface PrefixArrays {
  readonly count: number
  readonly words: Uint32Array
  /** 1 to 32, or 1 to 128. */
  readonly prefixLengths: Uint8Array
}

/** Number of prefixes between two pauses: about a millisecond. */
const STEP_PREFIXES = 131_072

/**
 * The set of IPv4 prefixes that are sorted by their first address, as spamd-setup sends them: one pass, and no memory
 * but that of the set. undefined when they are not sorted. Every yield is an opportunity to pause.
 */
export function* setOfAscendingIpv4(prefixes: PrefixArrays): Generator<undefined, Ipv4RangeSet | undefined> {
  const { count, words, prefixLengths } = prefixes
  const firsts = new Uint32Array(count)
  const lasts = new Uint32Array(count)
  let length = 0
  let currentFirst = 0
  let currentLast = -2
  for (let index = 0; index < count; index += 1) {
    const hostMask = prefixLengths[index] === 32 ? 0 : 0xffffffff >>> prefixLengths[index]!
    const first = (words[index]! & ~hostMask) >>> 0
    const last = first + hostMask
    if (first < currentFirst) return undefined
    if (first > currentLast + 1) {
      firsts[length] = first
      lasts[length] = last
      length += 1
      currentFirst = first
      currentLast = last
    } else if (last > currentLast) {
      lasts[length - 1] = last
      currentLast = last
    }
    if (index % STEP_PREFIXES === STEP_PREFIXES - 1) yield
  }
  return { length, firsts, lasts }
}
