import { IPV4_BLOCK_SIZES } from '../../ip/ipv4-range-set.js'
import { AddressScanner, isDigit } from './address-scanner.js'
import type { ItemOutcome, ItemSink } from './item-sink.js'
import { isItemEnd, SeparatorRun, skipBlanks, skipColumnMarks, wordToEnd } from './list-bytes.js'
import { canEndIpv4Pair, ipv4MaskBits, ipv4PrefixOfMask, isIpv4MaskNoEnd } from './netmask.js'
import { PrefixNumber, splitNumber } from './prefix-number.js'
import { looksLikeIpv6, numberBehind, remarkBehind } from './text-behind.js'

const TAB = 0x09
const SLASH = 0x2f

/** Reads what follows an IPv4 address: a prefix length, a netmask, the end of a range, or text. */
export class Ipv4ItemReader {
  readonly #sink: ItemSink
  readonly #scanner = new AddressScanner()
  readonly #separator = new SeparatorRun()
  readonly #prefix = new PrefixNumber()

  constructor(sink: ItemSink) {
    this.#sink = sink
  }

  /** `at` is the offset right after the complete address `first`. */
  read(first: number, bytes: Uint8Array, at: number, end: number): ItemOutcome {
    if (at >= end) return this.#sink.addIpv4Address(first)
    if (bytes[at] === SLASH) return this.#readSlash(first, bytes, at, end)
    const separator = this.#separator
    separator.read(bytes, at, end)
    if (separator.hasDash) return this.#readDash(first, bytes, at, end)
    return (
      this.#readNetmask(first, bytes, at, end) ??
      this.#readPair(first, bytes, end) ??
      this.#addAlone(first, bytes, at, end)
    )
  }

  /**
   * `10/8`, `172.16/12`: missing numbers are zero. Nothing is guessed: the prefix length covers at most the given
   * numbers.
   */
  readShort(value: number, octets: number, bytes: Uint8Array, at: number, end: number): ItemOutcome {
    if (at >= end || bytes[at] !== SLASH) return 'short-form'
    const prefix = this.#prefix
    if (prefix.read(bytes, at + 1, end) !== 'number') return 'short-form'
    if (prefix.value === 0) return 'zero-prefix'
    if (prefix.value < 8 || prefix.value > octets * 8) return 'short-form'
    if ((value & (0xffffffff >>> prefix.value)) !== 0 && prefix.value < 32) return 'short-form'
    return this.#addNetwork(value, prefix.value, bytes, prefix.end, end)
  }

  #readSlash(first: number, bytes: Uint8Array, slashAt: number, end: number): ItemOutcome {
    const scanner = this.#scanner
    const at = slashAt + 1
    if (at < end && isDigit(bytes[at])) {
      const maskEnd = scanner.scanIpv4(bytes, at, end)
      if (scanner.octets === 4) return this.#addMasked(first, scanner.ipv4, bytes, maskEnd, end)
    }
    const prefix = this.#prefix
    switch (prefix.read(bytes, at, end)) {
      case 'number': {
        const isSplit = prefix.value > 0 && (splitNumber(prefix, bytes, end) ?? 33) <= 32
        if (!isSplit || (first & (0xffffffff >>> prefix.value)) === 0)
          return this.#addNetwork(first, prefix.value, bytes, prefix.end, end)
        this.#sink.remark = 'path'
        return this.#addAlone(first, bytes, slashAt, end)
      }
      case 'impossible':
        return 'unknown'
      case 'other':
        this.#sink.remark = 'path'
        return this.#addAlone(first, bytes, slashAt, end)
    }
  }

  /** `192.0.2.0/255.255.255.0`. */
  #addMasked(first: number, mask: number, bytes: Uint8Array, at: number, end: number): ItemOutcome {
    if (mask === 0) return 'zero-prefix'
    const bits = ipv4MaskBits(mask)
    const prefixLength = bits > 0 ? bits : ipv4PrefixOfMask(first, mask)
    if (prefixLength < 0 || !isItemEnd(bytes, at, end)) return 'unknown'
    return this.#addNetwork(first, prefixLength, bytes, at, end)
  }

  #readDash(first: number, bytes: Uint8Array, at: number, end: number): ItemOutcome {
    const { next, hasBlank } = this.#separator
    if (next >= end) return this.#sink.addIpv4Address(first)
    if (!isDigit(bytes[next])) {
      if (looksLikeIpv6(bytes, next, end)) return 'unknown'
      if (!hasBlank) this.#sink.remark = 'joined'
      return this.#addAlone(first, bytes, at, end)
    }
    const scanner = this.#scanner
    const after = scanner.scanIpv4(bytes, next, end)
    if (scanner.octets !== 4) return 'unknown'
    const last = scanner.ipv4
    if (after < end && bytes[after] === SLASH) this.#sink.remark = 'path'
    else if (!isItemEnd(bytes, after, end)) return 'unknown'
    if (isIpv4MaskNoEnd(last)) return 'netmask'
    this.#sink.remark ??= remarkBehind(scanner, bytes, after, end)
    return this.#sink.addIpv4Range(first, last)
  }

  /** A netmask in the next column, whatever separates the columns; undefined if there is none. */
  #readNetmask(first: number, bytes: Uint8Array, at: number, end: number): ItemOutcome | undefined {
    const next = skipColumnMarks(bytes, at, end)
    if (next === at || next >= end || !isDigit(bytes[next])) return undefined
    const scanner = this.#scanner
    const after = scanner.scanIpv4(bytes, next, end)
    if (scanner.octets !== 4 || !isItemEnd(bytes, after, end)) return undefined
    const prefixLength = ipv4PrefixOfMask(first, scanner.ipv4)
    return prefixLength < 0 ? undefined : this.#addNetwork(first, prefixLength, bytes, after, end)
  }

  /** `A B` and `A to B` if that is the whole line, and `A TAB B TAB N` of DShield; undefined for anything else. */
  #readPair(first: number, bytes: Uint8Array, end: number): ItemOutcome | undefined {
    const { hasBlank, hasTab, next } = this.#separator
    if (!hasBlank) return undefined
    const lastAt = wordToEnd(bytes, next, end)
    if (lastAt >= end || !isDigit(bytes[lastAt])) return undefined
    const scanner = this.#scanner
    const after = scanner.scanIpv4(bytes, lastAt, end)
    const last = scanner.ipv4
    if (scanner.octets !== 4 && lastAt > next) this.#sink.remark = 'second-address'
    if (scanner.octets !== 4 || first > last) return undefined
    if (hasTab && lastAt === next) {
      return this.#isDshieldRow(first, last, bytes, after, end)
        ? this.#sink.addIpv4Range(first, last)
        : undefined
    }
    if (skipBlanks(bytes, after, end) < end || !canEndIpv4Pair(first, last)) return undefined
    return this.#sink.addIpv4Range(first, last)
  }

  /** `start TAB end TAB 24`: a tab separates columns, so the third one has to confirm that it is a range. */
  #isDshieldRow(first: number, last: number, bytes: Uint8Array, afterLast: number, end: number): boolean {
    if (afterLast >= end || bytes[afterLast] !== TAB) return false
    const prefix = this.#prefix
    if (prefix.read(bytes, afterLast + 1, end) !== 'number') return false
    return last - first + 1 === IPV4_BLOCK_SIZES[prefix.value]
  }

  #addAlone(first: number, bytes: Uint8Array, at: number, end: number): ItemOutcome {
    this.#sink.remark ??= remarkBehind(this.#scanner, bytes, at, end)
    const number = this.#sink.remark === undefined ? numberBehind(bytes, at, end) : undefined
    if (number !== undefined && number >= 8 && number < 32 && (first & (0xffffffff >>> number)) === 0) {
      this.#sink.remark = 'prefix-apart'
    }
    return this.#sink.addIpv4Address(first)
  }

  #addNetwork(
    address: number,
    prefixLength: number,
    bytes: Uint8Array,
    at: number,
    end: number,
  ): ItemOutcome {
    const outcome = this.#sink.addIpv4Network(address, prefixLength)
    if (outcome === 'accepted') this.#sink.remark ??= remarkBehind(this.#scanner, bytes, at, end)
    return outcome
  }
}
