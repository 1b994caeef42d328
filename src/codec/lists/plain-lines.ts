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

/** No comment, address or range that is read here is longer; longer lines go the long way. */
const MAX_PLAIN_BYTES = 4096

/** `readOctet`: no number, or one above 255. */
const NO_OCTET = -1
/** `readOctet`: the bytes used stand above the value. */
const USED_SHIFT = 8
const VALUE_MASK = 255

/**
 * The short way for what nearly all lines of block lists are: an address, a network or an IPv4 range and
 * nothing else, a comment, or nothing. It gives the same as `ListLineReader`, only faster, and stops at any other
 * line: one that gives a note, that is wide, or that people might read otherwise.
 */
export class PlainLineReader {
  readonly #collector: IpRangeCollector
  readonly #scanner = new AddressScanner()
  #hadHostBits = false
  /** True in a zone file of rbldnsd, where blanks end an item and host bits are refused. */
  isZone = false
  /** Of the last call: lines with an item. */
  accepted = 0
  /** Of the last call: comments and empty lines. */
  ignored = 0
  /** Of the last call: networks with host bits, and how many lines were read before the first of them. */
  hostBits = 0
  linesBeforeHostBits = 0

  /** Items go to `collector`. */
  constructor(collector: IpRangeCollector) {
    this.#collector = collector
  }

  /**
   * Reads lines from `start` on, each ended by a line feed, the last one by that at `lastEnd`. Returns the
   * start of the first line that is not plain, or `lastEnd + 1`.
   */
  read(bytes: Uint8Array, start: number, lastEnd: number): number {
    const collector = this.#collector.ipv4
    let accepted = 0
    let ignored = 0
    let hostBits = 0
    let lineStart = start
    while (lineStart <= lastEnd) {
      let at = lineStart
      const firstByte = bytes[at]!
      if (firstByte === HASH || firstByte === SEMICOLON) {
        at = skipComment(bytes, at)
        if (bytes[at] !== LINE_FEED) break
        ignored += 1
        lineStart = at + 1
        continue
      }
      if (firstByte === LINE_FEED) {
        ignored += 1
        lineStart = at + 1
        continue
      }
      const octet1 = readOctet(bytes, at)
      at += octet1 === NO_OCTET ? 0 : octet1 >> USED_SHIFT
      if (octet1 === NO_OCTET || bytes[at] !== DOT) {
        const next = this.#readIpv6(bytes, lineStart, lastEnd)
        if (next < 0) break
        if (this.#hadHostBits) {
          if (hostBits === 0) this.linesBeforeHostBits = accepted + ignored
          hostBits += 1
        }
        accepted += 1
        lineStart = next
        continue
      }
      const octet2 = readOctet(bytes, at + 1)
      if (octet2 === NO_OCTET) break
      at += (octet2 >> USED_SHIFT) + 1
      if (bytes[at] !== DOT) break
      const octet3 = readOctet(bytes, at + 1)
      if (octet3 === NO_OCTET) break
      at += (octet3 >> USED_SHIFT) + 1
      if (bytes[at] !== DOT) break
      const octet4 = readOctet(bytes, at + 1)
      if (octet4 === NO_OCTET) break
      at += (octet4 >> USED_SHIFT) + 1
      const address =
        (((octet1 & VALUE_MASK) << 24) |
          ((octet2 & VALUE_MASK) << 16) |
          ((octet3 & VALUE_MASK) << 8) |
          (octet4 & VALUE_MASK)) >>>
        0
      let byte = bytes[at]!
      if (byte === LINE_FEED) {
        collector.addAddress(address)
        accepted += 1
        lineStart = at + 1
        continue
      }
      if (byte === SLASH) {
        const length = readOctet(bytes, at + 1)
        if (length === NO_OCTET) break
        at += (length >> USED_SHIFT) + 1
        byte = bytes[at]!
        if (byte === CARRIAGE_RETURN) {
          at += 1
          byte = bytes[at]!
        } else if (byte === SPACE) {
          at = endOfComment(bytes, at)
          byte = bytes[at]!
        }
        const prefixLength = length & VALUE_MASK
        if (byte !== LINE_FEED || prefixLength < 8 || prefixLength > 32) break
        if (prefixLength === 32) {
          collector.addAddress(address)
        } else {
          const hostMask = 0xffffffff >>> prefixLength
          if ((address & hostMask) !== 0) {
            if (this.isZone) break
            if (hostBits === 0) this.linesBeforeHostBits = accepted + ignored
            hostBits += 1
          }
          collector.addRange((address & ~hostMask) >>> 0, (address | hostMask) >>> 0)
        }
        accepted += 1
        lineStart = at + 1
        continue
      }
      if (byte === CARRIAGE_RETURN && bytes[at + 1] === LINE_FEED) {
        collector.addAddress(address)
        accepted += 1
        lineStart = at + 2
        continue
      }
      if (byte === SPACE && (bytes[at + 1] === HASH || bytes[at + 1] === SEMICOLON)) {
        at = endOfComment(bytes, at)
        if (bytes[at] !== LINE_FEED) break
        collector.addAddress(address)
        accepted += 1
        lineStart = at + 1
        continue
      }
      if (byte === SPACE && bytes[at + 1] === DASH && bytes[at + 2] === SPACE && !this.isZone) at += 3
      else if (byte === DASH) at += 1
      else break
      const last1 = readOctet(bytes, at)
      if (last1 === NO_OCTET) break
      at += last1 >> USED_SHIFT
      if (bytes[at] !== DOT) break
      const last2 = readOctet(bytes, at + 1)
      if (last2 === NO_OCTET) break
      at += (last2 >> USED_SHIFT) + 1
      if (bytes[at] !== DOT) break
      const last3 = readOctet(bytes, at + 1)
      if (last3 === NO_OCTET) break
      at += (last3 >> USED_SHIFT) + 1
      if (bytes[at] !== DOT) break
      const last4 = readOctet(bytes, at + 1)
      if (last4 === NO_OCTET) break
      at += (last4 >> USED_SHIFT) + 1
      const last =
        (((last1 & VALUE_MASK) << 24) |
          ((last2 & VALUE_MASK) << 16) |
          ((last3 & VALUE_MASK) << 8) |
          (last4 & VALUE_MASK)) >>>
        0
      byte = bytes[at]!
      if (byte === CARRIAGE_RETURN) {
        at += 1
        byte = bytes[at]!
      }
      if (byte !== LINE_FEED || last < address || last - address >= WIDE_IPV4_ADDRESSES) break
      if (isIpv4MaskNoEnd(last)) break
      collector.addRange(address, last)
      accepted += 1
      lineStart = at + 1
    }
    this.accepted = accepted
    this.ignored = ignored
    this.hostBits = hostBits
    return lineStart
  }

  /** A line of one IPv6 address or network; returns the start of the next line, or -1. */
  #readIpv6(bytes: Uint8Array, start: number, lastEnd: number): number {
    const firstByte = bytes[start]
    if (!isHexDigit(firstByte) && firstByte !== COLON) return -1
    let at = this.#scanner.scanIpv6(bytes, start, lastEnd + 1)
    if (at < 0) return -1
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
    if (bytes[at] !== LINE_FEED || prefixLength < WIDE_IPV6_BITS || prefixLength > 128) return -1
    const { ipv6: words, hadQuad } = this.#scanner
    // What a dotted quad or a mapped address means depends on the prefix length.
    if (prefixLength !== 128 && (hadQuad || isMappedSpace(words, 96))) return -1
    if (this.isZone && (hadQuad || hasHostBits(words, 0, prefixLength))) return -1
    this.#hadHostBits = prefixLength !== 128 && hasHostBits(words, 0, prefixLength)
    this.#collector.addIpv6Prefix(words, 0, prefixLength)
    return at + 1
  }
}

/** The end of a comment that a blank at `at` stands before; `at` when there is none. */
function endOfComment(bytes: Uint8Array, at: number): number {
  return bytes[at + 1] === HASH || bytes[at + 1] === SEMICOLON ? skipComment(bytes, at + 1) : at
}

/** The line feed that ends the comment at `start`, or the place where it is no plain comment any more. */
function skipComment(bytes: Uint8Array, start: number): number {
  const limit = start + MAX_PLAIN_BYTES
  let at = start
  while (bytes[at] !== LINE_FEED && bytes[at] !== CARRIAGE_RETURN && at < limit) at += 1
  return bytes[at] === CARRIAGE_RETURN ? at + 1 : at
}

/**
 * The decimal number of one to three digits without leading zeros at `at`, with the bytes used shifted above it.
 * Never reads behind a line feed.
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
