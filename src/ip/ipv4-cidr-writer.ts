import { IPV4_BLOCK_SIZES, type Ipv4RangeSet, largestIpv4Block } from './ipv4-range-set.js'

/** `255.255.255.255/32` and a separator. */
const MAX_BLOCK_BYTES = 19
/** Every store writes four bytes, so the last block may need this much more space than its text. */
const STORE_SLACK_BYTES = 4

/** Four ASCII bytes, first one lowest, and how many of them count. */
interface TextTable {
  words: Uint32Array
  lengths: Uint8Array
}

/** `0.` to `255.` */
const DOTTED_OCTETS = textTable(256, (value) => `${value}.`)
/** `0/` to `255/` */
const LAST_OCTETS = textTable(256, (value) => `${value}/`)

function textTable(size: number, textOf: (value: number) => string): TextTable {
  const words = new Uint32Array(size)
  const lengths = new Uint8Array(size)
  for (let value = 0; value < size; value += 1) {
    const text = textOf(value)
    let word = 0
    for (let index = text.length - 1; index >= 0; index -= 1) word = word * 256 + text.charCodeAt(index)
    words[value] = word
    lengths[value] = text.length
  }
  return { words, lengths }
}

/** Writes the CIDR blocks of an IPv4 set as ASCII text, without a string per block. */
export class Ipv4CidrWriter {
  readonly #set: Ipv4RangeSet
  readonly #prefixes: TextTable
  /** Range being written, and its first address that is not written yet. */
  #range = 0
  #first: number
  count = 0

  constructor(set: Ipv4RangeSet, separatorByte: number) {
    this.#set = set
    this.#first = set.length === 0 ? 0 : set.firsts[0]!
    this.#prefixes = textTable(33, (value) => `${value}${String.fromCharCode(separatorByte)}`)
  }

  bytesFor(blocks: number): number {
    return blocks === 0 ? 0 : blocks * MAX_BLOCK_BYTES + STORE_SLACK_BYTES
  }

  fill(target: Uint8Array): number {
    const view = new DataView(target.buffer, target.byteOffset, target.byteLength)
    const { firsts, lasts, length } = this.#set
    const prefixWords = this.#prefixes.words
    const prefixLengths = this.#prefixes.lengths
    const dottedWords = DOTTED_OCTETS.words
    const dottedLengths = DOTTED_OCTETS.lengths
    const lastWords = LAST_OCTETS.words
    const lastLengths = LAST_OCTETS.lengths
    const end = target.byteLength - MAX_BLOCK_BYTES - STORE_SLACK_BYTES
    let range = this.#range
    let first = this.#first
    let count = this.count
    let at = 0
    while (range < length && at <= end) {
      const last = lasts[range]!
      const prefixLength = blockPrefixLength(first, last)
      const octet1 = first >>> 24
      const octet2 = (first >>> 16) & 255
      const octet3 = (first >>> 8) & 255
      const octet4 = first & 255
      view.setUint32(at, dottedWords[octet1]!, true)
      at += dottedLengths[octet1]!
      view.setUint32(at, dottedWords[octet2]!, true)
      at += dottedLengths[octet2]!
      view.setUint32(at, dottedWords[octet3]!, true)
      at += dottedLengths[octet3]!
      view.setUint32(at, lastWords[octet4]!, true)
      at += lastLengths[octet4]!
      view.setUint32(at, prefixWords[prefixLength]!, true)
      at += prefixLengths[prefixLength]!
      count += 1
      first += IPV4_BLOCK_SIZES[prefixLength]!
      if (first > last) {
        range += 1
        if (range < length) first = firsts[range]!
      }
    }
    this.#range = range
    this.#first = first
    this.count = count
    return at
  }

  /** How many blocks the whole set has, regardless of what is already written. */
  countBlocks(): number {
    const { firsts, lasts, length } = this.#set
    let blocks = 0
    for (let range = 0; range < length; range += 1) {
      const last = lasts[range]!
      let first = firsts[range]!
      while (first <= last) {
        first += IPV4_BLOCK_SIZES[blockPrefixLength(first, last)]!
        blocks += 1
      }
    }
    return blocks
  }
}

function blockPrefixLength(first: number, last: number): number {
  return Math.max(1, largestIpv4Block(first, last))
}
