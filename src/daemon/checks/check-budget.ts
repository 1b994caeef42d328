import { familyOf } from '../../ip/address.js'
import { formatCidr, networkOf } from '../../ip/cidr.js'
import type { Clock } from '../../platform/clock.js'

/** How much may be checked: so many at once, refilled at so many a second. */
export interface Allowance {
  burst: number
  perSec: number
}

/** Clients that share a budget: what one customer, or one host with IPv6, has at hand. */
const CLIENT_PREFIX = { 4: 24, 6: 64 } as const
/** Networks that are remembered; those that have not asked for longest are forgotten, with a full budget. */
const MAX_CLIENTS = 20_000

interface Bucket {
  left: number
  sinceMs: number
}

/** Says whether DNS may be asked on behalf of a client: strangers decide how much work there would be. */
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

  /** Takes one check of the client's network and of all; false, and nothing taken, when either has none left. */
  take(clientIp: string): boolean {
    const nowMs = this.#clock.monotonicMs()
    const name = formatCidr(networkOf(clientIp, CLIENT_PREFIX[familyOf(clientIp)]))
    const client = this.#clients.get(name) ?? { left: this.#perClient.burst, sinceMs: nowMs }
    this.#clients.delete(name)
    this.#clients.set(name, client)
    if (this.#clients.size > MAX_CLIENTS) this.#clients.delete(this.#clients.keys().next().value!)
    refill(client, this.#perClient, nowMs)
    refill(this.#all, this.#overall, nowMs)
    if (client.left < 1 || this.#all.left < 1) return false
    client.left -= 1
    this.#all.left -= 1
    return true
  }
}

function refill(bucket: Bucket, { burst, perSec }: Allowance, nowMs: number): void {
  bucket.left = Math.min(burst, bucket.left + ((nowMs - bucket.sinceMs) * perSec) / 1000)
  bucket.sinceMs = nowMs
}
