/**
 * The items of rbldnsd zone files, as rbldnsd(8) reads its data sets ip4set, ip4trie, ip4tset, ip6trie and ip6tset:
 * complete addresses, leading parts of them, networks, and ranges of IPv4. Everything after a blank or a colon is the
 * text of its answer. Compared with rbldnsd 1.0.
 */
import type { IpRangeCollector } from '../../ip/ip-range-set.js'
import { hasHostBits, WORDS_PER_ADDRESS } from '../../ip/ipv6-words.js'
import { AddressScanner, isDigit, isHexDigit } from './address-scanner.js'
import type { ItemOutcome, ItemSink } from './item-sink.js'
import { isBlank, SeparatorRun } from './list-bytes.js'

const HASH = 0x23
const DASH = 0x2d
const SLASH = 0x2f
const DIGIT_0 = 0x30
const COLON = 0x3a
const SEMICOLON = 0x3b
const GROUPS = 8
/** A directive that limits the size of ranges, as a number of addresses or as a prefix length. */
const MAX_RANGE = /^\$maxrange4[ \t]+(\/?)([0-9]{1,10})[ \t]*$/i
/** Directives, default values and numbered texts, which only zone files of rbldnsd have. */
const ZONE_DIRECTIVE = /^\$(?:soa|ns|ttl|timestamp|maxrange4|dataset|[0-9=])/i
/** `:127.0.0.2:text`, `:2:text`, `::text`, and the first two without text. */
const DEFAULT_VALUE = /^:(?:(?:[0-9]{1,3}|[0-9]{1,3}(?:\.[0-9]{1,3}){3})(?::|$)|:)/

/** True for a line that, before any entry, shows that the file is a zone of rbldnsd. */
export function startsRbldnsdZone(line: string): boolean {
  return ZONE_DIRECTIVE.test(line) || isDefaultValue(line)
}

/** True for a default value and text, which apply to the items that follow. */
export function isDefaultValue(line: string): boolean {
  return DEFAULT_VALUE.test(line)
}

/** Reads items of zone files of rbldnsd. */
export class RbldnsdItemReader {
  readonly #facts: ItemSink
  readonly #scanner = new AddressScanner()
  readonly #separator = new SeparatorRun()
  readonly #words = new Uint32Array(WORDS_PER_ADDRESS)
  #maxAddresses = 2 ** 32

  constructor(facts: ItemSink) {
    this.#facts = facts
  }

  /** Reads a directive, a line that begins with `$`. */
  readDirective(line: string): void {
    const match = MAX_RANGE.exec(line)
    if (match === null) return
    const number = Number(match[2])
    this.#maxAddresses = match[1] === '/' ? 2 ** Math.max(0, 32 - number) : number
  }

  /** True if ranges are limited, so that every item must be checked here. */
  get hasLimit(): boolean {
    return this.#maxAddresses < 2 ** 32
  }

  read(bytes: Uint8Array, start: number, end: number, collector: IpRangeCollector): ItemOutcome {
    this.#facts.begin(collector)
    const outcome = this.#readItem(bytes, start, end)
    if (outcome === 'accepted' && this.#hasAddressBehind(bytes, start, end)) {
      this.#facts.remark = 'second-address'
    }
    return outcome
  }

  /** True for `A B`, `A - B` and `A NETMASK`, which look like more than the one address that rbldnsd reads. */
  #hasAddressBehind(bytes: Uint8Array, start: number, end: number): boolean {
    let at = start
    while (at < end && !isBlank(bytes[at])) at += 1
    this.#separator.read(bytes, at, end)
    const { next } = this.#separator
    if (next >= end || !isHexDigit(bytes[next])) return false
    this.#scanner.scanIpv4(bytes, next, end)
    return this.#scanner.octets === 4 || this.#scanner.scanIpv6(bytes, next, end) > 0
  }

  #readItem(bytes: Uint8Array, start: number, end: number): ItemOutcome {
    const scanner = this.#scanner
    if (start < end && isDigit(bytes[start])) {
      const at = scanner.scanIpv4(bytes, start, end)
      const isIpv4 = scanner.octets > 1 || !startsIpv6Group(bytes, at, end)
      if (scanner.octets > 0 && isIpv4) return this.#readIpv4(bytes, at, end)
    }
    return this.#readIpv6(bytes, start, end)
  }

  #readIpv4(bytes: Uint8Array, at: number, end: number): ItemOutcome {
    const { ipv4: first, octets } = this.#scanner
    if (endsItem(bytes, at, end)) {
      // A single number would be a /8: rbldnsd treats that as a mistake.
      return octets === 1 ? 'short-form' : this.#addRange(first, lastOf(first, octets))
    }
    if (bytes[at] === SLASH) {
      const prefixLength = readNumber(bytes, at + 1, end)
      if (prefixLength < 0 || prefixLength > 32) return 'unknown'
      if (prefixLength === 0) return 'zero-prefix'
      const hostMask = prefixLength === 32 ? 0 : 0xffffffff >>> prefixLength
      return (first & hostMask) === 0 ? this.#addRange(first, first + hostMask) : 'unknown'
    }
    if (bytes[at] !== DASH || at + 1 >= end || !isDigit(bytes[at + 1])) return 'unknown'
    const after = this.#scanner.scanIpv4(bytes, at + 1, end)
    const { ipv4: last, octets: lastOctets } = this.#scanner
    if (!endsItem(bytes, after, end)) return 'unknown'
    if (lastOctets === octets) return this.#addRange(first, lastOf(last, octets))
    if (lastOctets !== 1) return 'unknown'
    // `203.0.113.1-9`: the number replaces the last number of the first address.
    const span = 2 ** (8 * (4 - octets))
    const base = Math.floor(first / (span * 256)) * span * 256
    return this.#addRange(first, lastOf(base + (last >>> 24) * span, octets))
  }

  #addRange(first: number, last: number): ItemOutcome {
    if (last - first >= this.#maxAddresses) return 'max-range'
    return this.#facts.addIpv4Range(first, last)
  }

  #readIpv6(bytes: Uint8Array, start: number, end: number): ItemOutcome {
    const words = this.#words
    let at = this.#scanner.scanIpv6(bytes, start, end)
    let bits = 128
    if (at >= 0) {
      if (this.#scanner.hadQuad) return 'unknown'
      words.set(this.#scanner.ipv6)
    } else {
      at = this.#readGroups(bytes, start, end)
      if (at < 0) return 'unknown'
      bits = this.#groupBits
    }
    if (at < end && bytes[at] === SLASH) {
      const prefixLength = readNumber(bytes, at + 1, end)
      if (prefixLength < 0 || hasHostBits(words, 0, Math.min(prefixLength, 128))) return 'unknown'
      return this.#facts.addIpv6Network(words, prefixLength, 'hex')
    }
    // A single group would be a /16: rbldnsd treats that as a mistake.
    if (bits === 16 || !endsItem(bytes, at, end)) return 'unknown'
    return this.#facts.addIpv6Network(words, bits, 'hex')
  }

  /** Number of bits in the groups that the last `#readGroups` found. */
  #groupBits = 0

  /** Reads leading groups (`2001:21ab:c000`); the rest of the address is zero. Returns their end, or -1. */
  #readGroups(bytes: Uint8Array, start: number, end: number): number {
    const words = this.#words.fill(0)
    let at = start
    for (let group = 0; group < GROUPS; group += 1) {
      const groupStart = at
      let value = 0
      while (at < end && isHexDigit(bytes[at])) {
        value = value * 16 + Number.parseInt(String.fromCharCode(bytes[at]!), 16)
        at += 1
        if (at - groupStart > 4) return -1
      }
      if (at === groupStart) return -1
      words[group >>> 1] = words[group >>> 1]! | (value << (group % 2 === 0 ? 16 : 0))
      this.#groupBits = (group + 1) * 16
      if (at >= end || bytes[at] !== COLON) return at
      at += 1
    }
    return -1
  }
}

/** True if a colon or a hexadecimal letter follows the leading digits. */
function startsIpv6Group(bytes: Uint8Array, at: number, end: number): boolean {
  return at < end && (bytes[at] === COLON || isHexDigit(bytes[at]))
}

function endsItem(bytes: Uint8Array, at: number, end: number): boolean {
  if (at >= end) return true
  const byte = bytes[at]
  return isBlank(byte) || byte === COLON || byte === HASH || byte === SEMICOLON
}

/** The last address that begins with the first `octets` numbers. */
function lastOf(first: number, octets: number): number {
  return first + 2 ** (8 * (4 - octets)) - 1
}

/** The number of one to three digits that ends the item, or -1. */
function readNumber(bytes: Uint8Array, start: number, end: number): number {
  let at = start
  let value = 0
  while (at < end && isDigit(bytes[at]) && at - start < 4) {
    value = value * 10 + (bytes[at]! - DIGIT_0)
    at += 1
  }
  return at > start && at - start < 4 && endsItem(bytes, at, end) ? value : -1
}
