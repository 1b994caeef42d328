import { familyOf } from '../../ip/address.js'
import { networkText } from '../../ip/cidr.js'
import type { Clock } from '../../platform/clock.js'

/** How much may be checked: this many at once, refilled at this rate per second. */
export interface Allowance {
  burst: number
  perSec: number
}

/** Clients that share a budget: what one customer, or one IPv6 host, has available. */
const CLIENT_PREFIX = { 4: 24, 6: 64 } as const
/** Maximum number of networks tracked; those idle longest are dropped, with a full budget. */
const MAX_CLIENTS = 20_000

interface Bucket {
  left: number
  sinceMs: number
}

/** Limits DNS queries on behalf of clients, which otherwise could cause any amount of work. */
export class CheckBudget {
  readonly #clock: Clock
  readonly #overall: Allowance
  readonly #perClient: Allowance
  readonly #all: Bucket
  readonly #clients = new Map<string, Bucket>()

  constructor(clock: Clock, allowances: { overall: Allowance; perClient: Allowance }) {
    this.#clock = clock
    this.#overall = allowances.overall
    this.#perClient = allowances.perClient
    this.#all = { left: this.#overall.burst, sinceMs: clock.monotonicMs() }
  }

  /**
   * Uses one check of the budget of the client's network and of the total; false, and nothing used, when
   * either is exhausted.
   */
  take(clientIp: string): boolean {
    const nowMs = this.#clock.monotonicMs()
    refill(this.#all, this.#overall, nowMs)
    // In a flood this is all that has to be done.
    if (this.#all.left < 1) return false
    const name = networkText(clientIp, CLIENT_PREFIX[familyOf(clientIp)])
    const client = this.#clients.get(name) ?? { left: this.#perClient.burst, sinceMs: nowMs }
    this.#clients.delete(name)
    this.#clients.set(name, client)
    if (this.#clients.size > MAX_CLIENTS) this.#clients.delete(this.#clients.keys().next().value!)
    refill(client, this.#perClient, nowMs)
    if (client.left < 1) return false
    client.left -= 1
    this.#all.left -= 1
    return true
  }
}

function refill(bucket: Bucket, { burst, perSec }: Allowance, nowMs: number): void {
  bucket.left = Math.min(burst, bucket.left + ((nowMs - bucket.sinceMs) * perSec) / 1000)
  bucket.sinceMs = nowMs
}
