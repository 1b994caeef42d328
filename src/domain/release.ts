/**
 * Releases: mail that an administrator lets pass when it is retried, named by recipient, sender or both. A
 * matching attempt is answered like any other, and makes its address WHITE, so that the next try passes.
 */
import { familyOf } from '../ip/address.js'
import { isInNetwork, networkText, parseCidr } from '../ip/cidr.js'
import type { Tuple, WireText } from './entry.js'
import { WIDEST_OPENED } from './pool-key.js'
import { trapKeyOf } from './recipient.js'
import type { Stamp } from './stamp.js'

/**
 * What becomes WHITE: the address of the attempt, or its /24 or /64. Stored by position: append, never
 * reorder.
 */
export const RELEASE_SCOPES = ['address', 'pool'] as const
export type ReleaseScope = (typeof RELEASE_SCOPES)[number]

/** Terms that mail must match, all of those given; at least a sender or a recipient. */
export interface ReleaseTerms {
  /** `user@example.org`, the domain `example.org` alone, `.example.org` with its subdomains, or '' for `<>`. */
  from?: WireText | undefined
  /** Whole address, as returned by `trapKeyOf`. */
  to?: WireText | undefined
  /** CIDR text of the network in which the client must be. */
  network?: string | undefined
}

/** One release. Times are seconds since the Epoch. */
export interface Release extends ReleaseTerms {
  kind: 'RELEASE'
  id: string
  scope: ReleaseScope
  first: number
  /** End of the release; for a cancelled one, the time it was cancelled. */
  expire: number
  /** Attempts that made an address or a network WHITE. */
  used: number
  author?: string | undefined
}

/** What is on record under the name of a release. */
export interface HeldRelease {
  readonly entry: Release | undefined
  /** Last change. */
  readonly stamp: Stamp | undefined
}

/** What is on record under an unused name. */
export const NO_RELEASE: HeldRelease = Object.freeze({ entry: undefined, stamp: undefined })

/** Maximum number in force at a time: each attempt is compared with all of them. */
export const MAX_RELEASES = 200
/**
 * Maximum number of addresses or networks that one release makes WHITE.
 * @internal The tests go to the limit and beyond it.
 */
export const MAX_RELEASE_USES = 256
/** How long an ended release is kept, to be shown and to inform other gateways. */
export const KEEP_RELEASE_SEC = 7 * 86_400
/** The longest lifetime; for longer, use an exception. */
export const MAX_RELEASE_SEC = 7 * 86_400

/** True while a release is in force. */
export function isInForce({ first, expire, used }: Release, now: number): boolean {
  return first <= now && now < expire && used < MAX_RELEASE_USES
}

/** The parts of an attempt that releases are compared with. */
export interface ReleasableMail {
  tuple: Pick<Tuple, 'from' | 'to'>
  /** The recipient as a mail server would read it. */
  trapKey: WireText
}

/** True when mail matches the terms, except for the network, which the caller tests. */
export function meetsTerms(terms: ReleaseTerms, mail: ReleasableMail): boolean {
  return isMeant(terms, keysOf(mail))
}

/** The texts of a mail that terms are compared with. */
interface MailKeys {
  from: WireText
  to: readonly [WireText, WireText]
}

function keysOf({ tuple, trapKey }: ReleasableMail): MailKeys {
  return { from: trapKeyOf(tuple.from), to: [trapKey, trapKeyOf(tuple.to)] }
}

function isMeant({ from, to }: ReleaseTerms, keys: MailKeys): boolean {
  if (from === undefined && to === undefined) return false
  if (to !== undefined && !keys.to.includes(to)) return false
  return from === undefined || isSender(from, keys.from)
}

/** True when the terms name no network, or one that contains the canonical address. */
export function isInReleaseNetwork({ network }: Pick<ReleaseTerms, 'network'>, ip: string): boolean {
  if (network === undefined) return true
  const parsed = parseCidr(network)
  return parsed !== undefined && isInNetwork(ip, parsed)
}

/** The first release in force that matches the mail of an attempt. */
export function findRelease(
  draft: { readonly now: number; releases(): Iterable<Release> },
  attempt: ReleasableMail & { clientIp: string },
): Release | undefined {
  let keys: MailKeys | undefined
  for (const release of draft.releases()) {
    if (!isInForce(release, draft.now)) continue
    keys ??= keysOf(attempt)
    if (!isMeant(release, keys)) continue
    if (isInReleaseNetwork(release, attempt.clientIp)) return release
  }
  return undefined
}

/** The /24 or /64 of a released client, no wider than the terms. */
export function releasedNetwork({ network }: Pick<ReleaseTerms, 'network'>, ip: string): string {
  const own = network === undefined ? 0 : (parseCidr(network)?.prefixLength ?? 0)
  return networkText(ip, Math.max(own, WIDEST_OPENED[familyOf(ip)]))
}

function isSender(wanted: WireText, sender: WireText): boolean {
  if (wanted === '' || wanted.includes('@')) return wanted === sender
  const at = sender.lastIndexOf('@')
  if (at < 0) return false
  const domain = sender.slice(at + 1).replace(/\.$/, '')
  return wanted.startsWith('.') ? domain === wanted.slice(1) || domain.endsWith(wanted) : domain === wanted
}
