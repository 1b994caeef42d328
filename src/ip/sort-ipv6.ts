import { compareWords, copyWords, WORDS_PER_ADDRESS } from './ipv6-words.js'

/** IPv6 prefixes: four words each, most significant first, and their lengths. */
export interface PrefixArrays {
  words: Uint32Array
  lengths: Uint8Array
}

/** Ranges up to this length are sorted by insertion, longer ones by the digits of their words. */
const INSERTION_LIMIT = 32
/** Fewer prefixes fit into the cache, so dividing them first would cost more than it saves. */
const PARTITION_COUNT = 8192
/** Bits after the 16 by which the prefixes are divided. */
const PARTITION_SHIFT = 16
/** Digits of 11 bits need three passes, of 8 bits four, but with fewer counters: better for short ranges. */
const LONG_DIGIT_BITS = 11
const SHORT_DIGIT_BITS = 8
const SHORT_COUNT = 2048

/**
 * The first `count` prefixes ascending by address: the given arrays if they are already in order, else new
 * ones. The work depends only on the count, not on the addresses.
 */
export function sortIpv6Prefixes(prefixes: PrefixArrays, count: number): PrefixArrays {
  if (isAscending(prefixes.words, count)) return prefixes
  if (count >= PARTITION_COUNT) return sortParts(prefixes, count)
  const sorted = {
    words: prefixes.words.slice(0, count * WORDS_PER_ADDRESS),
    lengths: prefixes.lengths.slice(0, count),
  }
  new StretchSorter(sorted, count).sortFrom(0, 0, count)
  return sorted
}

function isAscending(words: Uint32Array, count: number): boolean {
  for (let at = WORDS_PER_ADDRESS; at < count * WORDS_PER_ADDRESS; at += WORDS_PER_ADDRESS) {
    if (compareWords(words, at - WORDS_PER_ADDRESS, words, at) > 0) return false
  }
  return true
}

/** Divides the prefixes by their leading 16 bits into parts that fit into the cache, and sorts each. */
function sortParts(prefixes: PrefixArrays, count: number): PrefixArrays {
  const places = countParts(prefixes.words, count)
  const longest = places.reduce((most, size) => Math.max(most, size), 0)
  startParts(places)
  const parts = { words: new Uint32Array(count * WORDS_PER_ADDRESS), lengths: new Uint8Array(count) }
  moveToParts(prefixes, count, places, parts)
  const sorter = new StretchSorter(parts, longest)
  let start = 0
  for (const end of places) {
    if (end - start > 1) sorter.sortFrom(PARTITION_SHIFT, start, end)
    start = end
  }
  return parts
}

/** How many prefixes each part holds. */
function countParts(words: Uint32Array, count: number): Uint32Array {
  const sizes = new Uint32Array(1 << PARTITION_SHIFT)
  for (let at = 0; at < count * WORDS_PER_ADDRESS; at += WORDS_PER_ADDRESS) {
    const part = words[at]! >>> PARTITION_SHIFT
    sizes[part] = sizes[part]! + 1
  }
  return sizes
}

/** Turns the sizes of the parts into the places where they start. */
function startParts(sizes: Uint32Array): void {
  let place = 0
  for (let part = 0; part < sizes.length; part += 1) {
    const size = sizes[part]!
    sizes[part] = place
    place += size
  }
}

/** Copies each prefix to its part; the start of each part becomes its end. */
function moveToParts(prefixes: PrefixArrays, count: number, places: Uint32Array, parts: PrefixArrays): void {
  const from = prefixes.words
  const to = parts.words
  for (let index = 0; index < count; index += 1) {
    const part = from[index * WORDS_PER_ADDRESS]! >>> PARTITION_SHIFT
    const place = places[part]!
    places[part] = place + 1
    copyWords(from, index * WORDS_PER_ADDRESS, to, place * WORDS_PER_ADDRESS)
    parts.lengths[place] = prefixes.lengths[index]!
  }
}

/** Sorts ranges of prefixes in place, with scratch space for the longest that is allocated only once. */
class StretchSorter {
  readonly #words: Uint32Array
  readonly #lengths: Uint8Array
  readonly #movedWords: Uint32Array
  readonly #movedLengths: Uint8Array
  readonly #item = new Uint32Array(WORDS_PER_ADDRESS)
  readonly #shortCounts = new Uint32Array(1 << SHORT_DIGIT_BITS)
  readonly #longCounts = new Uint32Array(1 << LONG_DIGIT_BITS)
  #keys: Uint32Array
  #order: Uint32Array
  #otherKeys: Uint32Array
  #otherOrder: Uint32Array

  constructor(prefixes: PrefixArrays, longest: number) {
    this.#words = prefixes.words
    this.#lengths = prefixes.lengths
    this.#movedWords = new Uint32Array(longest * WORDS_PER_ADDRESS)
    this.#movedLengths = new Uint8Array(longest)
    this.#keys = new Uint32Array(longest)
    this.#order = new Uint32Array(longest)
    this.#otherKeys = new Uint32Array(longest)
    this.#otherOrder = new Uint32Array(longest)
  }

  /** Sorts `start` to `end`, which agree in their first `bit` bits; `bit` is a multiple of 16. */
  sortFrom(bit: number, start: number, end: number): void {
    if (end - start <= INSERTION_LIMIT) {
      this.#sortByInsertion(start, end)
      return
    }
    this.#orderByBits(bit, start, end)
    this.#moveInOrder(start, end - start)
    const nextBit = bit + 32
    if (nextBit >= 128) return
    const words = this.#words
    let runStart = start
    for (let index = start + 1; index <= end; index += 1) {
      if (index < end && keyOf(words, index, bit) === keyOf(words, runStart, bit)) continue
      if (index - runStart > 1) this.sortFrom(nextBit, runStart, index)
      runStart = index
    }
  }

  /** Fills `#order` with the places of `start` to `end`, ascending by the 32 bits from `bit` on. */
  #orderByBits(bit: number, start: number, end: number): void {
    const count = end - start
    const words = this.#words
    const keys = this.#keys
    const order = this.#order
    for (let index = 0; index < count; index += 1) {
      keys[index] = keyOf(words, start + index, bit)
      order[index] = start + index
    }
    const isShort = count < SHORT_COUNT
    const counts = isShort ? this.#shortCounts : this.#longCounts
    for (let shift = 0; shift < 32; shift += isShort ? SHORT_DIGIT_BITS : LONG_DIGIT_BITS) {
      this.#orderByDigit(shift, counts, count)
    }
  }

  #orderByDigit(shift: number, counts: Uint32Array, count: number): void {
    const keys = this.#keys
    const order = this.#order
    const digitMask = counts.length - 1
    counts.fill(0)
    for (let index = 0; index < count; index += 1) {
      const digit = (keys[index]! >>> shift) & digitMask
      counts[digit] = counts[digit]! + 1
    }
    if (counts[(keys[0]! >>> shift) & digitMask] === count) return
    let place = 0
    for (let digit = 0; digit <= digitMask; digit += 1) {
      const size = counts[digit]!
      counts[digit] = place
      place += size
    }
    const toKeys = this.#otherKeys
    const toOrder = this.#otherOrder
    for (let index = 0; index < count; index += 1) {
      const key = keys[index]!
      const digit = (key >>> shift) & digitMask
      const to = counts[digit]!
      counts[digit] = to + 1
      toKeys[to] = key
      toOrder[to] = order[index]!
    }
    this.#keys = toKeys
    this.#order = toOrder
    this.#otherKeys = keys
    this.#otherOrder = order
  }

  #moveInOrder(start: number, count: number): void {
    const words = this.#words
    const lengths = this.#lengths
    const order = this.#order
    const movedWords = this.#movedWords
    const movedLengths = this.#movedLengths
    for (let index = 0; index < count; index += 1) {
      const from = order[index]!
      copyWords(words, from * WORDS_PER_ADDRESS, movedWords, index * WORDS_PER_ADDRESS)
      movedLengths[index] = lengths[from]!
    }
    for (let index = 0; index < count; index += 1) {
      copyWords(movedWords, index * WORDS_PER_ADDRESS, words, (start + index) * WORDS_PER_ADDRESS)
      lengths[start + index] = movedLengths[index]!
    }
  }

  #sortByInsertion(start: number, end: number): void {
    const words = this.#words
    const lengths = this.#lengths
    const item = this.#item
    for (let index = start + 1; index < end; index += 1) {
      const at = index * WORDS_PER_ADDRESS
      if (compareWords(words, at - WORDS_PER_ADDRESS, words, at) <= 0) continue
      copyWords(words, at, item, 0)
      const length = lengths[index]!
      let place = index
      while (place > start && compareWords(words, (place - 1) * WORDS_PER_ADDRESS, item, 0) > 0) {
        copyWords(words, (place - 1) * WORDS_PER_ADDRESS, words, place * WORDS_PER_ADDRESS)
        lengths[place] = lengths[place - 1]!
        place -= 1
      }
      copyWords(item, 0, words, place * WORDS_PER_ADDRESS)
      lengths[place] = length
    }
  }
}

/** 32 bits of an address from `bit` on, a multiple of 16, as a signed number; zeros follow its end. */
function keyOf(words: Uint32Array, index: number, bit: number): number {
  const at = index * WORDS_PER_ADDRESS + (bit >>> 5)
  if ((bit & 31) === 0) return words[at]! | 0
  const isLast = bit > 96
  return (words[at]! << 16) | (isLast ? 0 : words[at + 1]! >>> 16)
}
