/** What DNS says about senders that are losing mail: whose servers they are, according to SPF and host names. */
import { clientNames } from '../../codec/dns/client-names.js'
import type { Clock } from '../../platform/clock.js'
import type { DnsClient } from '../../platform/dns-client.js'
import { allowWordOf } from '../allow/allow-name.js'
import { holdsAddress, setOfNetworks } from '../allow/network-set.js'
import { walkDomain } from '../allow/walk-domain.js'
import type { LosingSender } from './losing-senders.js'

/** Maximum time for all queries; the rest is reported as unanswered. */
export const IDENTIFY_MS = 5000
/** Number of senders looked up, those with the most tries, and how many at a time. */
const MAX_SENDERS = 50
const SENDERS_AT_A_TIME = 8
/** Maximum number of addresses of one sender whose names are looked up. */
const MAX_NAMED = 16

/** What the SPF record of a sender's domain says. */
export type SpfFinding =
  /** The record lists networks that contain this many of the addresses. */
  | { state: 'usable'; passing: number }
  /** No record, an invalid one, or one that lists too much or nothing. The reason may quote it: escape it. */
  | { state: 'unusable'; reason: string }
  /** DNS did not answer. */
  | { state: 'unanswered' }

export interface SenderIdentity {
  /** Undefined if the sender has no domain that can be looked up. */
  spf: SpfFinding | undefined
  names: {
    /** Addresses that were looked up, and those of them without an answer. */
    asked: number
    unanswered: number
    /** Addresses with a name that resolves back to them; those that use it in HELO. */
    named: number
    greeting: number
    /** One such name, in lower case: untrusted text. */
    example: string | undefined
  }
}

export interface IdentifyParts {
  dns: Pick<DnsClient, 'run'>
  clock: Pick<Clock, 'monotonicMs'>
  /** Milliseconds for everything. */
  timeoutMs: number
}

/** Looks up the first senders; undefined for those that were not reached in time. */
export async function identifySenders(
  senders: readonly LosingSender[],
  { dns, clock, timeoutMs }: IdentifyParts,
): Promise<(SenderIdentity | undefined)[]> {
  const endMs = clock.monotonicMs() + timeoutMs
  const identities: (SenderIdentity | undefined)[] = []
  for (let at = 0; at < Math.min(senders.length, MAX_SENDERS); at += SENDERS_AT_A_TIME) {
    const leftMs = Math.ceil(endMs - clock.monotonicMs())
    if (leftMs <= 0) break
    const few = senders.slice(at, Math.min(at + SENDERS_AT_A_TIME, MAX_SENDERS))
    identities.push(...(await Promise.all(few.map((sender) => identify(sender, dns, leftMs)))))
  }
  return identities
}

async function identify(
  sender: LosingSender,
  dns: Pick<DnsClient, 'run'>,
  leftMs: number,
): Promise<SenderIdentity> {
  const [spf, names] = await Promise.all([findSpf(sender, dns, leftMs), findNames(sender, dns, leftMs)])
  return { spf, names }
}

async function findSpf(
  { domain, clients }: LosingSender,
  dns: Pick<DnsClient, 'run'>,
  leftMs: number,
): Promise<SpfFinding | undefined> {
  const name = allowWordOf(domain)
  if (name === undefined) return undefined
  const found = await walkDomain(dns, name, leftMs)
  if (!found.ok)
    return found.isPassing ? { state: 'unanswered' } : { state: 'unusable', reason: found.reason }
  const set = setOfNetworks(found.networks)
  return { state: 'usable', passing: clients.filter(({ ip }) => holdsAddress(set, ip)).length }
}

async function findNames(
  { clients }: LosingSender,
  dns: Pick<DnsClient, 'run'>,
  leftMs: number,
): Promise<SenderIdentity['names']> {
  const asked = clients.slice(0, MAX_NAMED)
  const answers = await Promise.all(asked.map(({ ip }) => dns.run(clientNames(ip), leftMs)))
  const named = answers.filter((answer) => answer !== undefined && answer.names.length > 0)
  const greeting = answers.filter((answer, index) =>
    answer?.names.includes(asked[index]!.helo.toLowerCase().replace(/\.$/, '')),
  )
  return {
    asked: asked.length,
    unanswered: answers.filter((answer) => answer === undefined || answer.status === 'failed').length,
    named: named.length,
    greeting: greeting.length,
    example: named[0]?.names[0],
  }
}
