/** SPF of the senders of greylisted mail, through DNS; the ranges of passing domains are cached. */
import { isHostName } from '../../codec/dns/dns-name.js'
import { readRecipient } from '../../codec/smtp/recipient-address.js'
import type { SpfResult } from '../../codec/spf/check-host.js'
import { judgeSender } from '../../codec/spf/judge-sender.js'
import type { WireText } from '../../domain/entry.js'
import { RangeTable } from '../../ip/range-table.js'
import type { Clock } from '../../platform/clock.js'
import type { DnsClient } from '../../platform/dns-client.js'

/** Maximum time per sender. The next attempt is checked again. */
const CHECK_TIMEOUT_MS = 2_000
/** The same time as for DNS answers without a known time to live. */
const RANGES_TTL_MS = 300_000
/**
 * Maximum number of cached ranges of all domains, at most 32 bytes each, and the overhead per domain: 1 KiB.
 */
const MAX_RANGES = 100_000
const RANGES_OF_DOMAIN = 32

/** Of a `pass`: for which domain, and whether the record names the address itself. */
export type SpfOpinion =
  | { result: 'pass'; domain: string; isOfDomain: boolean }
  | { result: Exclude<SpfResult, 'pass'> | 'too-wide'; domain: string }

/** The sender of the mail; texts as received. */
export interface MailSender {
  clientIp: string
  helo: WireText
  from: WireText
}

/** Whose SPF is checked. */
export interface SpfDomains {
  has(domain: string): boolean
}

export class SpfChecker {
  readonly #dns: DnsClient
  readonly #clock: Clock
  readonly #ranges = new Map<string, KeptRanges>()
  #rangeCount = 0
  /** undefined: of all domains. */
  #domains: SpfDomains | undefined

  constructor({ dns, clock, domains }: { dns: DnsClient; clock: Clock; domains?: SpfDomains | undefined }) {
    this.#dns = dns
    this.#clock = clock
    this.#domains = domains
  }

  /** Takes the domains of a file that was read again. */
  replaceDomains(domains: SpfDomains | undefined): void {
    this.#domains = domains
  }

  /** True when the SPF of this mail is to be checked. */
  isWanted(sender: MailSender): boolean {
    const { domain } = identityOf(sender)
    return isHostName(domain) && (this.#domains?.has(domain) ?? true)
  }

  /** Never rejects: what takes too long, or fails, is `temperror`. */
  async check(sender: MailSender): Promise<SpfOpinion> {
    const { domain, localPart } = identityOf(sender)
    const { clientIp, helo } = sender
    const kept = this.#ranges.get(domain)
    if (kept !== undefined && kept.untilMs > this.#clock.monotonicMs() && kept.table.has(clientIp)) {
      return { result: 'pass', domain, isOfDomain: true }
    }
    const judgement = await this.#dns.run(
      judgeSender({ clientIp, domain, localPart, helo }),
      CHECK_TIMEOUT_MS,
    )
    if (judgement === undefined) return { result: 'temperror', domain }
    if (judgement.result !== 'pass') return { result: judgement.result, domain }
    const { sure, isOfDomain } = judgement
    if (isOfDomain) this.#keep(domain, new RangeTable(sure))
    return { result: 'pass', domain, isOfDomain }
  }

  #keep(domain: string, table: RangeTable): void {
    this.#forget(domain)
    const count = table.set.ipv4.length + table.set.ipv6.length + RANGES_OF_DOMAIN
    this.#ranges.set(domain, { table, count, untilMs: this.#clock.monotonicMs() + RANGES_TTL_MS })
    this.#rangeCount += count
    for (const oldest of this.#ranges.keys()) {
      if (this.#rangeCount <= MAX_RANGES) break
      this.#forget(oldest)
    }
  }

  #forget(domain: string): void {
    this.#rangeCount -= this.#ranges.get(domain)?.count ?? 0
    this.#ranges.delete(domain)
  }
}

interface KeptRanges {
  table: RangeTable
  /** Number of ranges, plus those that stand for the entry itself. */
  count: number
  untilMs: number
}

/** For the null sender, the host itself is checked. Source: RFC 7208 section 2.4. */
function identityOf({ from, helo }: MailSender): { domain: string; localPart: string } {
  const { local, domain } = readRecipient(from)
  if (domain !== '') return { domain, localPart: local }
  return { domain: local === '' ? helo.toLowerCase().replace(/\.$/, '') : '', localPart: '' }
}
