/**
 * An index of a list: finds the lines that name an address by binary search. Format of the file beside a copy:
 *
 *     16 bytes   `spamdctl-lines-1`
 *     64 bytes   SHA-256 of the list's text, in hexadecimal: an index of another text is not used
 *      8 bytes   number of IPv4 entries, number of IPv6 entries
 *     IPv4       firsts, lasts, highest last so far, lines, offsets: an array of 32-bit numbers each
 *     IPv6       the same, addresses in four words
 *
 * All numbers are little-endian. Entries are sorted by their first address. The highest bit of a line number marks a
 * line that takes addresses out of the list.
 */
import { familyOf, ipv4ToNumber, parseIpv6Groups } from '../../ip/address.js'
import { IpRangeCollector, isMapped } from '../../ip/ip-range-set.js'
import { Ipv4Collector } from '../../ip/ipv4-range-set.js'
import { clearHostBits, compareWords, setHostBits } from '../../ip/ipv6-words.js'
import { sortPairs } from '../../ip/radix-sort.js'
import { ListLineReader } from './list-line.js'

const MAGIC = 'spamdctl-lines-1'
const SHA256_DIGITS = 64
const HEADER_BYTES = MAGIC.length + SHA256_DIGITS + 8
const EXCLUSION = 0x8000_0000
/** As in list-lines.ts: a longer line is refused by the parser. */
const MAX_LINE_BYTES = 65_536
const LINE_FEED = 0x0a
const CARRIAGE_RETURN = 0x0d
const WORD_BYTES = 4
/** Arrays of an IPv4 entry, and words of an IPv6 entry. */
const IPV4_WORDS = 5
const IPV6_WORDS = 14
const IPV6_ADDRESS_WORDS = 4
/** Maximum number of lines returned; more would say nothing new. */
const MAX_FOUND = 20

/** A line that names an address. */
export interface IndexedLine {
  /** From 1. */
  line: number
  /** Offset of the line in the text, in bytes. */
  offset: number
  /** The line takes the address out of the list (`!`, `nomatch`). */
  isExclusion: boolean
}

/** Records each range with its line, instead of merging the ranges. */
class LineRecorder extends IpRangeCollector {
  override readonly ipv4: Ipv4Collector
  readonly #owner: LineIndexBuilder
  readonly #mark: number

  constructor(owner: LineIndexBuilder, mark: number) {
    super()
    this.#owner = owner
    this.#mark = mark
    const ipv4 = new Ipv4Collector()
    ipv4.addAddress = (address) => owner.recordIpv4(address, address, mark)
    ipv4.addRange = (first, last) => owner.recordIpv4(first, last, mark)
    this.ipv4 = ipv4
  }

  override addIpv6Prefix(words: Uint32Array, at: number, prefixLength: number): void {
    const mapped = 96
    if (prefixLength >= mapped && isMapped(words, at)) {
      super.addIpv6Prefix(words, at, prefixLength)
      return
    }
    const first = words.slice(at, at + 4)
    if (prefixLength < 128) clearHostBits(first, 0, prefixLength)
    const last = first.slice()
    if (prefixLength < 128) setHostBits(last, 0, prefixLength)
    this.#owner.recordIpv6(first, last, this.#mark)
  }

  override addIpv6Range(first: Uint32Array, last: Uint32Array): void {
    if (isMapped(first, 0) && isMapped(last, 0)) super.addIpv6Range(first, last)
    else this.#owner.recordIpv6(first.slice(0, 4), last.slice(0, 4), this.#mark)
  }
}

const FIRST_CAPACITY = 1024

/** A growing array of 32-bit numbers. */
class WordList {
  #words = new Uint32Array(FIRST_CAPACITY)
  length = 0

  push(word: number): void {
    if (this.length === this.#words.length) {
      const grown = new Uint32Array(this.length * 2)
      grown.set(this.#words)
      this.#words = grown
    }
    this.#words[this.length] = word
    this.length += 1
  }

  get words(): Uint32Array {
    return this.#words.subarray(0, this.length)
  }
}

/** Ranges in the order of the text, with the positions of their lines. */
class Recorded {
  readonly firsts = new WordList()
  readonly lasts = new WordList()
  readonly lines = new WordList()
  readonly offsets = new WordList()
}

/** Reads a list piece by piece and builds its index. */
export class LineIndexBuilder {
  readonly #reader: ListLineReader
  readonly #ipv4 = new Recorded()
  readonly #ipv6 = new Recorded()
  /** The beginning of an unfinished line; of a line that is too long, only enough to show that. */
  #pending: Uint8Array = new Uint8Array(0)
  /** Bytes of that line that are not kept. */
  #droppedBytes = 0
  #line = 0
  #lineOffset = 0
  /** Position of a line that counts only if similar lines follow. */
  #held = { line: 0, offset: 0 }

  /** `column` as for `createListParser`. */
  constructor(column: number | undefined) {
    this.#reader = new ListLineReader(column, new LineRecorder(this, 0), new LineRecorder(this, EXCLUSION))
  }

  /** Reads the next bytes of the list; they may be reused afterwards. */
  push(chunk: Uint8Array): void {
    let bytes = chunk
    if (this.#pending.length > 0) {
      bytes = new Uint8Array(this.#pending.length + chunk.length)
      bytes.set(this.#pending)
      bytes.set(chunk, this.#pending.length)
    }
    let start = 0
    for (let end = bytes.indexOf(LINE_FEED); end >= 0; end = bytes.indexOf(LINE_FEED, start)) {
      this.#read(bytes, start, end)
      this.#lineOffset += end + 1 - start + this.#droppedBytes
      this.#droppedBytes = 0
      start = end + 1
    }
    const kept = Math.min(bytes.length, start + MAX_LINE_BYTES + 4)
    this.#droppedBytes += bytes.length - kept
    this.#pending = bytes.slice(start, kept)
  }

  /** Ends the list; `sha256` is the hash of its text. */
  end(sha256: string): Uint8Array {
    if (this.#pending.length > 0) this.#read(this.#pending, 0, this.#pending.length)
    return encode(sha256, this.#ipv4, this.#ipv6)
  }

  /** For `LineRecorder`. */
  recordIpv4(first: number, last: number, mark: number): void {
    this.#ipv4.firsts.push(first)
    this.#ipv4.lasts.push(last)
    this.#recordPlace(this.#ipv4, mark)
  }

  /** For `LineRecorder`. */
  recordIpv6(first: Uint32Array, last: Uint32Array, mark: number): void {
    for (const word of first) this.#ipv6.firsts.push(word)
    for (const word of last) this.#ipv6.lasts.push(word)
    this.#recordPlace(this.#ipv6, mark)
  }

  #recordPlace(recorded: Recorded, mark: number): void {
    recorded.lines.push((this.#line | mark) >>> 0)
    recorded.offsets.push(this.#lineOffset)
  }

  #read(bytes: Uint8Array, lineStart: number, lineEnd: number): void {
    this.#line += 1
    const hasMark = this.#line === 1 && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf
    const start = hasMark ? lineStart + 3 : lineStart
    const end = lineEnd > start && bytes[lineEnd - 1] === CARRIAGE_RETURN ? lineEnd - 1 : lineEnd
    if (end - start > MAX_LINE_BYTES) return
    const outcome = this.#reader.read(bytes, start, end)
    if (outcome === 'held') this.#held = { line: this.#line, offset: this.#lineOffset }
    const held = this.#reader.takeHeld()
    if (held !== undefined) this.#readHeld(held)
  }

  #readHeld(item: Uint8Array): void {
    const [line, offset] = [this.#line, this.#lineOffset]
    this.#line = this.#held.line
    this.#lineOffset = this.#held.offset
    this.#reader.readItem(item)
    this.#line = line
    this.#lineOffset = offset
  }
}

function encode(sha256: string, ipv4: Recorded, ipv6: Recorded): Uint8Array {
  const ipv4Count = ipv4.lines.length
  const ipv6Count = ipv6.lines.length
  const bytes = Buffer.alloc(HEADER_BYTES + (ipv4Count * IPV4_WORDS + ipv6Count * IPV6_WORDS) * WORD_BYTES)
  bytes.write(MAGIC + sha256, 'latin1')
  bytes.writeUInt32LE(ipv4Count, HEADER_BYTES - 8)
  bytes.writeUInt32LE(ipv6Count, HEADER_BYTES - 4)
  const at = writeRecorded(bytes, HEADER_BYTES, ipv4, orderOfIpv4(ipv4), 1)
  writeRecorded(bytes, at, ipv6, orderOfIpv6(ipv6), IPV6_ADDRESS_WORDS)
  return bytes
}

function orderOfIpv4({ firsts }: Recorded): Uint32Array {
  const order = Uint32Array.from({ length: firsts.length }, (_, index) => index)
  return sortPairs(firsts.words.slice(), order, order.length).values!.subarray(0, order.length)
}

function orderOfIpv6({ firsts, lines }: Recorded): Uint32Array {
  const order = Uint32Array.from({ length: lines.length }, (_, index) => index)
  const { words } = firsts
  return order.sort((a, b) => compareWords(words, a * IPV6_ADDRESS_WORDS, words, b * IPV6_ADDRESS_WORDS))
}

/** Writes the five arrays in the given order; returns where they end. */
function writeRecorded(
  bytes: Buffer,
  start: number,
  recorded: Recorded,
  order: Uint32Array,
  width: number,
): number {
  let at = start
  const firsts = recorded.firsts.words
  const lasts = recorded.lasts.words
  const putAddress = (words: Uint32Array, index: number): void => {
    for (let part = 0; part < width; part += 1) at = bytes.writeUInt32LE(words[index * width + part]!, at)
  }
  for (const index of order) putAddress(firsts, index)
  for (const index of order) putAddress(lasts, index)
  let highest = order[0] ?? 0
  for (const index of order) {
    if (isHigher(lasts, index, highest, width)) highest = index
    putAddress(lasts, highest)
  }
  for (const index of order) at = bytes.writeUInt32LE(recorded.lines.words[index]!, at)
  for (const index of order) at = bytes.writeUInt32LE(recorded.offsets.words[index]!, at)
  return at
}

function isHigher(words: Uint32Array, index: number, other: number, width: number): boolean {
  for (let part = 0; part < width; part += 1) {
    const difference = words[index * width + part]! - words[other * width + part]!
    if (difference !== 0) return difference > 0
  }
  return false
}

/** An index read from its file. */
export class LineIndex {
  /** Hash of the text that it belongs to. */
  readonly sha256: string
  readonly #words: DataView
  readonly #ipv4Count: number
  readonly #ipv6Count: number

  private constructor(bytes: Uint8Array, ipv4Count: number, ipv6Count: number) {
    this.sha256 = Buffer.from(bytes.subarray(MAGIC.length, MAGIC.length + SHA256_DIGITS)).toString('latin1')
    this.#words = new DataView(bytes.buffer, bytes.byteOffset + HEADER_BYTES, bytes.length - HEADER_BYTES)
    this.#ipv4Count = ipv4Count
    this.#ipv6Count = ipv6Count
  }

  /** The index in the content of a file; undefined if it is not one of ours or is truncated. */
  static decode(bytes: Uint8Array): LineIndex | undefined {
    if (bytes.length < HEADER_BYTES) return undefined
    const header = Buffer.from(bytes.buffer, bytes.byteOffset, HEADER_BYTES)
    if (header.toString('latin1', 0, MAGIC.length) !== MAGIC) return undefined
    const ipv4Count = header.readUInt32LE(HEADER_BYTES - 8)
    const ipv6Count = header.readUInt32LE(HEADER_BYTES - 4)
    const wanted = HEADER_BYTES + (ipv4Count * IPV4_WORDS + ipv6Count * IPV6_WORDS) * WORD_BYTES
    return bytes.length === wanted ? new LineIndex(bytes, ipv4Count, ipv6Count) : undefined
  }

  /** Lines whose address, network or range contains the canonical address, in the order of the text. */
  find(canonicalText: string): IndexedLine[] {
    const found =
      familyOf(canonicalText) === 4
        ? this.#findIpv4(ipv4ToNumber(canonicalText))
        : this.#findIpv6(wordsOf(canonicalText))
    return found.sort((a, b) => a.line - b.line)
  }

  #findIpv4(address: number): IndexedLine[] {
    const count = this.#ipv4Count
    const word = (array: number, index: number): number =>
      this.#words.getUint32((array * count + index) * WORD_BYTES, true)
    return search(count, {
      isAfter: (index) => word(0, index) > address,
      holds: (index) => word(1, index) >= address,
      canHoldBefore: (index) => word(2, index) >= address,
      line: (index) => toLine(word(3, index), word(4, index)),
    })
  }

  #findIpv6(address: Uint32Array): IndexedLine[] {
    const count = this.#ipv6Count
    const start = this.#ipv4Count * IPV4_WORDS
    const compare = (array: number, index: number): number => {
      const at = start + array * count * 4 + index * 4
      for (let part = 0; part < 4; part += 1) {
        const difference = this.#words.getUint32((at + part) * WORD_BYTES, true) - address[part]!
        if (difference !== 0) return difference
      }
      return 0
    }
    const number = (array: number, index: number): number =>
      this.#words.getUint32((start + count * 12 + array * count + index) * WORD_BYTES, true)
    return search(count, {
      isAfter: (index) => compare(0, index) > 0,
      holds: (index) => compare(1, index) >= 0,
      canHoldBefore: (index) => compare(2, index) >= 0,
      line: (index) => toLine(number(0, index), number(1, index)),
    })
  }
}

/**
 * Finds the last entry that begins at or before the address by binary search, then goes back as long as an earlier
 * one may contain it.
 */
function search(
  count: number,
  entries: {
    isAfter: (index: number) => boolean
    holds: (index: number) => boolean
    canHoldBefore: (index: number) => boolean
    line: (index: number) => IndexedLine
  },
): IndexedLine[] {
  let low = 0
  let high = count
  while (low < high) {
    const middle = (low + high) >>> 1
    if (entries.isAfter(middle)) high = middle
    else low = middle + 1
  }
  const found: IndexedLine[] = []
  for (let index = low - 1; index >= 0 && entries.canHoldBefore(index); index -= 1) {
    if (entries.holds(index)) found.push(entries.line(index))
    if (found.length === MAX_FOUND) break
  }
  return found
}

function toLine(marked: number, offset: number): IndexedLine {
  return { line: marked & ~EXCLUSION, offset, isExclusion: marked >= EXCLUSION }
}

function wordsOf(canonicalText: string): Uint32Array {
  const groups = parseIpv6Groups(canonicalText)
  return Uint32Array.from({ length: 4 }, (_, word) => groups[word * 2]! * 65_536 + groups[word * 2 + 1]!)
}
