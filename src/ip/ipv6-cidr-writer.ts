import type { Ipv6RangeSet } from './ipv6-range-set.js'
import { addBlockSize, compareWords, copyWords, largestIpv6Block, WORDS_PER_ADDRESS } from './ipv6-words.js'

/** Eight groups of four digits, seven colons, `/128` and a separator. */
const MAX_BLOCK_BYTES = 44
/** A group is stored as four bytes, so a short address may temporarily write this far past its end. */
const STORE_SLACK_BYTES = 4

const COLON = 0x3a
const SLASH = 0x2f
const DIGIT_0 = 0x30

/** `findGap`: there is none. */
const NO_GAP = -1

/** The two hexadecimal digits of every byte, the first one in the lower half. */
const DIGIT_PAIRS = Uint16Array.from({ length: 256 }, (_, byte) => {
  const digits = byte.toString(16).padStart(2, '0')
  return digits.charCodeAt(0) | (digits.charCodeAt(1) << 8)
})

/** Writes the CIDR blocks of an IPv6 set as ASCII text (RFC 5952), without a string per block. */
export class Ipv6CidrWriter {
  readonly #set: Ipv6RangeSet
  readonly #separatorByte: number
  /** Range being written, and its first address that is not written yet. */
  #range = 0
  readonly #first = new Uint32Array(WORDS_PER_ADDRESS)
  count = 0

  constructor(set: Ipv6RangeSet, separatorByte: number) {
    this.#set = set
    this.#separatorByte = separatorByte
    if (set.length > 0) copyWords(set.firsts, 0, this.#first, 0)
  }

  bytesFor(blocks: number): number {
    return blocks === 0 ? 0 : blocks * MAX_BLOCK_BYTES + STORE_SLACK_BYTES
  }

  fill(target: Uint8Array): number {
    const view = new DataView(target.buffer, target.byteOffset, target.byteLength)
    const { lasts, length } = this.#set
    const first = this.#first
    const end = target.byteLength - MAX_BLOCK_BYTES - STORE_SLACK_BYTES
    let at = 0
    while (this.#range < length && at <= end) {
      const lastAt = this.#range * WORDS_PER_ADDRESS
      const isSingle = compareWords(first, 0, lasts, lastAt) === 0
      const prefixLength = isSingle ? 128 : this.#prefixLength()
      at = writeAddress(view, at, isSingle ? lasts : first, isSingle ? lastAt : 0)
      view.setUint8(at, SLASH)
      at = writeDecimal(view, at + 1, prefixLength)
      view.setUint8(at, this.#separatorByte)
      at += 1
      this.count += 1
      if (isSingle) this.#nextRange()
      else this.#advance(prefixLength)
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

  /** Moves past the block, to the next range if it was the last of its own. */
  #advance(prefixLength: number): void {
    const hasNext = addBlockSize(this.#first, 0, prefixLength)
    if (hasNext && compareWords(this.#first, 0, this.#set.lasts, this.#range * WORDS_PER_ADDRESS) <= 0) return
    this.#nextRange()
  }

  #nextRange(): void {
    this.#range += 1
    if (this.#range === this.#set.length) return
    copyWords(this.#set.firsts, this.#range * WORDS_PER_ADDRESS, this.#first, 0)
  }
}

/**
 * Writes the address of four words; returns the end. Words are converted to signed, because an unsigned one
 * above 2^31 would be boxed on each call.
 */
function writeAddress(view: DataView, start: number, words: Uint32Array, wordsAt: number): number {
  const word0 = words[wordsAt]! | 0
  const word1 = words[wordsAt + 1]! | 0
  const word2 = words[wordsAt + 2]! | 0
  const word3 = words[wordsAt + 3]! | 0
  const gap = canHaveGap(word0, word1, word2, word3) ? findGap(word0, word1, word2, word3) : NO_GAP
  if (gap === NO_GAP) {
    let at = writeGroup(view, start, word0 >>> 16)
    at = writeGroup(view, at, word0 & 0xffff)
    at = writeGroup(view, at, word1 >>> 16)
    at = writeGroup(view, at, word1 & 0xffff)
    at = writeGroup(view, at, word2 >>> 16)
    at = writeGroup(view, at, word2 & 0xffff)
    at = writeGroup(view, at, word3 >>> 16)
    return writeGroup(view, at, word3 & 0xffff) - 1
  }
  const gapStart = gap >>> 4
  const gapEnd = gapStart + (gap & 15)
  let at = start
  for (let index = 0; index < gapStart; index += 1) {
    at = writeGroup(view, at, groupOf(index, word0, word1, word2, word3))
  }
  if (gapStart === 0) view.setUint8(at++, COLON)
  view.setUint8(at++, COLON)
  for (let index = gapEnd; index < 8; index += 1) {
    at = writeGroup(view, at, groupOf(index, word0, word1, word2, word3))
  }
  return gapEnd === 8 ? at : at - 1
}

/** Writes a group without leading zeros, and a colon; returns the end. */
function writeGroup(view: DataView, at: number, group: number): number {
  const digits = DIGIT_PAIRS[group >>> 8]! | (DIGIT_PAIRS[group & 255]! << 16)
  const missing = group > 0xff ? (group > 0xfff ? 0 : 1) : group > 0xf ? 2 : 3
  view.setUint32(at, digits >>> (missing * 8), true)
  view.setUint8(at + 4 - missing, COLON)
  return at + 5 - missing
}

function groupOf(index: number, word0: number, word1: number, word2: number, word3: number): number {
  const word = index < 4 ? (index < 2 ? word0 : word1) : index < 6 ? word2 : word3
  return (index & 1) === 0 ? word >>> 16 : word & 0xffff
}

/** False when no two neighbouring groups are zero, as in most addresses of hosts. */
function canHaveGap(word0: number, word1: number, word2: number, word3: number): boolean {
  if (word0 === 0 || word1 === 0 || word2 === 0 || word3 === 0) return true
  return (
    ((word0 & 0xffff) === 0 && word1 >>> 16 === 0) ||
    ((word1 & 0xffff) === 0 && word2 >>> 16 === 0) ||
    ((word2 & 0xffff) === 0 && word3 >>> 16 === 0)
  )
}

/** The first longest run of two or more zero groups: its start times 16 plus its length, or `NO_GAP`. */
function findGap(word0: number, word1: number, word2: number, word3: number): number {
  let gap = NO_GAP
  let longest = 1
  let run = 0
  for (let index = 0; index < 8; index += 1) {
    run = groupOf(index, word0, word1, word2, word3) === 0 ? run + 1 : 0
    if (run <= longest) continue
    longest = run
    gap = (index - run + 1) * 16 + run
  }
  return gap
}

function writeDecimal(view: DataView, start: number, value: number): number {
  let at = start
  if (value > 99) view.setUint8(at++, DIGIT_0 + Math.floor(value / 100))
  if (value > 9) view.setUint8(at++, DIGIT_0 + (Math.floor(value / 10) % 10))
  view.setUint8(at++, DIGIT_0 + (value % 10))
  return at
}
