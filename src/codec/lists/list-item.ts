import type { IpRangeCollector } from '../../ip/ip-range-set.js'
import { AddressScanner, isDigit, isHexDigit } from './address-scanner.js'
import { Ipv4ItemReader } from './ipv4-item.js'
import { Ipv6ItemReader } from './ipv6-item.js'
import type { ItemOutcome, ItemSink } from './item-sink.js'
import { PrefixNumber } from './prefix-number.js'

const SLASH = 0x2f
const COLON = 0x3a
const LETTER_X = 0x78
/** Hexadecimal digits of an IPv4 address. */
const HEX_DIGITS = 8

/**
 * Reads an address, network or range at the start of the given bytes and adds it to a collector. Never accepts more
 * than the text says: what it ignores is reported in the remark. Grammar and reasons: docs/protocol/list-formats.md.
 */
export class ListItemReader {
  /** The remark about the last item. */
  readonly facts: ItemSink
  readonly #scanner = new AddressScanner()
  readonly #prefix = new PrefixNumber()
  readonly #ipv4: Ipv4ItemReader
  readonly #ipv6: Ipv6ItemReader

  constructor(facts: ItemSink) {
    this.facts = facts
    this.#ipv4 = new Ipv4ItemReader(facts)
    this.#ipv6 = new Ipv6ItemReader(facts)
  }

  /** Reads the item at `bytes[start]`, before `end`, into `collector`. */
  read(bytes: Uint8Array, start: number, end: number, collector: IpRangeCollector): ItemOutcome {
    const { facts } = this
    facts.begin(collector)
    if (start >= end) return 'unknown'
    if (!isDigit(bytes[start])) return this.#ipv6.read(bytes, start, end)
    const scanner = this.#scanner
    const at = scanner.scanIpv4(bytes, start, end)
    const { octets, ipv4, hadLeadingZeros } = scanner
    if (octets === 4) {
      const outcome = this.#ipv4.read(ipv4, bytes, at, end)
      if (outcome === 'accepted' && hadLeadingZeros) facts.remark ??= 'leading-zeros'
      return outcome
    }
    const next = at < end ? bytes[at]! : 0
    if (next === COLON || isHexDigit(next)) return this.#ipv6.read(bytes, start, end)
    if ((next | 0x20) === LETTER_X) return this.#readHexNetwork(bytes, start, end)
    return octets === 0 ? 'unknown' : this.#ipv4.readShort(ipv4, octets, bytes, at, end)
  }

  /** `0x0a000000/8`: hexadecimal digits from the left, as inet_net_pton(3) reads them for the original. */
  #readHexNetwork(bytes: Uint8Array, start: number, end: number): ItemOutcome {
    let at = start + 2
    let value = 0
    while (at < end && isHexDigit(bytes[at]) && at - start - 2 <= HEX_DIGITS) {
      value = value * 16 + Number.parseInt(String.fromCharCode(bytes[at]!), 16)
      at += 1
    }
    const digits = at - start - 2
    if (bytes[start] !== 0x30 || digits === 0 || digits > HEX_DIGITS || bytes[at] !== SLASH) return 'unknown'
    if (this.#prefix.read(bytes, at + 1, end) !== 'number') return 'unknown'
    return this.facts.addIpv4Network(value * 16 ** (HEX_DIGITS - digits), this.#prefix.value)
  }
}
