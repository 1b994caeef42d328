/** Which releases affect the subject of a query. Pure. */
import type { GreyEntry } from '../../domain/entry.js'
import { trapKeyOf } from '../../domain/recipient.js'
import { isInReleaseNetwork, meetsTerms, type Release } from '../../domain/release.js'
import type { WhySubject } from './report.js'

/** Releases that name a shown tuple, or the address or domain itself. `releases` are those in force. */
export function releasesFor(
  subject: WhySubject,
  tuples: readonly GreyEntry[],
  releases: readonly Release[],
): Release[] {
  return releases.filter(
    (release) => namesSubject(release, subject) || tuples.some((tuple) => namesTuple(release, tuple)),
  )
}

/** True when the next try of a tuple makes its address WHITE, as far as the tuple tells. */
export function namesTuple(release: Release, tuple: GreyEntry): boolean {
  const isThere = tuple.ip.includes('/') || isInReleaseNetwork(release, tuple.ip)
  return isThere && meetsTerms(release, { tuple, trapKey: trapKeyOf(tuple.to) })
}

function namesSubject({ from, to, network }: Release, subject: WhySubject): boolean {
  switch (subject.kind) {
    case 'address':
      return network !== undefined && isInReleaseNetwork({ network }, subject.ip)
    case 'email': {
      const domain = subject.address.slice(subject.address.lastIndexOf('@') + 1)
      return to === subject.address || from === subject.address || from === domain
    }
    case 'domain':
      return [from, to].some((text) => text !== undefined && text.replace(/^\.|.*@/, '') === subject.domain)
  }
}
