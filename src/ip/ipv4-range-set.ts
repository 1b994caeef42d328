import { sortPairs } from './radix-sort.js'

/**
 * IPv4 addresses as inclusive ranges of unsigned numbers: the first `length` entries of `firsts` and `lasts`
 * are ascending, disjoint and never adjacent, so equal sets have equal entries. Read-only, except for its
 * creator.
 */
export interface Ipv4RangeSet {
  readonly length: number
  readonly firsts: Uint32Array
  readonly lasts: Uint32Array
}

/** The set without addresses. */
export const EMPTY_IPV4_SET: Ipv4RangeSet = {
  length: 0,
  firsts: new Uint32Array(0),
  lasts: new Uint32Array(0),
}

const FIRST_CAPACITY = 1024

/**
 * Gathers addresses and ranges in any order, with overlaps and repeats. Single addresses, the bulk of
 * most lists, take four bytes each and ranges eight.
 */
export class Ipv4Collector {
  #singles = new Uint32Array(FIRST_CAPACITY)
  #singleCount = 0
  #firsts = new Uint32Array(FIRST_CAPACITY)
  #lasts = new Uint32Array(FIRST_CAPACITY)
  #rangeCount = 0

  /** Adds one address, an unsigned 32-bit number. */
  addAddress(address: number): void {
    if (this.#singleCount === this.#singles.length) this.#singles = grown(this.#singles)
    this.#singles[this.#singleCount] = address
    this.#singleCount += 1
  }

  /** Adds `first` to `last`, both included; `first` must not be above `last`. */
  addRange(first: number, last: number): void {
    if (this.#rangeCount === this.#firsts.length) {
      this.#firsts = grown(this.#firsts)
      this.#lasts = grown(this.#lasts)
    }
    this.#firsts[this.#rangeCount] = first
    this.#lasts[this.#rangeCount] = last
    this.#rangeCount += 1
  }

  /** The gathered addresses as a set; the collector is empty afterwards. */
  takeSet(): Ipv4RangeSet {
    const singleCount = this.#singleCount
    const rangeCount = this.#rangeCount
    const singles = sortPairs(this.#singles, undefined, singleCount).keys
    const ranges = sortPairs(this.#firsts, this.#lasts, rangeCount)
    this.#singles = new Uint32Array(FIRST_CAPACITY)
    this.#firsts = new Uint32Array(FIRST_CAPACITY)
    this.#lasts = new Uint32Array(FIRST_CAPACITY)
    this.#singleCount = 0
    this.#rangeCount = 0
    return mergeSorted(singles, singleCount, ranges.keys, ranges.values!, rangeCount)
  }
}

function grown(array: Uint32Array): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(array.length * 2)
  larger.set(array)
  return larger
}

/** One set of ascending addresses and ranges ascending by their first address. */
function mergeSorted(
  singles: Uint32Array,
  singleCount: number,
  rangeFirsts: Uint32Array,
  rangeLasts: Uint32Array,
  rangeCount: number,
): Ipv4RangeSet {
  const total = singleCount + rangeCount
  if (total === 0) return EMPTY_IPV4_SET
  const firsts = new Uint32Array(total)
  const lasts = new Uint32Array(total)
  let single = 0
  let range = 0
  let length = 0
  let currentFirst = 0
  let currentLast = -2
  while (single < singleCount || range < rangeCount) {
    let first: number
    let last: number
    if (range === rangeCount || (single < singleCount && singles[single]! < rangeFirsts[range]!)) {
      first = singles[single]!
      last = first
      single += 1
    } else {
      first = rangeFirsts[range]!
      last = rangeLasts[range]!
      range += 1
    }
    if (first > currentLast + 1) {
      if (currentLast >= 0) {
        firsts[length] = currentFirst
        lasts[length] = currentLast
        length += 1
      }
      currentFirst = first
      currentLast = last
    } else if (last > currentLast) {
      currentLast = last
    }
  }
  firsts[length] = currentFirst
  lasts[length] = currentLast
  return { length: length + 1, firsts, lasts }
}

/** Number of entries of two sets merged between two pauses: about a millisecond. */
const UNION_STEP_ENTRIES = 65_536

/** Every address of either set. Every yield is an opportunity to pause. */
export function* unionIpv4(left: Ipv4RangeSet, right: Ipv4RangeSet): Generator<undefined, Ipv4RangeSet> {
  if (left.length === 0) return right
  if (right.length === 0) return left
  const firsts = new Uint32Array(left.length + right.length)
  const lasts = new Uint32Array(left.length + right.length)
  let l = 0
  let r = 0
  let length = 0
  let currentLast = -2
  while (l < left.length || r < right.length) {
    const takesLeft = r === right.length || (l < left.length && left.firsts[l]! <= right.firsts[r]!)
    const first = takesLeft ? left.firsts[l]! : right.firsts[r]!
    const last = takesLeft ? left.lasts[l]! : right.lasts[r]!
    if (takesLeft) l += 1
    else r += 1
    if (first > currentLast + 1) {
      firsts[length] = first
      lasts[length] = last
      length += 1
      currentLast = last
    } else if (last > currentLast) {
      lasts[length - 1] = last
      currentLast = last
    }
    if ((l + r) % UNION_STEP_ENTRIES === 0) yield
  }
  return { length, firsts, lasts }
}

/** The addresses of `black` that are not in `white`. */
export function subtractIpv4(black: Ipv4RangeSet, white: Ipv4RangeSet): Ipv4RangeSet {
  if (black.length === 0 || white.length === 0) return black
  const firsts = new Uint32Array(black.length + white.length)
  const lasts = new Uint32Array(black.length + white.length)
  let length = 0
  let w = 0
  for (let b = 0; b < black.length; b += 1) {
    let first = black.firsts[b]!
    const last = black.lasts[b]!
    while (w < white.length && white.lasts[w]! < first) w += 1
    while (w < white.length && white.firsts[w]! <= last) {
      const holeFirst = white.firsts[w]!
      const holeLast = white.lasts[w]!
      if (holeFirst > first) {
        firsts[length] = first
        lasts[length] = holeFirst - 1
        length += 1
      }
      first = holeLast + 1
      if (holeLast >= last) break
      w += 1
    }
    if (first <= last) {
      firsts[length] = first
      lasts[length] = last
      length += 1
    }
  }
  return { length, firsts, lasts }
}

/** True when the address, an unsigned 32-bit number, is in the set. */
export function hasIpv4(set: Ipv4RangeSet, address: number): boolean {
  const { firsts, lasts } = set
  let low = 0
  let high = set.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (firsts[middle]! <= address) low = middle + 1
    else high = middle
  }
  return low > 0 && lasts[low - 1]! >= address
}

/** True when an address from `first` to `last`, both included, is in the set. */
export function overlapsIpv4(set: Ipv4RangeSet, first: number, last: number): boolean {
  const { firsts, lasts } = set
  let low = 0
  let high = set.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (lasts[middle]! < first) low = middle + 1
    else high = middle
  }
  return low < set.length && firsts[low]! <= last
}

/** Addresses in a block of each prefix length, 0 to 32. A table, since `**` is a slow call in hot loops. */
export const IPV4_BLOCK_SIZES = Float64Array.from(
  { length: 33 },
  (_, prefixLength) => 2 ** (32 - prefixLength),
)

/**
 * The prefix length of the largest aligned block that starts at `first` and ends at or before `last`;
 * `first` must not be above `last`.
 */
export function largestIpv4Block(first: number, last: number): number {
  if (first === last) return 32
  const sharedBits = Math.clz32(first ^ last)
  const lowMask = 0xffffffff >>> sharedBits
  if ((first & lowMask) === 0 && (~last & lowMask) === 0) return sharedBits
  return Math.max(sharedBits + 1, first === 0 ? 0 : Math.clz32(first & -first) + 1)
}
