/**
 * Limits what one machine behind the gateway can whitelist by outbound connections: every local user can send
 * SYNs to thousands of addresses in seconds, none of which has to answer.
 */
import type { Clock } from '../../platform/clock.js'

const MINUTE_MS = 60_000
/** Sources counted one by one; those beyond it share one count, so that forged ones gain nothing. */
const MAX_SOURCES = 4_096
const ALL_OTHERS = ''

export class OutboundLimit {
  readonly #perMinute: number
  readonly #clock: Clock
  #sinceMs: number
  #seen = new Map<string, Set<string>>()

  /** `perMinute`: different addresses that one source may whitelist in a minute; Infinity for no limit. */
  constructor(perMinute: number, clock: Clock) {
    this.#perMinute = perMinute
    this.#clock = clock
    this.#sinceMs = clock.monotonicMs()
  }

  /** False when the source has reached its number of addresses; one that it has named before still counts. */
  accepts(source: string, ip: string): boolean {
    if (this.#perMinute === Infinity) return true
    const nowMs = this.#clock.monotonicMs()
    if (nowMs - this.#sinceMs >= MINUTE_MS) {
      this.#seen = new Map()
      this.#sinceMs = nowMs
    }
    const name = this.#seen.has(source) || this.#seen.size < MAX_SOURCES ? source : ALL_OTHERS
    let addresses = this.#seen.get(name)
    if (addresses === undefined) {
      addresses = new Set()
      this.#seen.set(name, addresses)
    }
    if (addresses.has(ip)) return true
    if (addresses.size >= this.#perMinute) return false
    addresses.add(ip)
    return true
  }
}
