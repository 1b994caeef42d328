import {
  addBlockSize,
  clearHostBits,
  compareWords,
  copyWords,
  isNextWords,
  largestIpv6Block,
  nextWords,
  previousWords,
  setHostBits,
  WORDS_PER_ADDRESS,
} from './ipv6-words.js'
import { type PrefixArrays, sortIpv6Prefixes } from './sort-ipv6.js'

/**
 * IPv6 addresses as inclusive ranges: entry `i` reaches from the address at `firsts[4 * i]` to that at
 * `lasts[4 * i]` (four words each, most significant first). The `length` entries are ascending, disjoint and
 * never adjacent. Read-only, except for its creator.
 */
export interface Ipv6RangeSet {
  readonly length: number
  readonly firsts: Uint32Array
  readonly lasts: Uint32Array
}

/** The set without addresses. */
export const EMPTY_IPV6_SET: Ipv6RangeSet = {
  length: 0,
  firsts: new Uint32Array(0),
  lasts: new Uint32Array(0),
}

const FIRST_CAPACITY = 256

/** Gathers IPv6 prefixes in any order, with overlaps and repeats, in 17 bytes each. */
export class Ipv6Collector {
  #firsts = new Uint32Array(FIRST_CAPACITY * WORDS_PER_ADDRESS)
  #prefixLengths = new Uint8Array(FIRST_CAPACITY)
  #count = 0

  /** Adds the network of the address at `words[at]`; host bits are cleared. */
  addPrefix(words: Uint32Array, at: number, prefixLength: number): void {
    if (this.#count === this.#prefixLengths.length) this.#grow()
    const to = this.#count * WORDS_PER_ADDRESS
    copyWords(words, at, this.#firsts, to)
    if (prefixLength !== 128) clearHostBits(this.#firsts, to, prefixLength)
    this.#prefixLengths[this.#count] = prefixLength
    this.#count += 1
  }

  /** Adds `first` to `last`, both included; `first` must not be above `last`. */
  addRange(first: Uint32Array, last: Uint32Array): void {
    const rest = first.slice(0, WORDS_PER_ADDRESS)
    for (;;) {
      const prefixLength = largestIpv6Block(rest, 0, last, 0)
      this.addPrefix(rest, 0, prefixLength)
      if (!addBlockSize(rest, 0, prefixLength) || compareWords(rest, 0, last, 0) > 0) return
    }
  }

  /** The gathered addresses as a set; the collector is empty afterwards. */
  takeSet(): Ipv6RangeSet {
    const count = this.#count
    const prefixes = sortIpv6Prefixes({ words: this.#firsts, lengths: this.#prefixLengths }, count)
    const set = mergeAscending(prefixes, count)
    this.#firsts = new Uint32Array(FIRST_CAPACITY * WORDS_PER_ADDRESS)
    this.#prefixLengths = new Uint8Array(FIRST_CAPACITY)
    this.#count = 0
    return set
  }

  #grow(): void {
    const firsts = new Uint32Array(this.#firsts.length * 2)
    firsts.set(this.#firsts)
    this.#firsts = firsts
    const prefixLengths = new Uint8Array(this.#prefixLengths.length * 2)
    prefixLengths.set(this.#prefixLengths)
    this.#prefixLengths = prefixLengths
  }
}

/** One set of prefixes that ascend by their first address; their array becomes that of the set. */
function mergeAscending(prefixes: PrefixArrays, count: number): Ipv6RangeSet {
  if (count === 0) return EMPTY_IPV6_SET
  const firsts = prefixes.words
  const lasts = new Uint32Array(count * WORDS_PER_ADDRESS)
  let length = 0
  let to = 0
  for (let index = 0; index < count; index += 1) {
    const at = index * WORDS_PER_ADDRESS
    if (to !== at) copyWords(firsts, at, firsts, to)
    copyWords(firsts, to, lasts, to)
    const prefixLength = prefixes.lengths[index]!
    if (prefixLength !== 128) setHostBits(lasts, to, prefixLength)
    const previousAt = to - WORDS_PER_ADDRESS
    const isFarApart =
      length === 0 ||
      (firsts[to] === lasts[previousAt]
        ? firsts[to + 1]! > lasts[previousAt + 1]! + 1
        : firsts[to]! > lasts[previousAt]! + 1)
    length = isFarApart ? length + 1 : appendRange(firsts, lasts, length, firsts, to, lasts, to)
    to = length * WORDS_PER_ADDRESS
  }
  return { length, firsts, lasts }
}

/**
 * Joins a range, whose first address is not below that of the last entry, to the end of a set; returns the
 * new length. The range may already be stored after that end.
 */
// eslint-disable-next-line max-params -- called for each of millions of ranges: no object for each
function appendRange(
  firsts: Uint32Array,
  lasts: Uint32Array,
  length: number,
  first: Uint32Array,
  firstAt: number,
  last: Uint32Array,
  lastAt: number,
): number {
  const to = length * WORDS_PER_ADDRESS
  const previousAt = to - WORDS_PER_ADDRESS
  const isFarApart =
    length === 0 || (first[firstAt] === lasts[previousAt] && first[firstAt + 1]! > lasts[previousAt + 1]! + 1)
  if (
    !isFarApart &&
    (compareWords(first, firstAt, lasts, previousAt) <= 0 || isNextWords(lasts, previousAt, first, firstAt))
  ) {
    if (compareWords(last, lastAt, lasts, previousAt) > 0) copyWords(last, lastAt, lasts, previousAt)
    return length
  }
  if (first === firsts && firstAt === to) return length + 1
  copyWords(first, firstAt, firsts, to)
  copyWords(last, lastAt, lasts, to)
  return length + 1
}

/** Number of entries of two sets merged between two pauses: a few milliseconds. */
const UNION_STEP_ENTRIES = 32_768

/** Every address of either set. Every yield is an opportunity to pause. */
export function* unionIpv6(left: Ipv6RangeSet, right: Ipv6RangeSet): Generator<undefined, Ipv6RangeSet> {
  if (left.length === 0) return right
  if (right.length === 0) return left
  const capacity = (left.length + right.length) * WORDS_PER_ADDRESS
  const firsts = new Uint32Array(capacity)
  const lasts = new Uint32Array(capacity)
  let length = 0
  let l = 0
  let r = 0
  while (l < left.length || r < right.length) {
    const takesLeft =
      r === right.length ||
      (l < left.length &&
        compareWords(left.firsts, l * WORDS_PER_ADDRESS, right.firsts, r * WORDS_PER_ADDRESS) <= 0)
    const source = takesLeft ? left : right
    const at = (takesLeft ? l : r) * WORDS_PER_ADDRESS
    if (takesLeft) l += 1
    else r += 1
    length = appendRange(firsts, lasts, length, source.firsts, at, source.lasts, at)
    if ((l + r) % UNION_STEP_ENTRIES === 0) yield
  }
  return { length, firsts, lasts }
}

/** The addresses of `black` that are not in `white`. */
export function subtractIpv6(black: Ipv6RangeSet, white: Ipv6RangeSet): Ipv6RangeSet {
  if (black.length === 0 || white.length === 0) return black
  const capacity = (black.length + white.length) * WORDS_PER_ADDRESS
  const firsts = new Uint32Array(capacity)
  const lasts = new Uint32Array(capacity)
  const first = new Uint32Array(WORDS_PER_ADDRESS)
  const whiteEnd = white.length * WORDS_PER_ADDRESS
  let to = 0
  let w = 0
  for (let b = 0; b < black.length * WORDS_PER_ADDRESS; b += WORDS_PER_ADDRESS) {
    while (w < whiteEnd && compareWords(white.lasts, w, black.firsts, b) < 0) w += WORDS_PER_ADDRESS
    if (w === whiteEnd || compareWords(white.firsts, w, black.lasts, b) > 0) {
      copyWords(black.firsts, b, firsts, to)
      copyWords(black.lasts, b, lasts, to)
      to += WORDS_PER_ADDRESS
      continue
    }
    copyWords(black.firsts, b, first, 0)
    let isRestLeft = true
    while (w < whiteEnd && compareWords(white.firsts, w, black.lasts, b) <= 0) {
      if (compareWords(white.firsts, w, first, 0) > 0) {
        copyWords(first, 0, firsts, to)
        previousWords(white.firsts, w, lasts, to)
        to += WORDS_PER_ADDRESS
      }
      if (compareWords(white.lasts, w, black.lasts, b) >= 0) {
        isRestLeft = false
        break
      }
      nextWords(white.lasts, w, first, 0)
      w += WORDS_PER_ADDRESS
    }
    if (isRestLeft) {
      copyWords(first, 0, firsts, to)
      copyWords(black.lasts, b, lasts, to)
      to += WORDS_PER_ADDRESS
    }
  }
  return { length: to / WORDS_PER_ADDRESS, firsts, lasts }
}

/** True when the address at `words[at]` is in the set. */
export function hasIpv6(set: Ipv6RangeSet, words: Uint32Array, at: number): boolean {
  let low = 0
  let high = set.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compareWords(set.firsts, middle * WORDS_PER_ADDRESS, words, at) <= 0) low = middle + 1
    else high = middle
  }
  return low > 0 && compareWords(set.lasts, (low - 1) * WORDS_PER_ADDRESS, words, at) >= 0
}

/** True when an address from the first four words of `ends` to its second four, both included, is in the set. */
export function overlapsIpv6(set: Ipv6RangeSet, ends: Uint32Array): boolean {
  let low = 0
  let high = set.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compareWords(set.lasts, middle * WORDS_PER_ADDRESS, ends, 0) < 0) low = middle + 1
    else high = middle
  }
  return low < set.length && compareWords(set.firsts, low * WORDS_PER_ADDRESS, ends, WORDS_PER_ADDRESS) <= 0
}
