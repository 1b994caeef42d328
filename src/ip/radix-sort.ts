/** Digits of 11 bits: three passes for 32 bits, and the counts of one pass fit the first-level cache. */
const DIGIT_BITS = 11
const DIGIT_SPAN = 1 << DIGIT_BITS
const DIGIT_MASK = DIGIT_SPAN - 1

/**
 * Up to this many keys the platform's own sort is faster, because the loops of this module would run
 * uncompiled.
 */
const MAX_PLATFORM_SORTED = 30_000
/** Index of the higher half of a 64-bit number among its two words. */
const HIGH_WORD = new Uint32Array(BigUint64Array.of(1n).buffer)[0] === 1 ? 1 : 0

/** Keys in ascending order with their values, at the front of the arrays. */
export interface SortedPairs {
  keys: Uint32Array
  values: Uint32Array | undefined
}

/**
 * Sorts the first `count` unsigned 32-bit keys ascending; `values[i]`, when given, moves with `keys[i]`. The
 * order of equal keys is not defined. The result is either the given arrays or new ones of `count` entries;
 * the given ones are scratch space afterwards. Keys that are already ascending, as in most published lists,
 * cost one pass.
 */
export function sortPairs(keys: Uint32Array, values: Uint32Array | undefined, count: number): SortedPairs {
  if (isAscending(keys, count)) return { keys, values }
  if (count <= MAX_PLATFORM_SORTED) {
    sortByPlatform(keys, values, count)
    return { keys, values }
  }
  let fromKeys: Uint32Array = keys
  let fromValues: Uint32Array | undefined = values
  let toKeys: Uint32Array = new Uint32Array(count)
  let toValues: Uint32Array | undefined = values === undefined ? undefined : new Uint32Array(count)
  const starts = new Uint32Array(DIGIT_SPAN)
  for (let shift = 0; shift < 32; shift += DIGIT_BITS) {
    if (!countDigits(fromKeys, count, shift, starts)) continue
    if (fromValues === undefined || toValues === undefined) {
      scatterKeys(fromKeys, toKeys, count, shift, starts)
    } else {
      scatterPairs(fromKeys, fromValues, toKeys, toValues, count, shift, starts)
    }
    const freedKeys = fromKeys
    const freedValues = fromValues
    fromKeys = toKeys
    fromValues = toValues
    toKeys = freedKeys
    toValues = freedValues
  }
  return { keys: fromKeys, values: fromValues }
}

function isAscending(keys: Uint32Array, count: number): boolean {
  for (let index = 1; index < count; index += 1) {
    if (keys[index]! < keys[index - 1]!) return false
  }
  return true
}

function sortByPlatform(keys: Uint32Array, values: Uint32Array | undefined, count: number): void {
  if (values === undefined) {
    keys.subarray(0, count).sort()
    return
  }
  const words = new Uint32Array(2 * count)
  for (let index = 0; index < count; index += 1) {
    words[2 * index + HIGH_WORD] = keys[index]!
    words[2 * index + 1 - HIGH_WORD] = values[index]!
  }
  new BigUint64Array(words.buffer).sort()
  for (let index = 0; index < count; index += 1) {
    keys[index] = words[2 * index + HIGH_WORD]!
    values[index] = words[2 * index + 1 - HIGH_WORD]!
  }
}

/** Fills `starts` with the first place of each digit; false when all keys share one digit. */
function countDigits(keys: Uint32Array, count: number, shift: number, starts: Uint32Array): boolean {
  starts.fill(0)
  for (let index = 0; index < count; index += 1) {
    const digit = (keys[index]! >>> shift) & DIGIT_MASK
    starts[digit] = starts[digit]! + 1
  }
  let place = 0
  for (let digit = 0; digit < DIGIT_SPAN; digit += 1) {
    const size = starts[digit]!
    if (size === count) return false
    starts[digit] = place
    place += size
  }
  return true
}

function scatterKeys(
  fromKeys: Uint32Array,
  toKeys: Uint32Array,
  count: number,
  shift: number,
  starts: Uint32Array,
): void {
  for (let index = 0; index < count; index += 1) {
    const key = fromKeys[index]!
    const digit = (key >>> shift) & DIGIT_MASK
    const place = starts[digit]!
    starts[digit] = place + 1
    toKeys[place] = key
  }
}

// eslint-disable-next-line max-params -- arrays for millions of values, from one caller
function scatterPairs(
  fromKeys: Uint32Array,
  fromValues: Uint32Array,
  toKeys: Uint32Array,
  toValues: Uint32Array,
  count: number,
  shift: number,
  starts: Uint32Array,
): void {
  for (let index = 0; index < count; index += 1) {
    const key = fromKeys[index]!
    const digit = (key >>> shift) & DIGIT_MASK
    const place = starts[digit]!
    starts[digit] = place + 1
    toKeys[place] = key
    toValues[place] = fromValues[index]!
  }
}
