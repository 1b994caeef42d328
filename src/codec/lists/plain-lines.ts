import { type IpRangeCollector, isMappedSpace } from '../../ip/ip-range-set.js'
import { hasHostBits } from '../../ip/ipv6-words.js'
import { AddressScanner, isDigit, isHexDigit } from './address-scanner.js'
import { WIDE_IPV4_ADDRESSES, WIDE_IPV6_BITS } from './item-sink.js'
import { isIpv4MaskNoEnd } from './netmask.js'

const LINE_FEED = 0x0a
const CARRIAGE_RETURN = 0x0d
const SPACE = 0x20
const HASH = 0x23
const DASH = 0x2d
const DOT = 0x2e
const SLASH = 0x2f
const DIGIT_0 = 0x30
const COLON = 0x3a
const SEMICOLON = 0x3b

/** Maximum length of a comment, address or range that is read here; the list reader handles longer lines. */
const MAX_PLAIN_BYTES = 4096

/** Returned instead of an offset: the list reader must handle this line. */
const NOT_PLAIN = -1
/** Result of `readOctet`: no number, or one above 255. */
const NO_OCTET = -1
/** Result of `readOctet`: the number of bytes used is shifted above the value. */
const USED_SHIFT = 8
const VALUE_MASK = 255

/**
 * A faster path for nearly all lines of block lists: only an address, a network or an IPv4 range, a comment, or
 * nothing. The result is the same as that of `ListLineReader`. Stops at any other line: one that causes a note, is
 * wide, or could be understood differently.
 */
export class PlainLineReader {
  readonly #collector: IpRangeCollector
  readonly #scanner = new AddressScanner()
  /** The address that the last `#takeQuad` read. */
  #quad = 0
  /** True in a zone file of rbldnsd, where blanks end an item and host bits are refused. */
  isZone = false
  /** In the last call: lines with an item. */
  accepted = 0
  /** In the last call: comments and empty lines. */
  ignored = 0
  /** In the last call: networks with host bits, and the number of lines before the first of them. */
  hostBits = 0
  linesBeforeHostBits = 0

  /** Items go to `collector`. */
  constructor(collector: IpRangeCollector) {
    this.#collector = collector
  }

  /**
   * Reads lines from `start` on, each ended by a line feed, the last one by the one at `lastEnd`. Returns the start
   * of the first line that is not plain, or `lastEnd + 1`.
   */
  read(bytes: Uint8Array, start: number, lastEnd: number): number {
    this.accepted = 0
    this.ignored = 0
    this.hostBits = 0
    let lineStart = start
    while (lineStart <= lastEnd) {
      const next = this.#readLine(bytes, lineStart, lastEnd)
      if (next === NOT_PLAIN) break
      lineStart = next
    }
    return lineStart
  }

  /** Like all methods that read one line, returns the start of the next line, or `NOT_PLAIN` if nothing was read. */
  #readLine(bytes: Uint8Array, start: number, lastEnd: number): number {
    const firstByte = bytes[start]!
    if (firstByte === LINE_FEED || firstByte === HASH || firstByte === SEMICOLON) {
      const end = firstByte === LINE_FEED ? start : skipComment(bytes, start)
      if (bytes[end] !== LINE_FEED) return NOT_PLAIN
      this.ignored += 1
      return end + 1
    }
    const end = this.#takeQuad(bytes, start)
    if (end === NOT_PLAIN) return this.#readIpv6(bytes, start, lastEnd)
    const address = this.#quad
    const byte = bytes[end]
    if (byte === LINE_FEED) {
      // The most frequent line.
      this.#collector.ipv4.addAddress(address)
      this.accepted += 1
      return end + 1
    }
    if (byte === SLASH) return this.#readNetwork(bytes, end + 1, address)
    if (byte === DASH) return this.#readRange(bytes, end + 1, address)
    const next = startOfNext(bytes, end)
    if (next === NOT_PLAIN) {
      const isRange = byte === SPACE && bytes[end + 1] === DASH && bytes[end + 2] === SPACE && !this.isZone
      return isRange ? this.#readRange(bytes, end + 3, address) : NOT_PLAIN
    }
    this.#collector.ipv4.addAddress(address)
    this.accepted += 1
    return next
  }

  /** `at` is the offset after the slash. */
  #readNetwork(bytes: Uint8Array, at: number, address: number): number {
    const length = readOctet(bytes, at)
    if (length === NO_OCTET) return NOT_PLAIN
    const next = startOfNext(bytes, at + (length >> USED_SHIFT))
    const prefixLength = length & VALUE_MASK
    if (next === NOT_PLAIN || prefixLength < 8 || prefixLength > 32) return NOT_PLAIN
    if (prefixLength === 32) {
      this.#collector.ipv4.addAddress(address)
    } else {
      const hostMask = 0xffffffff >>> prefixLength
      if ((address & hostMask) !== 0) {
        if (this.isZone) return NOT_PLAIN
        this.#noteHostBits()
      }
      this.#collector.ipv4.addRange((address & ~hostMask) >>> 0, (address | hostMask) >>> 0)
    }
    this.accepted += 1
    return next
  }

  /** `at` is the offset after the dash. */
  #readRange(bytes: Uint8Array, at: number, address: number): number {
    const end = this.#takeQuad(bytes, at)
    if (end === NOT_PLAIN) return NOT_PLAIN
    const last = this.#quad
    const next = startOfNext(bytes, end)
    if (next === NOT_PLAIN || last < address || last - address >= WIDE_IPV4_ADDRESSES) return NOT_PLAIN
    if (isIpv4MaskNoEnd(last)) return NOT_PLAIN
    this.#collector.ipv4.addRange(address, last)
    this.accepted += 1
    return next
  }

  /** Reads a line with one IPv6 address or network. */
  #readIpv6(bytes: Uint8Array, start: number, lastEnd: number): number {
    const firstByte = bytes[start]
    if (!isHexDigit(firstByte) && firstByte !== COLON) return NOT_PLAIN
    let at = this.#scanner.scanIpv6(bytes, start, lastEnd + 1)
    if (at < 0) return NOT_PLAIN
    let prefixLength = 128
    if (bytes[at] === SLASH) {
      at += 1
      prefixLength = 0
      const digitsEnd = at + 3
      while (at < digitsEnd && isDigit(bytes[at])) {
        prefixLength = prefixLength * 10 + (bytes[at]! - DIGIT_0)
        at += 1
      }
    }
    if (bytes[at] === CARRIAGE_RETURN) at += 1
    if (bytes[at] !== LINE_FEED || prefixLength < WIDE_IPV6_BITS || prefixLength > 128) return NOT_PLAIN
    return this.#addIpv6(prefixLength) ? at + 1 : NOT_PLAIN
  }

  /** Adds the network at the address scanned last; false if the list reader must handle it. */
  #addIpv6(prefixLength: number): boolean {
    const { ipv6: words, hadQuad } = this.#scanner
    if (prefixLength === 128) {
      if (this.isZone && hadQuad) return false
    } else {
      // The meaning of a dotted quad or a mapped address depends on the prefix length.
      if (hadQuad || isMappedSpace(words, 96)) return false
      if (hasHostBits(words, 0, prefixLength)) {
        if (this.isZone) return false
        this.#noteHostBits()
      }
    }
    this.#collector.addIpv6Prefix(words, 0, prefixLength)
    this.accepted += 1
    return true
  }

  #noteHostBits(): void {
    if (this.hostBits === 0) this.linesBeforeHostBits = this.accepted + this.ignored
    this.hostBits += 1
  }

  /** Reads four numbers with dots between them into `#quad`; returns their end, or `NOT_PLAIN`. */
  #takeQuad(bytes: Uint8Array, start: number): number {
    const octet1 = readOctet(bytes, start)
    let at = start + (octet1 >> USED_SHIFT)
    if (octet1 === NO_OCTET || bytes[at] !== DOT) return NOT_PLAIN
    const octet2 = readOctet(bytes, at + 1)
    at += (octet2 >> USED_SHIFT) + 1
    if (octet2 === NO_OCTET || bytes[at] !== DOT) return NOT_PLAIN
    const octet3 = readOctet(bytes, at + 1)
    at += (octet3 >> USED_SHIFT) + 1
    if (octet3 === NO_OCTET || bytes[at] !== DOT) return NOT_PLAIN
    const octet4 = readOctet(bytes, at + 1)
    if (octet4 === NO_OCTET) return NOT_PLAIN
    this.#quad =
      (((octet1 & VALUE_MASK) << 24) |
        ((octet2 & VALUE_MASK) << 16) |
        ((octet3 & VALUE_MASK) << 8) |
        (octet4 & VALUE_MASK)) >>>
      0
    return at + (octet4 >> USED_SHIFT) + 1
  }
}

/**
 * The start of the next line, if the item that ends at `at` is followed only by the line end or by a blank and a
 * comment; otherwise `NOT_PLAIN`.
 */
function startOfNext(bytes: Uint8Array, at: number): number {
  const byte = bytes[at]
  if (byte === LINE_FEED) return at + 1
  if (byte === CARRIAGE_RETURN) return bytes[at + 1] === LINE_FEED ? at + 2 : NOT_PLAIN
  if (byte !== SPACE) return NOT_PLAIN
  const end = endOfComment(bytes, at)
  return bytes[end] === LINE_FEED ? end + 1 : NOT_PLAIN
}

/** The end of the comment after the blank at `at`; `at` if there is none. */
function endOfComment(bytes: Uint8Array, at: number): number {
  return bytes[at + 1] === HASH || bytes[at + 1] === SEMICOLON ? skipComment(bytes, at + 1) : at
}

/**
 * Offset of the line feed that ends the comment at `start`, or of the first byte that a plain comment cannot contain.
 */
function skipComment(bytes: Uint8Array, start: number): number {
  const limit = start + MAX_PLAIN_BYTES
  let at = start
  while (bytes[at] !== LINE_FEED && bytes[at] !== CARRIAGE_RETURN && at < limit) at += 1
  return bytes[at] === CARRIAGE_RETURN ? at + 1 : at
}

/**
 * The decimal number of one to three digits without leading zeros at `at`, with the number of bytes used shifted
 * above it. Never reads beyond a line feed.
 */
function readOctet(bytes: Uint8Array, at: number): number {
  const digit1 = bytes[at]! - DIGIT_0
  if (digit1 < 0 || digit1 > 9) return NO_OCTET
  const digit2 = bytes[at + 1]! - DIGIT_0
  if (digit2 < 0 || digit2 > 9) return digit1 | (1 << USED_SHIFT)
  if (digit1 === 0) return NO_OCTET
  const digit3 = bytes[at + 2]! - DIGIT_0
  const two = digit1 * 10 + digit2
  if (digit3 < 0 || digit3 > 9) return two | (2 << USED_SHIFT)
  const three = two * 10 + digit3
  return three > 255 ? NO_OCTET : three | (3 << USED_SHIFT)
}
