import { type IpRangeCollector, isMappedSpace } from '../../ip/ip-range-set.js'
import { IPV4_BLOCK_SIZES } from '../../ip/ipv4-range-set.js'
import { compareWords, hasHostBits } from '../../ip/ipv6-words.js'
import { AddressScanner, isDigit, isHexDigit } from './address-scanner.js'

/**
 * What became of one item of a list. All but `accepted` are refusals: `zero-prefix` would cover every
 * address, `reversed` is a range whose end is below its start, `short-form` an IPv4 address of fewer than
 * four numbers without a prefix length, and `unknown` anything else.
 */
export type ItemOutcome = 'accepted' | 'zero-prefix' | 'reversed' | 'short-form' | 'unknown'

const TAB = 0x09
const SPACE = 0x20
const PLUS = 0x2b
const DASH = 0x2d
const DOT = 0x2e
const SLASH = 0x2f
const DIGIT_0 = 0x30
const COLON = 0x3a
const LETTER_X = 0x78

/** A prefix length has three digits at most; more are read no further, so that none can overflow. */
const MAX_PREFIX_DIGITS = 9

/** True for a space or a tab. */
export function isBlank(byte: number | undefined): boolean {
  return byte === SPACE || byte === TAB
}

/**
 * Reads an address, network or range at the start of a stretch of bytes and adds it to a collector; the
 * text behind it is of no interest. Grammar and its reasons: docs/protocol/list-formats.md.
 */
export class ListItemReader {
  readonly #scanner = new AddressScanner()
  readonly #first = new Uint32Array(4)
  /** Prefix length of the last `#scanPrefix`: -1 when there was no number. */
  #prefixLength = -1
  /** True when the last accepted item was a network written with host bits (`10.1.2.3/24`). */
  hadHostBits = false

  /** Reads the item at `bytes[start]`, before `end`, into `collector`. */
  read(bytes: Uint8Array, start: number, end: number, collector: IpRangeCollector): ItemOutcome {
    this.hadHostBits = false
    if (start >= end) return 'unknown'
    if (!isDigit(bytes[start])) return this.#readIpv6(bytes, start, end, collector)
    const scanner = this.#scanner
    const at = scanner.scanIpv4(bytes, start, end)
    if (scanner.octets === 4) return this.#readIpv4(bytes, at, end, collector)
    const next = at < end ? bytes[at]! : SPACE
    if (next === COLON || isHexDigit(next)) return this.#readIpv6(bytes, start, end, collector)
    if ((next | 0x20) === LETTER_X) return this.#readHexNetwork(bytes, start, end, collector)
    if (scanner.octets === 0) return 'unknown'
    if (next !== SLASH) return 'short-form'
    const value = scanner.ipv4
    this.#scanPrefix(bytes, at + 1, end)
    return this.#prefixLength < 0 ? 'short-form' : this.#addIpv4Network(value, collector)
  }

  #readIpv4(bytes: Uint8Array, start: number, end: number, collector: IpRangeCollector): ItemOutcome {
    const scanner = this.#scanner
    const first = scanner.ipv4
    if (start < end && bytes[start] === SLASH) {
      this.#scanPrefix(bytes, start + 1, end)
      if (this.#prefixLength >= 0) return this.#addIpv4Network(first, collector)
      if (start + 1 < end && bytes[start + 1] === DASH) return 'unknown'
      collector.ipv4.addAddress(first)
      return 'accepted'
    }
    let at = start
    let hasDash = false
    let hasTab = false
    while (at < end && (isBlank(bytes[at]) || bytes[at] === DASH)) {
      if (bytes[at] === DASH) hasDash = true
      if (bytes[at] === TAB) hasTab = true
      at += 1
    }
    if (at > start && at < end && isDigit(bytes[at])) {
      const afterLast = scanner.scanIpv4(bytes, at, end)
      const last = scanner.ipv4
      if (hasDash) return scanner.octets === 4 ? this.#addIpv4Range(first, last, collector) : 'unknown'
      if (scanner.octets === 4 && (!hasTab || this.#isDshieldRow(first, last, bytes, afterLast, end))) {
        return this.#addIpv4Range(first, last, collector)
      }
    }
    collector.ipv4.addAddress(first)
    return 'accepted'
  }

  /** `start TAB end TAB 24`: a tab separates columns, so the third one has to confirm that it is a range. */
  #isDshieldRow(first: number, last: number, bytes: Uint8Array, afterLast: number, end: number): boolean {
    if (afterLast >= end || bytes[afterLast] !== TAB) return false
    this.#scanPrefix(bytes, afterLast + 1, end)
    return this.#prefixLength >= 0 && last - first + 1 === IPV4_BLOCK_SIZES[this.#prefixLength]
  }

  #addIpv4Range(first: number, last: number, collector: IpRangeCollector): ItemOutcome {
    if (first > last) return 'reversed'
    if (first === 0 && last === 0xffffffff) return 'zero-prefix'
    if (first === last) collector.ipv4.addAddress(first)
    else collector.ipv4.addRange(first, last)
    return 'accepted'
  }

  #addIpv4Network(address: number, collector: IpRangeCollector): ItemOutcome {
    const prefixLength = this.#prefixLength
    if (prefixLength > 32) return 'unknown'
    if (prefixLength === 0) return 'zero-prefix'
    if (prefixLength === 32) {
      collector.ipv4.addAddress(address)
      return 'accepted'
    }
    const hostMask = 0xffffffff >>> prefixLength
    this.hadHostBits = (address & hostMask) !== 0
    collector.ipv4.addRange((address & ~hostMask) >>> 0, (address | hostMask) >>> 0)
    return 'accepted'
  }

  #readIpv6(bytes: Uint8Array, start: number, end: number, collector: IpRangeCollector): ItemOutcome {
    const words = this.#scanner.ipv6
    let at = this.#scanner.scanIpv6(bytes, start, end)
    if (at < 0) return 'unknown'
    if (at < end && bytes[at] === SLASH) {
      this.#scanPrefix(bytes, at + 1, end)
      const prefixLength = this.#prefixLength
      if (prefixLength < 0 || prefixLength > 128) return 'unknown'
      if (prefixLength === 0 || isMappedSpace(words, prefixLength)) return 'zero-prefix'
      this.hadHostBits = hasHostBits(words, 0, prefixLength)
      collector.addIpv6Prefix(words, 0, prefixLength)
      return 'accepted'
    }
    this.#first.set(words)
    let hasDash = false
    while (at < end && (isBlank(bytes[at]) || bytes[at] === DASH)) {
      if (bytes[at] === DASH) hasDash = true
      at += 1
    }
    if (hasDash && at < end) {
      if (this.#scanner.scanIpv6(bytes, at, end) >= 0) {
        const order = compareWords(this.#first, 0, words, 0)
        if (order > 0) return 'reversed'
        if (order < 0) {
          if (isWholeFamily(this.#first, words)) return 'zero-prefix'
          collector.addIpv6Range(this.#first, words)
          return 'accepted'
        }
      } else if (wordHasColon(bytes, at, end)) return 'unknown'
    }
    collector.addIpv6Prefix(this.#first, 0, 128)
    return 'accepted'
  }

  /** `0x0a000000/8`: hexadecimal digits from the left, as inet_net_pton(3) reads them for the original. */
  #readHexNetwork(bytes: Uint8Array, start: number, end: number, collector: IpRangeCollector): ItemOutcome {
    let at = start + 2
    let value = 0
    while (at < end && isHexDigit(bytes[at]) && at - start - 2 < 9) {
      value = value * 16 + Number.parseInt(String.fromCharCode(bytes[at]!), 16)
      at += 1
    }
    const digits = at - start - 2
    if (bytes[start] !== DIGIT_0 || digits === 0 || digits > 8 || at >= end || bytes[at] !== SLASH)
      return 'unknown'
    this.#scanPrefix(bytes, at + 1, end)
    return this.#prefixLength < 0 ? 'unknown' : this.#addIpv4Network(value * 16 ** (8 - digits), collector)
  }

  /** Reads a number as scanf's `%u` does: blanks and a plus sign may stand before it. */
  #scanPrefix(bytes: Uint8Array, start: number, end: number): void {
    let at = start
    while (at < end && isBlank(bytes[at])) at += 1
    if (at < end && bytes[at] === PLUS) at += 1
    const digitsStart = at
    let value = 0
    while (at < end && isDigit(bytes[at]) && at - digitsStart < MAX_PREFIX_DIGITS) {
      value = value * 10 + (bytes[at]! - DIGIT_0)
      at += 1
    }
    this.#prefixLength = at === digitsStart ? -1 : value
  }
}

/** All of IPv6, or all of IPv4 in the addresses of IPv6. */
function isWholeFamily(first: Uint32Array, last: Uint32Array): boolean {
  if (first[3] !== 0 || last[3] !== 0xffffffff) return false
  if (isMappedSpace(first, 96) && isMappedSpace(last, 96)) return true
  return first.every((word) => word === 0) && last.every((word) => word === 0xffffffff)
}

function wordHasColon(bytes: Uint8Array, start: number, end: number): boolean {
  for (
    let at = start;
    at < end && (isHexDigit(bytes[at]) || bytes[at] === COLON || bytes[at] === DOT);
    at += 1
  ) {
    if (bytes[at] === COLON) return true
  }
  return false
}
