/** The networks of a domain, according to its SPF record and the records that it includes. */
import { collectRanges, isTooWide } from '../../codec/spf/collect-ranges.js'
import { MAX_ALLOW_NETWORKS } from '../../domain/allow.js'
import type { DnsClient } from '../../platform/dns-client.js'
import { networksOf } from './network-set.js'

/**
 * More than the ten terms that a check of one client may use: some senders need more, and nobody waits for an
 * answer here. Source of the ten: RFC 7208 section 4.6.4.
 */
const LIMITS = { lookupTerms: 60, voidTerms: 10 }
const WALK_MS = 20_000

/** `hasClientTerms`: further clients may pass by `exists`, `ptr` or a macro, which name no network. */
export type DomainNetworks =
  | { ok: true; networks: string[]; hasClientTerms: boolean }
  /** `isPassing`: the next attempt may succeed. The reason may quote a record: escape it. */
  | { ok: false; reason: string; isPassing: boolean }

/** Looks up the networks of a domain. Uncertain or too wide results are not accepted. */
export async function walkDomain(
  dns: Pick<DnsClient, 'run'>,
  domain: string,
  walkMs: number = WALK_MS,
): Promise<DomainNetworks> {
  const walked = await dns.run(collectRanges(domain, LIMITS), walkMs)
  if (walked === undefined) {
    return { ok: false, reason: `DNS took longer than ${walkMs / 1000} seconds`, isPassing: true }
  }
  if (!walked.ok) return { ok: false, reason: walked.reason, isPassing: walked.result === 'temperror' }
  const { ranges } = walked
  if (isTooWide(ranges)) {
    return refused('its SPF record is too wide: more than a /12 of IPv4 or a /28 of IPv6 passes for it')
  }
  const networks = networksOf(ranges.sure)
  if (networks.length === 0) {
    const why = ranges.hasClientTerms ? ', only has terms that depend on the client' : ''
    return refused(`its SPF record names no address${why}`)
  }
  if (networks.length > MAX_ALLOW_NETWORKS) {
    return refused(`its SPF record names ${networks.length} networks, more than ${MAX_ALLOW_NETWORKS}`)
  }
  return { ok: true, networks, hasClientTerms: ranges.hasClientTerms }
}

function refused(reason: string): DomainNetworks {
  return { ok: false, reason, isPassing: false }
}
