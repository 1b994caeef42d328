/**
 * Arithmetic on IPv6 addresses kept as four unsigned 32-bit words, most significant first, at
 * `words[at]` to `words[at + 3]`: no BigInt and no object per address.
 */
export const WORDS_PER_ADDRESS = 4

/** -1, 0 or 1 as the left address is below, equal to or above the right one. */
export function compareWords(left: Uint32Array, leftAt: number, right: Uint32Array, rightAt: number): number {
  for (let word = 0; word < WORDS_PER_ADDRESS; word += 1) {
    const leftWord = left[leftAt + word]!
    const rightWord = right[rightAt + word]!
    if (leftWord !== rightWord) return leftWord < rightWord ? -1 : 1
  }
  return 0
}

/** Copies one address. */
export function copyWords(from: Uint32Array, fromAt: number, to: Uint32Array, toAt: number): void {
  to[toAt] = from[fromAt]!
  to[toAt + 1] = from[fromAt + 1]!
  to[toAt + 2] = from[fromAt + 2]!
  to[toAt + 3] = from[fromAt + 3]!
}

/** Writes the address after `from` to `to`; false, and all zero, when there is none. */
export function nextWords(from: Uint32Array, fromAt: number, to: Uint32Array, toAt: number): boolean {
  copyWords(from, fromAt, to, toAt)
  return addToWords(to, toAt, WORDS_PER_ADDRESS - 1, 1)
}

/** Writes the address before `from` to `to`; `from` must not be `::`. */
export function previousWords(from: Uint32Array, fromAt: number, to: Uint32Array, toAt: number): void {
  copyWords(from, fromAt, to, toAt)
  for (let word = WORDS_PER_ADDRESS - 1; word >= 0; word -= 1) {
    const value = to[toAt + word]!
    to[toAt + word] = value - 1
    if (value !== 0) return
  }
}

/** True when `next` is the address right after `address`. */
export function isNextWords(
  address: Uint32Array,
  addressAt: number,
  next: Uint32Array,
  nextAt: number,
): boolean {
  let carry = 1
  for (let word = WORDS_PER_ADDRESS - 1; word >= 0; word -= 1) {
    const sum = address[addressAt + word]! + carry
    carry = sum > 0xffffffff ? 1 : 0
    if (sum >>> 0 !== next[nextAt + word]!) return false
  }
  return carry === 0
}

/** Adds 2^(128 - prefixLength), the size of a block of that prefix length, in place; false on overflow. */
export function addBlockSize(words: Uint32Array, at: number, prefixLength: number): boolean {
  if (prefixLength === 0) return false
  const word = (prefixLength - 1) >>> 5
  return addToWords(words, at, word, 0x80000000 >>> ((prefixLength - 1) & 31))
}

/** Clears every bit after the prefix length, in place. */
export function clearHostBits(words: Uint32Array, at: number, prefixLength: number): void {
  for (let word = prefixLength >>> 5; word < WORDS_PER_ADDRESS; word += 1) {
    words[at + word] = words[at + word]! & ~hostMaskOf(word, prefixLength)
  }
}

/** Sets every bit after the prefix length, in place. */
export function setHostBits(words: Uint32Array, at: number, prefixLength: number): void {
  for (let word = prefixLength >>> 5; word < WORDS_PER_ADDRESS; word += 1) {
    words[at + word] = words[at + word]! | hostMaskOf(word, prefixLength)
  }
}

/**
 * The prefix length of the largest aligned block that starts at `first` and ends at or before `last`;
 * `first` must not be above `last`.
 */
export function largestIpv6Block(
  firsts: Uint32Array,
  firstAt: number,
  lasts: Uint32Array,
  lastAt: number,
): number {
  let word = 0
  while (word < WORDS_PER_ADDRESS && firsts[firstAt + word] === lasts[lastAt + word]) word += 1
  if (word === WORDS_PER_ADDRESS) return 128
  const firstWord = firsts[firstAt + word]!
  const lastWord = lasts[lastAt + word]!
  /** Bits of the shared prefix; the bit after it is 0 in `first` and 1 in `last`. */
  const sharedBits = word * 32 + Math.clz32(firstWord ^ lastWord)
  if (!hasHostBits(firsts, firstAt, sharedBits) && hasAllHostBits(lasts, lastAt, sharedBits))
    return sharedBits
  return Math.max(sharedBits + 1, 128 - trailingZeroBits(firsts, firstAt))
}

/** True when any bit after the prefix length is one. */
export function hasHostBits(words: Uint32Array, at: number, prefixLength: number): boolean {
  for (let word = prefixLength >>> 5; word < WORDS_PER_ADDRESS; word += 1) {
    if ((words[at + word]! & hostMaskOf(word, prefixLength)) !== 0) return true
  }
  return false
}

/** True when every bit after the prefix length is one. */
function hasAllHostBits(words: Uint32Array, at: number, prefixLength: number): boolean {
  for (let word = prefixLength >>> 5; word < WORDS_PER_ADDRESS; word += 1) {
    if ((~words[at + word]! & hostMaskOf(word, prefixLength)) !== 0) return false
  }
  return true
}

/** The bits of one word that come after the prefix length. */
function hostMaskOf(word: number, prefixLength: number): number {
  const networkBits = prefixLength - word * 32
  if (networkBits >= 32) return 0
  return networkBits <= 0 ? 0xffffffff : 0xffffffff >>> networkBits
}

function trailingZeroBits(words: Uint32Array, at: number): number {
  let bits = 0
  for (let word = WORDS_PER_ADDRESS - 1; word >= 0; word -= 1) {
    const value = words[at + word]!
    if (value !== 0) return bits + 31 - Math.clz32(value & -value)
    bits += 32
  }
  return bits
}

function addToWords(words: Uint32Array, at: number, word: number, amount: number): boolean {
  let carry = amount
  for (let index = word; index >= 0; index -= 1) {
    const sum = words[at + index]! + carry
    words[at + index] = sum
    if (sum <= 0xffffffff) return true
    carry = 1
  }
  return false
}
