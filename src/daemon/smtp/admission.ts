/**
 * Who gets one of the `-c` connections: one address (one /64 with IPv6) and one network have a share each, so
 * that no client takes them all. Refused clients are counted and logged, and so is crowding.
 */
import { familyOf } from '../../ip/address.js'
import { isInNetwork, type Network, networkText, parseCidr } from '../../ip/cidr.js'
import type { Clock } from '../../platform/clock.js'
import type { Logger } from '../../platform/log.js'
import { RateLimitedLog } from '../rate-limited-log.js'
import type { SmtpCounters } from './connection-parts.js'

/** Slots left when the daemon counts as crowded. Source: spamd.c (clients + 5 < maxcon). */
const CROWDED_MARGIN = 5
/** Crowding ends when at most this fraction of the slots is in use, with hysteresis for the log. */
const RELAXED_SHARE = 0.9
/** Default of --max-per-ip: a sixteenth of -c, but ten at least; mail servers open up to 20 at a time. */
const DEFAULT_SHARE = 16
const SMALLEST_DEFAULT = 10
/** A network may hold half of the connections: a customer's /24 has addresses enough for all of them. */
const NETWORK_SHARE = 2
/** Addresses of one IPv6 host or customer. */
const HOST_PREFIX6 = 64
const NETWORK_PREFIX4 = 24
const LOOPBACK = ['127.0.0.0/8', '::1/128'].map((text) => parseCidr(text)!)

export interface AdmissionOptions {
  maxConnections: number
  /** --max-per-ip; undefined: the default, which leaves loopback out. */
  maxPerIp: number | undefined
  /** Load balancers connect for many clients: their own addresses are not limited. */
  proxyPeers: readonly Network[]
  counters: SmtpCounters
  clock: Clock
  logger: Logger
}

export class Admission {
  readonly #options: AdmissionOptions
  readonly #maxPerIp: number
  readonly #maxPerNetwork: number
  readonly #exempt: readonly Network[]
  readonly #limited: RateLimitedLog
  readonly #countByHost = new Map<string, number>()
  readonly #countByNetwork = new Map<string, number>()
  #openCount = 0
  #crowdedSinceMs: number | undefined
  #turnedAwayCount = 0

  constructor(options: AdmissionOptions) {
    const { maxConnections, maxPerIp, proxyPeers } = options
    this.#options = options
    this.#maxPerIp = maxPerIp ?? Math.max(SMALLEST_DEFAULT, Math.ceil(maxConnections / DEFAULT_SHARE))
    this.#maxPerNetwork = Math.ceil(maxConnections / NETWORK_SHARE)
    this.#exempt = maxPerIp === undefined ? [...proxyPeers, ...LOOPBACK] : proxyPeers
    this.#limited = new RateLimitedLog(options.logger, options.clock)
  }

  /** Clients that have a slot. */
  get openCount(): number {
    return this.#openCount
  }

  /** True if too few slots are free to stutter replies. */
  isCrowded(): boolean {
    return this.#openCount + CROWDED_MARGIN >= this.#options.maxConnections
  }

  /** True when all slots are taken, `otherCount` of them by connections that are no clients yet; says so. */
  isFull(clientIp: string | undefined, otherCount: number): boolean {
    const { maxConnections, counters } = this.#options
    if (this.#openCount + otherCount < maxConnections) return false
    counters.refusedFull += 1
    this.#turnAway('full', clientIp, `all ${maxConnections} connections are in use`)
    return true
  }

  /** Gives the client a slot, or returns why not. */
  enter(clientIp: string): boolean {
    const { counters } = this.#options
    if (!this.#isExempt(clientIp)) {
      const { host, network } = keysOf(clientIp)
      const ofHost = this.#countByHost.get(host) ?? 0
      const ofNetwork = this.#countByNetwork.get(network) ?? 0
      if (ofHost >= this.#maxPerIp) {
        counters.refusedPerIp += 1
        const who = host === clientIp ? 'it' : host
        this.#turnAway('per-ip', clientIp, `${who} already has ${this.#maxPerIp}`)
        return false
      }
      if (ofNetwork >= this.#maxPerNetwork) {
        counters.refusedPerNetwork += 1
        this.#turnAway('per-network', clientIp, `${network} already has ${this.#maxPerNetwork}`)
        return false
      }
      this.#countByHost.set(host, ofHost + 1)
      this.#countByNetwork.set(network, ofNetwork + 1)
    }
    this.#openCount += 1
    if (this.#crowdedSinceMs === undefined && this.isCrowded()) this.#beginCrowding()
    return true
  }

  /** Takes back the slot of a client that was let in. */
  leave(clientIp: string): void {
    this.#openCount -= 1
    if (!this.#isExempt(clientIp)) {
      const { host, network } = keysOf(clientIp)
      decrease(this.#countByHost, host)
      decrease(this.#countByNetwork, network)
    }
    const isRelaxed = this.#openCount <= this.#options.maxConnections * RELAXED_SHARE && !this.isCrowded()
    if (this.#crowdedSinceMs !== undefined && isRelaxed) this.#endCrowding(this.#crowdedSinceMs)
  }

  #isExempt(clientIp: string): boolean {
    return this.#exempt.some((network) => isInNetwork(clientIp, network))
  }

  #turnAway(kind: string, clientIp: string | undefined, why: string): void {
    this.#turnedAwayCount += 1
    this.#limited.log(kind, 'notice', `${clientIp ?? 'unknown'}: refused: ${why}`)
  }

  #beginCrowding(): void {
    const { clock, logger, maxConnections } = this.#options
    this.#crowdedSinceMs = clock.monotonicMs()
    this.#turnedAwayCount = 0
    logger.log('warning', `crowded: ${this.#openCount} of ${maxConnections} connections are in use`, {
      event: 'crowded',
      open: this.#openCount,
      max: maxConnections,
    })
  }

  #endCrowding(sinceMs: number): void {
    const { clock, logger, maxConnections } = this.#options
    const durationSec = Math.round((clock.monotonicMs() - sinceMs) / 1000)
    this.#crowdedSinceMs = undefined
    logger.log(
      'notice',
      `no longer crowded after ${durationSec} seconds: ${this.#openCount} of ${maxConnections} connections are in use, ${this.#turnedAwayCount} clients were refused`,
      { event: 'uncrowded', durationSec, turnedAway: this.#turnedAwayCount },
    )
  }
}

/** What an address counts for: itself or its /64, and its network. */
function keysOf(clientIp: string): { host: string; network: string } {
  if (familyOf(clientIp) === 4) {
    return { host: clientIp, network: networkText(clientIp, NETWORK_PREFIX4) }
  }
  const network = networkText(clientIp, HOST_PREFIX6)
  return { host: network, network }
}

function decrease(counts: Map<string, number>, key: string): void {
  const count = counts.get(key) ?? 0
  if (count > 1) counts.set(key, count - 1)
  else counts.delete(key)
}
