/** Making, listing and cancelling releases of waiting mail. */
import { randomBytes } from 'node:crypto'
import type { Store } from '../../db/store.js'
import { trapKeyOf } from '../../domain/recipient.js'
import {
  isInForce,
  isInReleaseNetwork,
  MAX_RELEASES,
  meetsTerms,
  type Release,
  type ReleaseScope,
  type ReleaseTerms,
} from '../../domain/release.js'
import { AppError } from '../../platform/app-error.js'

/** Letters that nobody mixes up. */
const ID_LETTERS = '23456789abcdefghjkmnpqrstuvwxyz'
const ID_LENGTH = 8

export interface ReleaseRequest {
  terms: ReleaseTerms
  scope: ReleaseScope
  forSec: number
  actor: string | undefined
}

/** The release that a request asks for, under a name of its own. */
export function planRelease({ terms, scope, forSec, actor }: ReleaseRequest, nowSec: number): Release {
  return {
    kind: 'RELEASE',
    id: newId(),
    ...terms,
    scope,
    first: nowSec,
    expire: nowSec + forSec,
    used: 0,
    ...(actor === undefined ? {} : { author: actor }),
  }
}

/** Stores a release. Throws `AppError` `ERR_RELEASE` when too many are in force. */
export async function makeRelease(
  store: Pick<Store, 'editReleases'>,
  release: Release,
  nowSec: number,
): Promise<void> {
  const { outcomes } = await store.editReleases([{ operation: 'make', release }], nowSec, {
    actor: release.author,
  })
  if (outcomes[0] === 'made') return
  throw new AppError('ERR_RELEASE', `${MAX_RELEASES} releases are in force; no more can be made`, {
    hint: 'list them with "spamdctl release list", and end one with "spamdctl release cancel ID"',
  })
}

/** Ends a release. Throws `AppError` `ERR_RELEASE` when there is none to end. */
export async function cancelRelease(
  store: Pick<Store, 'editReleases'>,
  id: string,
  nowSec: number,
  actor: string | undefined,
): Promise<void> {
  const { outcomes } = await store.editReleases([{ operation: 'cancel', id }], nowSec, { actor })
  if (outcomes[0] === 'cancelled') return
  const reason = outcomes[0] === 'ended' ? 'it has already ended' : 'no such release'
  throw new AppError('ERR_RELEASE', `cannot cancel release ${id}: ${reason}`, {
    hint: 'list those in force with "spamdctl release list"',
  })
}

/** Those that let mail through now, the oldest first. */
export async function releasesInForce(
  store: Pick<Store, 'readReleases'>,
  nowSec: number,
): Promise<Release[]> {
  return (await store.readReleases()).filter((release) => isInForce(release, nowSec))
}

/** How many tuples wait that a release names. */
export async function countWaiting(
  store: Pick<Store, 'list'>,
  { from, to, network }: ReleaseTerms,
): Promise<number> {
  const query = {
    kinds: ['GREY' as const],
    ...(network === undefined ? {} : { network }),
    // A pattern fits the end of the text; a wildcard in an address is tested below.
    ...(to === undefined || /[*?]/.test(to) ? {} : { to }),
    ...(from === undefined || from === '' || /[*?]/.test(from) ? {} : { from: from.replace(/^\./, '') }),
  }
  let count = 0
  for await (const batch of store.list(query)) {
    for (const entry of batch) {
      if (entry.kind !== 'GREY' || !meetsTerms({ from, to }, { tuple: entry, trapKey: trapKeyOf(entry.to) }))
        continue
      if (entry.ip.includes('/') || isInReleaseNetwork({ network }, entry.ip)) count += 1
    }
  }
  return count
}

function newId(): string {
  // 248 is the largest multiple of the number of letters: no letter comes more often than another.
  const letters: string[] = []
  while (letters.length < ID_LENGTH) {
    for (const byte of randomBytes(ID_LENGTH)) {
      if (byte < 248 && letters.length < ID_LENGTH) letters.push(ID_LETTERS[byte % ID_LETTERS.length]!)
    }
  }
  return letters.join('')
}
