import { familyOf, ipv4ToNumber } from '../../ip/address.js'
import { ipToBytes } from '../../ip/cidr.js'
import { IpRangeCollector, type IpRangeSet } from '../../ip/ip-range-set.js'
import { WORDS_PER_ADDRESS } from '../../ip/ipv6-words.js'

/** Collects canonical addresses, a few bytes each, into a set. */
export class HostGatherer {
  readonly #collector = new IpRangeCollector()
  readonly #words = new Uint32Array(WORDS_PER_ADDRESS)
  count = 0

  add(ip: string): void {
    this.count += 1
    if (familyOf(ip) === 4) {
      this.#collector.ipv4.addAddress(ipv4ToNumber(ip))
      return
    }
    const bytes = ipToBytes(ip)
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    for (let word = 0; word < WORDS_PER_ADDRESS; word += 1) this.#words[word] = view.getUint32(word * 4)
    this.#collector.addIpv6Prefix(this.#words, 0, 128)
  }

  /** The collected addresses; the collector is empty afterwards. */
  takeSet(): IpRangeSet {
    this.count = 0
    return this.#collector.takeSet()
  }
}
