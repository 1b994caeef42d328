import { parseIpv6Groups } from '../../ip/address.js'
import { ADDRESS_BITS, type Network } from '../../ip/cidr.js'
import {
  EMPTY_SET,
  IpRangeCollector,
  type IpRangeSet,
  isEmptySet,
  subtractSet,
  unionOf,
} from '../../ip/ip-range-set.js'
import type { SpfOutcome } from './spf-record.js'

/** Addresses that match or pass: those that certainly do, and those that may, by a term that depends on the client. */
export interface RangePair {
  sure: IpRangeSet
  possible: IpRangeSet
}

/**
 * The addresses that pass for one record. Its directives are added in order: the first that matches a client decides.
 */
export class GatheredRanges {
  #sure = EMPTY_SET
  #possible = EMPTY_SET
  /** Clients for which a directive has decided. */
  #decided = EMPTY_SET
  /** True once a directive that does not pass may match clients that cannot be listed. */
  #isDoubtful = false
  /** Consecutive networks with the same outcome: sets are joined once for all of them. */
  readonly #row = new IpRangeCollector()
  #rowPasses: boolean | undefined

  /** Adds a directive for one network. */
  addNetwork(network: Network | undefined, outcome: SpfOutcome): void {
    if (network === undefined) return
    const isPass = outcome === 'pass'
    if (this.#rowPasses !== isPass) this.#endRow()
    this.#rowPasses = isPass
    collectNetwork(this.#row, network)
  }

  /** Adds a directive that matches these clients. */
  add(matches: RangePair, outcome: SpfOutcome): void {
    this.#endRow()
    this.#join(matches, outcome === 'pass')
  }

  #join(matches: RangePair, isPass: boolean): void {
    if (isPass) {
      const fresh = subtractSet(matches.sure, this.#decided)
      const maybe = subtractSet(matches.possible, this.#decided)
      if (!this.#isDoubtful) this.#sure = unionOf([this.#sure, fresh])
      this.#possible = unionOf([this.#possible, maybe, this.#isDoubtful ? fresh : EMPTY_SET])
    } else if (!isEmptySet(matches.possible)) this.#isDoubtful = true
    this.#decided = unionOf([this.#decided, matches.sure])
  }

  /** Adds a directive that does not pass and whose matches depend on the client. */
  noteDoubt(): void {
    this.#endRow()
    this.#isDoubtful = true
  }

  /** The result; `possible` contains nothing that is certain. */
  result(): RangePair {
    this.#endRow()
    return { sure: this.#sure, possible: subtractSet(this.#possible, this.#sure) }
  }

  #endRow(): void {
    const isPass = this.#rowPasses
    this.#rowPasses = undefined
    if (isPass !== undefined) this.#join({ sure: this.#row.takeSet(), possible: EMPTY_SET }, isPass)
  }
}

/** Adds a network to a collector. */
export function collectNetwork(
  collector: IpRangeCollector,
  { family, bytes, address, prefixLength }: Network,
): void {
  if (family === 4) {
    const first = new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0)
    collector.ipv4.addRange(first, first + 2 ** (ADDRESS_BITS[4] - prefixLength) - 1)
    return
  }
  const groups = parseIpv6Groups(address)
  const words = Uint32Array.from(
    { length: 4 },
    (_, word) => groups[2 * word]! * 65536 + groups[2 * word + 1]!,
  )
  collector.addIpv6Prefix(words, 0, prefixLength)
}
