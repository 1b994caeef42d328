import { isMappedSpace } from '../../ip/ip-range-set.js'
import { compareWords, hasHostBits, WORDS_PER_ADDRESS } from '../../ip/ipv6-words.js'
import { AddressScanner, isDigit, isHexDigit } from './address-scanner.js'
import type { ItemOutcome, ItemSink } from './item-sink.js'
import { isItemEnd, SeparatorRun, skipBlanks, skipColumnMarks, wordToEnd } from './list-bytes.js'
import { canEndIpv4Pair, ipv6MaskBits, ipv6PrefixOfMask, isIpv6MaskNoEnd } from './netmask.js'
import { PrefixNumber, splitNumber } from './prefix-number.js'
import { looksLikeIpv6, numberBehind, remarkBehind } from './text-behind.js'

const SLASH = 0x2f

/**
 * From `fe00::` on there are link-local and multicast addresses, and netmasks: none is the end of a range that starts
 * lower.
 */
const LAST_RANGE_WORD = 0xfe000000

/** `::1`; only `::` is lower. */
const LOOPBACK = Uint32Array.of(0, 0, 0, 1)

/** Reads an IPv6 address and what follows it, as `Ipv4ItemReader` does. */
export class Ipv6ItemReader {
  readonly #sink: ItemSink
  readonly #scanner = new AddressScanner()
  readonly #other = new AddressScanner()
  readonly #separator = new SeparatorRun()
  readonly #prefix = new PrefixNumber()
  readonly #first = new Uint32Array(WORDS_PER_ADDRESS)
  #end: 'hex' | 'quad' = 'hex'

  constructor(sink: ItemSink) {
    this.#sink = sink
  }

  /** Reads the item at `start`. */
  read(bytes: Uint8Array, start: number, end: number): ItemOutcome {
    const at = this.#scanner.scanIpv6(bytes, start, end)
    if (at < 0) return 'unknown'
    this.#first.set(this.#scanner.ipv6)
    this.#end = this.#scanner.hadQuad ? 'quad' : 'hex'
    if (at < end && bytes[at] === SLASH) return this.#readSlash(bytes, at, end)
    this.#separator.read(bytes, at, end)
    if (this.#separator.hasDash) return this.#readDash(bytes, at, end)
    return this.#readNetmask(bytes, at, end) ?? this.#readPair(bytes, end) ?? this.#addAlone(bytes, at, end)
  }

  #readSlash(bytes: Uint8Array, slashAt: number, end: number): ItemOutcome {
    const at = slashAt + 1
    if (looksLikeIpv6(bytes, at, end)) {
      const maskEnd = this.#scanner.scanIpv6(bytes, at, end)
      const prefixLength = maskEnd < 0 ? -1 : ipv6MaskBits(this.#scanner.ipv6)
      if (prefixLength < 0 || !isItemEnd(bytes, maskEnd, end)) return 'unknown'
      return this.#addNetwork(prefixLength, bytes, maskEnd, end)
    }
    const prefix = this.#prefix
    switch (prefix.read(bytes, at, end)) {
      case 'number': {
        const isSplit = prefix.value > 0 && (splitNumber(prefix, bytes, end) ?? 129) <= 128
        if (!isSplit || !hasHostBits(this.#first, 0, prefix.value))
          return this.#addNetwork(prefix.value, bytes, prefix.end, end)
        this.#sink.remark = 'path'
        return this.#addAlone(bytes, slashAt, end)
      }
      case 'impossible':
        return 'unknown'
      case 'other':
        this.#sink.remark = 'path'
        return this.#addAlone(bytes, slashAt, end)
    }
  }

  #readDash(bytes: Uint8Array, at: number, end: number): ItemOutcome {
    const { next, hasBlank } = this.#separator
    if (next >= end) return this.#addAlone(bytes, next, end)
    const after = this.#scanner.scanIpv6(bytes, next, end)
    if (after < 0) {
      const isJoinedDigits = !hasBlank && isHexWord(bytes, next, end)
      if (isDigit(bytes[next]) || isJoinedDigits || looksLikeIpv6(bytes, next, end)) return 'unknown'
      if (!hasBlank) this.#sink.remark = 'joined'
      return this.#addAlone(bytes, at, end)
    }
    if (after < end && bytes[after] === SLASH) this.#sink.remark = 'path'
    else if (!isItemEnd(bytes, after, end)) return 'unknown'
    if (isIpv6MaskNoEnd(this.#scanner.ipv6)) return 'netmask'
    this.#sink.remark ??= remarkBehind(this.#other, bytes, after, end)
    return this.#sink.addIpv6Range(this.#first, this.#scanner.ipv6)
  }

  /** A netmask in the next column, whatever separates the columns; undefined if there is none. */
  #readNetmask(bytes: Uint8Array, at: number, end: number): ItemOutcome | undefined {
    const next = skipColumnMarks(bytes, at, end)
    if (next === at || !looksLikeIpv6(bytes, next, end)) return undefined
    const after = this.#scanner.scanIpv6(bytes, next, end)
    if (after < 0 || !isItemEnd(bytes, after, end)) return undefined
    const prefixLength = ipv6PrefixOfMask(this.#first, this.#scanner.ipv6)
    return prefixLength < 0 ? undefined : this.#addNetwork(prefixLength, bytes, after, end)
  }

  /** `A B` and `A to B` if that is the whole line; undefined for anything else. */
  #readPair(bytes: Uint8Array, end: number): ItemOutcome | undefined {
    const { hasBlank, hasTab, next } = this.#separator
    if (!hasBlank) return undefined
    const lastAt = wordToEnd(bytes, next, end)
    if (lastAt >= end || (hasTab && lastAt === next)) return undefined
    const after = this.#scanner.scanIpv6(bytes, lastAt, end)
    if (after < 0 && lastAt > next && isHexDigit(bytes[lastAt])) this.#sink.remark = 'second-address'
    if (after < 0 || skipBlanks(bytes, after, end) < end) return undefined
    const last = this.#scanner.ipv6
    if (compareWords(this.#first, 0, last, 0) > 0 || !canEndPair(this.#first, last)) return undefined
    return this.#sink.addIpv6Range(this.#first, last)
  }

  #addAlone(bytes: Uint8Array, at: number, end: number): ItemOutcome {
    this.#sink.remark ??= remarkBehind(this.#other, bytes, at, end)
    const number = this.#sink.remark === undefined ? numberBehind(bytes, at, end) : undefined
    if (number !== undefined && number >= 16 && number < 128 && !hasHostBits(this.#first, 0, number)) {
      this.#sink.remark = 'prefix-apart'
    }
    return this.#sink.addIpv6Network(this.#first, 128, this.#end)
  }

  #addNetwork(prefixLength: number, bytes: Uint8Array, at: number, end: number): ItemOutcome {
    const outcome = this.#sink.addIpv6Network(this.#first, prefixLength, this.#end)
    if (outcome === 'accepted') this.#sink.remark ??= remarkBehind(this.#other, bytes, at, end)
    return outcome
  }
}

/**
 * False if the second of two addresses is not the end of a range, but a netmask of any length or part of a line of a
 * hosts file.
 */
function canEndPair(first: Uint32Array, last: Uint32Array): boolean {
  if (isMappedSpace(first, 96)) return isMappedSpace(last, 96) && canEndIpv4Pair(first[3]!, last[3]!)
  if (compareWords(first, 0, LOOPBACK, 0) <= 0 || ipv6MaskBits(last, 1) > 0) return false
  return last[0]! < LAST_RANGE_WORD || first[0]! >= LAST_RANGE_WORD
}

/** True if only hexadecimal digits follow up to the end of the item: part of an address rather than a word. */
function isHexWord(bytes: Uint8Array, at: number, end: number): boolean {
  let next = at
  while (next < end && isHexDigit(bytes[next])) next += 1
  return next > at && isItemEnd(bytes, next, end)
}
