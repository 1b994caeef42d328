/** Network prefixes as received on a config line, in typed arrays: a list may hold a million of them. */
import { isIPv6 } from 'node:net'
import { type IpFamily, ipv4ToNumber, parseIpv6Groups } from '../../ip/address.js'

/** Prefixes of one family in the order of the line, duplicates and overlaps included, host bits as sent. */
export interface PrefixColumns {
  readonly family: IpFamily
  readonly count: number
  /** 32-bit words in host order, most significant first: one per prefix for IPv4, four for IPv6. */
  readonly words: Uint32Array
  /** 1 to 32, or 1 to 128. */
  readonly prefixLengths: Uint8Array
}

/** Maximum length of an IPv6 address as text (INET6_ADDRSTRLEN without its NUL). */
const ADDRESS_TEXT = /^([^/]{1,45})\/[ \t\n\v\f\r]*\+?([0-9]{1,10})/

/** `::ffff:0:0/96` contains the IPv4-mapped addresses, which stand for IPv4. */
const MAPPED_PREFIX_LENGTH = 96

const SLASH = 0x2f
const COLON = 0x3a
const SEMICOLON = 0x3b

/** Bytes of the longest plain item with its separator: with fewer bytes left, an item may be incomplete. */
const LONGEST_PLAIN_ITEM = { 4: '255.255.255.255/32;'.length, 6: 40 + '/128;'.length } as const

/** Collects the prefixes of one family; the arrays double as they fill. */
export class PrefixCollector {
  readonly family: IpFamily
  readonly #wordsEach: number
  #count = 0
  #words: Uint32Array
  #prefixLengths: Uint8Array
  readonly #groups = new Uint16Array(8)

  constructor(family: IpFamily) {
    this.family = family
    this.#wordsEach = family === 4 ? 1 : 4
    this.#words = new Uint32Array(16 * this.#wordsEach)
    this.#prefixLengths = new Uint8Array(16)
  }

  get count(): number {
    return this.#count
  }

  /** The collected prefixes, not copied; the collector must not be used afterwards. */
  columns(): PrefixColumns {
    return {
      family: this.family,
      count: this.#count,
      words: this.#words.subarray(0, this.#count * this.#wordsEach),
      prefixLengths: this.#prefixLengths.subarray(0, this.#count),
    }
  }

  /**
   * Reads up to `most` items in plain notation from `bytes[start]` on, each ended by `;`, which is consumed. Stops
   * before the first item that is written differently, may be cut off by the end of the bytes, or ends the line.
   * Returns where it stopped and how many it read.
   */
  takePlainItems(bytes: Uint8Array, start: number, most: number): { next: number; taken: number } {
    const lastStart = bytes.length - LONGEST_PLAIN_ITEM[this.family]
    let next = start
    let taken = 0
    while (taken < most && next <= lastStart) {
      const end = this.family === 4 ? this.#takeIpv4(bytes, next) : this.#takeIpv6(bytes, next)
      if (end < 0) break
      next = end
      taken += 1
    }
    return { next, taken }
  }

  /** Reads one item in any spelling that spamd accepts: blanks or `+` before the length, anything after it. */
  takeItem(item: string): boolean {
    const [, address = '', lengthText = ''] = ADDRESS_TEXT.exec(item) ?? []
    const prefixLength = Number(lengthText)
    if (prefixLength < 1 || prefixLength > (this.family === 4 ? 32 : 128)) return false
    if (this.family === 4) {
      if (!isDottedQuad(address)) return false
      this.#room()
      this.#words[this.#count] = ipv4ToNumber(address)
    } else {
      if (!isIPv6(address) || address.includes('%')) return false
      this.#groups.set(parseIpv6Groups(address))
      if (this.#holdsAllOfIpv4(prefixLength)) return false
      this.#room()
      this.#storeGroups()
    }
    this.#prefixLengths[this.#count] = prefixLength
    this.#count += 1
    return true
  }

  #takeIpv4(bytes: Uint8Array, start: number): number {
    let at = start
    let value = 0
    for (let octetIndex = 0; octetIndex < 4; octetIndex += 1) {
      const first = bytes[at]! - 0x30
      if (first < 0 || first > 9) return -1
      let octet = first
      at += 1
      for (let digits = 1; digits < 3; digits += 1) {
        const digit = bytes[at]! - 0x30
        if (digit < 0 || digit > 9) break
        if (octet === 0) return -1
        octet = octet * 10 + digit
        at += 1
      }
      if (octet > 255 || bytes[at] !== (octetIndex === 3 ? SLASH : 0x2e)) return -1
      at += 1
      value = value * 256 + octet
    }
    return this.#takeLength(bytes, at, 32, () => {
      this.#words[this.#count] = value
    })
  }

  // eslint-disable-next-line complexity -- one loop over a byte grammar, run for each of millions of items
  #takeIpv6(bytes: Uint8Array, start: number): number {
    const groups = this.#groups
    let at = start
    let filled = 0
    let gapAt = -1
    if (bytes[at] === COLON) {
      if (bytes[at + 1] !== COLON) return -1
      gapAt = 0
      at += 2
    }
    while (bytes[at] !== SLASH) {
      let group = 0
      let digits = 0
      for (let digit = hexDigit(bytes[at]!); digit >= 0; digit = hexDigit(bytes[at]!)) {
        if (digits === 4) return -1
        group = group * 16 + digit
        digits += 1
        at += 1
      }
      if (digits === 0 || filled === 8) return -1
      groups[filled] = group
      filled += 1
      if (bytes[at] === SLASH) break
      if (bytes[at] !== COLON) return -1
      at += 1
      if (bytes[at] === COLON) {
        if (gapAt >= 0) return -1
        gapAt = filled
        at += 1
      } else if (bytes[at] === SLASH) return -1
    }
    if (gapAt < 0 ? filled !== 8 : filled === 8) return -1
    if (gapAt >= 0) {
      groups.copyWithin(gapAt + 8 - filled, gapAt, filled)
      groups.fill(0, gapAt, gapAt + 8 - filled)
    }
    const before = this.#count
    const next = this.#takeLength(bytes, at + 1, 128, () => this.#storeGroups())
    if (next < 0 || !this.#holdsAllOfIpv4(this.#prefixLengths[before]!)) return next
    this.#count = before
    return -1
  }

  #takeLength(bytes: Uint8Array, start: number, maxLength: number, store: () => void): number {
    let at = start
    let prefixLength = 0
    while (at < start + 3) {
      const digit = bytes[at]! - 0x30
      if (digit < 0 || digit > 9) break
      prefixLength = prefixLength * 10 + digit
      at += 1
    }
    if (bytes[at] !== SEMICOLON || prefixLength < 1 || prefixLength > maxLength) return -1
    this.#room()
    store()
    this.#prefixLengths[this.#count] = prefixLength
    this.#count += 1
    return at + 1
  }

  /** The network of all IPv4-mapped addresses: it would list every IPv4 address, like a prefix length of 0. */
  #holdsAllOfIpv4(prefixLength: number): boolean {
    return (
      prefixLength === MAPPED_PREFIX_LENGTH &&
      this.#groups.every((group, index) => index > 5 || group === (index === 5 ? 0xffff : 0))
    )
  }

  #storeGroups(): void {
    const base = this.#count * 4
    for (let word = 0; word < 4; word += 1) {
      this.#words[base + word] = this.#groups[word * 2]! * 65536 + this.#groups[word * 2 + 1]!
    }
  }

  #room(): void {
    if (this.#count < this.#prefixLengths.length) return
    const capacity = this.#prefixLengths.length * 2
    const words = new Uint32Array(capacity * this.#wordsEach)
    words.set(this.#words)
    this.#words = words
    const prefixLengths = new Uint8Array(capacity)
    prefixLengths.set(this.#prefixLengths)
    this.#prefixLengths = prefixLengths
  }
}

/** As OpenBSD's inet_pton(3) reads them: four decimal numbers up to 255; leading zeros are allowed and ignored. */
function isDottedQuad(text: string): boolean {
  return /^[0-9]+(\.[0-9]+){3}$/.test(text) && text.split('.').every((octet) => Number(octet) <= 255)
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30
  const lower = byte | 0x20
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1
}
