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

/** Addresses that match or pass: those that surely do, and others that may, as a term says that hangs on the client. */
export interface RangePair {
  sure: IpRangeSet
  possible: IpRangeSet
}

/** What passes for one record, as its directives come in order: the first that matches a client decides. */
export class GatheredRanges {
  #sure = EMPTY_SET
  #possible = EMPTY_SET
  /** Clients decided by a directive. */
  #decided = EMPTY_SET
  /** A directive that does not pass may match clients that nobody can name. */
  #isDoubtful = false
  /** Networks in a row with one outcome: sets are joined once for all of them. */
  readonly #row = new IpRangeCollector()
  #rowPasses: boolean | undefined

  /** A directive of one network. */
  addNetwork(network: Network | undefined, isPass: boolean): void {
    if (network === undefined) return
    if (this.#rowPasses !== isPass) this.#endRow()
    this.#rowPasses = isPass
    collectNetwork(this.#row, network)
  }

  /** A directive that matches these clients. */
  add(matches: RangePair, isPass: boolean): void {
    this.#endRow()
    if (isPass) {
      const fresh = subtractSet(matches.sure, this.#decided)
      const maybe = subtractSet(matches.possible, this.#decided)
      if (!this.#isDoubtful) this.#sure = unionOf([this.#sure, fresh])
      this.#possible = unionOf([this.#possible, maybe, this.#isDoubtful ? fresh : EMPTY_SET])
    } else if (!isEmptySet(matches.possible)) this.#isDoubtful = true
    this.#decided = unionOf([this.#decided, matches.sure])
  }

  /** A directive that does not pass, and matches clients by who they are. */
  noteDoubt(): void {
    this.#endRow()
    this.#isDoubtful = true
  }

  /** All that was gathered; `possible` holds nothing that is sure. */
  result(): RangePair {
    this.#endRow()
    return { sure: this.#sure, possible: subtractSet(this.#possible, this.#sure) }
  }

  #endRow(): void {
    const isPass = this.#rowPasses
    this.#rowPasses = undefined
    if (isPass !== undefined) this.add({ sure: this.#row.takeSet(), possible: EMPTY_SET }, isPass)
  }
}

/** Puts a network into a collector. */
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
