import { networkInterfaces } from 'node:os'
import { canonicalIp } from '../ip/address.js'
import type { Clock } from './clock.js'

/** Addresses change with DHCP; asking the system takes about 0.1 ms. */
const REFRESH_MS = 10_000

/** The addresses of this host, read again at most every 10 seconds, and only for an unknown address. */
export class OwnAddressSet {
  readonly #clock: Pick<Clock, 'monotonicMs'>
  readonly #read: () => string[]
  #addresses: ReadonlySet<string> = new Set()
  #readAtMs = Number.NEGATIVE_INFINITY

  /** `read`: the addresses of the interfaces, as the system writes them. */
  constructor(clock: Pick<Clock, 'monotonicMs'>, read: () => string[] = interfaceAddresses) {
    this.#clock = clock
    this.#read = read
  }

  /** True for a canonical address of one of the interfaces. */
  has(address: string): boolean {
    if (this.#addresses.has(address)) return true
    const nowMs = this.#clock.monotonicMs()
    if (nowMs - this.#readAtMs < REFRESH_MS) return false
    this.#readAtMs = nowMs
    this.#addresses = new Set(
      this.#read().map((text) => {
        const bare = text.replace(/%.*$/, '')
        return canonicalIp(bare) ?? bare
      }),
    )
    return this.#addresses.has(address)
  }
}

function interfaceAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((entries) =>
    (entries ?? []).map(({ address }) => address),
  )
}
