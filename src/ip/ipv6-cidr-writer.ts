import type { Ipv6RangeSet } from './ipv6-range-set.js'
import { addBlockSize, compareWords, copyWords, largestIpv6Block, WORDS_PER_ADDRESS } from './ipv6-words.js'

/** Eight groups of four digits, seven colons, `/128` and a separator. */
const MAX_BLOCK_BYTES = 44

const COLON = 0x3a
const SLASH = 0x2f
const DIGIT_0 = 0x30
const HEX_DIGITS = Uint8Array.from('0123456789abcdef', (digit) => digit.charCodeAt(0))

/** Writes the CIDR blocks of an IPv6 set as ASCII text (RFC 5952), without a string per block. */
export class Ipv6CidrWriter {
  readonly #set: Ipv6RangeSet
  readonly #separatorByte: number
  /** Range that is being written, and the first address of it that is not. */
  #range = 0
  readonly #first = new Uint32Array(WORDS_PER_ADDRESS)
  readonly #groups = new Uint16Array(8)
  count = 0

  constructor(set: Ipv6RangeSet, separatorByte: number) {
    this.#set = set
    this.#separatorByte = separatorByte
    if (set.length > 0) copyWords(set.firsts, 0, this.#first, 0)
  }

  bytesFor(blocks: number): number {
    return blocks * MAX_BLOCK_BYTES
  }

  fill(target: Uint8Array): number {
    const end = target.byteLength - MAX_BLOCK_BYTES
    let at = 0
    while (this.#range < this.#set.length && at <= end) {
      const prefixLength = this.#prefixLength()
      at = this.#writeAddress(target, at)
      target[at] = SLASH
      at = writeDecimal(target, at + 1, prefixLength)
      target[at] = this.#separatorByte
      at += 1
      this.count += 1
      this.#advance(prefixLength)
    }
    return at
  }

  /** How many blocks the whole set has. Moves to the end of the set: nothing can be written afterwards. */
  countBlocks(): number {
    let blocks = 0
    while (this.#range < this.#set.length) {
      this.#advance(this.#prefixLength())
      blocks += 1
    }
    return blocks
  }

  #prefixLength(): number {
    return Math.max(1, largestIpv6Block(this.#first, 0, this.#set.lasts, this.#range * WORDS_PER_ADDRESS))
  }

  /** Steps behind the block, to the next range when it was the last of its own. */
  #advance(prefixLength: number): void {
    const at = this.#range * WORDS_PER_ADDRESS
    if (
      addBlockSize(this.#first, 0, prefixLength) &&
      compareWords(this.#first, 0, this.#set.lasts, at) <= 0
    ) {
      return
    }
    this.#range += 1
    if (this.#range < this.#set.length) copyWords(this.#set.firsts, at + WORDS_PER_ADDRESS, this.#first, 0)
  }

  #writeAddress(target: Uint8Array, start: number): number {
    const groups = this.#groups
    for (let word = 0; word < WORDS_PER_ADDRESS; word += 1) {
      groups[word * 2] = this.#first[word]! >>> 16
      groups[word * 2 + 1] = this.#first[word]!
    }
    let bestStart = 8
    let bestLength = 1
    for (let index = 0; index < 8; index += 1) {
      if (groups[index] !== 0) continue
      let end = index + 1
      while (end < 8 && groups[end] === 0) end += 1
      if (end - index > bestLength) {
        bestStart = index
        bestLength = end - index
      }
      index = end
    }
    let at = start
    for (let index = 0; index < 8; index += 1) {
      if (index === bestStart) {
        if (index === 0) target[at++] = COLON
        target[at++] = COLON
        index += bestLength - 1
        continue
      }
      at = writeHex(target, at, groups[index]!)
      if (index < 7) target[at++] = COLON
    }
    return at
  }
}

function writeHex(target: Uint8Array, start: number, value: number): number {
  let at = start
  if (value > 0xfff) target[at++] = HEX_DIGITS[value >>> 12]!
  if (value > 0xff) target[at++] = HEX_DIGITS[(value >>> 8) & 15]!
  if (value > 0xf) target[at++] = HEX_DIGITS[(value >>> 4) & 15]!
  target[at++] = HEX_DIGITS[value & 15]!
  return at
}

function writeDecimal(target: Uint8Array, start: number, value: number): number {
  let at = start
  if (value > 99) target[at++] = DIGIT_0 + Math.floor(value / 100)
  if (value > 9) target[at++] = DIGIT_0 + (Math.floor(value / 10) % 10)
  target[at++] = DIGIT_0 + (value % 10)
  return at
}
