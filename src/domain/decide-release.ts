/** Releases created, cancelled and used. */
import { tupleText } from './change.js'
import { openForRelease } from './decide-pools.js'
import { type Draft, emptySelection, type Selection } from './draft.js'
import type { HostEntry } from './entry.js'
import { isHostExpired } from './greylist-rules.js'
import { NO_TUPLE } from './held.js'
import { grantedMarks } from './host-marks.js'
import { isTrapped } from './host-state.js'
import {
  findRelease,
  isInForce,
  KEEP_RELEASE_SEC,
  MAX_RELEASES,
  NO_RELEASE,
  type Release,
  releasedNetwork,
} from './release.js'
import type { GreyPolicy, ReleaseEdit, ReleaseOutcome, TupleAttempt, TupleOutcome } from './requests.js'

/** What must be loaded to change releases: all of them. */
export function selectReleases(): Selection {
  return { ...emptySelection(), releases: true }
}

/**
 * Decides in order; outcomes in the same order. A release is `refused` when its name is taken or too many are
 * in force. Releases that ended long ago are removed.
 */
export function decideReleases(
  draft: Draft,
  edits: readonly ReleaseEdit[],
  actor: string | undefined,
): ReleaseOutcome[] {
  for (const { id, expire } of [...draft.releases()]) {
    if (expire + KEEP_RELEASE_SEC < draft.now) {
      draft.putRelease(id, NO_RELEASE, draft.nextStamp(), { rule: 'expiry' })
    }
  }
  return edits.map((edit, index) => {
    draft.begin(index)
    return decideRelease(draft, edit, actor)
  })
}

function decideRelease(draft: Draft, edit: ReleaseEdit, actor: string | undefined): ReleaseOutcome {
  const cause = { rule: 'release', actor } as const
  if (edit.operation === 'cancel') {
    const { entry: known, stamp: latest } = draft.release(edit.id)
    if (known === undefined) return 'missing'
    if (known.expire <= draft.now) return 'ended'
    const stamp = draft.nextStamp(latest)
    draft.putRelease(edit.id, { entry: { ...known, expire: draft.now }, stamp }, stamp, cause)
    return 'cancelled'
  }
  const { release } = edit
  const inForce = [...draft.releases()].filter((each) => isInForce(each, draft.now))
  if (draft.release(release.id).entry !== undefined || inForce.length >= MAX_RELEASES) return 'refused'
  const stamp = draft.nextStamp()
  draft.putRelease(release.id, { entry: release, stamp }, stamp, cause)
  return 'made'
}

/**
 * Makes the address of an attempt WHITE when a release matches its mail; undefined when none does, or when
 * the address is on a block list or TRAPPED. It stays WHITE for as long as a tuple would wait for its retry,
 * and longer only if the log watcher sees mail from it. With `--pool` its /24 or /64 is opened for the same
 * time, unless it contains a forbidden address.
 */
export function releaseAttempt(
  draft: Draft,
  attempt: TupleAttempt,
  policy: GreyPolicy,
): TupleOutcome | undefined {
  if (!attempt.mayPromote) return undefined
  const release = findRelease(draft, attempt)
  if (release === undefined) return undefined
  const { clientIp: ip, tuple } = attempt
  const { entry } = draft.host(ip)
  if (entry !== undefined && isTrapped(entry)) return undefined
  const cause = { rule: 'release', actor: release.author } as const
  const text = tupleText(tuple)
  const known = draft.tuple(text).entry
  // A tuple of a whole network stands for the other hosts in that network too.
  if (known !== undefined && tuple.ip === ip) draft.putTuple(text, tuple, NO_TUPLE, cause)
  if (entry !== undefined && !isHostExpired(entry, draft.now))
    return { result: 'promoted', isNewHost: false, evictedCount: 0 }
  const stamp = draft.nextHostStamp(ip)
  const white: HostEntry = {
    kind: 'WHITE',
    ip,
    first: known?.first ?? draft.now,
    pass: draft.now,
    expire: draft.now + policy.greyExpireSec,
    bcount: (known?.bcount ?? 0) + 1,
    pcount: 0,
  }
  draft.putHost(ip, { entry: white, marks: grantedMarks(draft.marksOf(ip), stamp) }, stamp, cause)
  const used: Release = { ...release, used: release.used + 1 }
  const usedStamp = draft.nextStamp(draft.release(release.id).stamp)
  draft.putRelease(release.id, { entry: used, stamp: usedStamp }, usedStamp, cause)
  const network = openAround(draft, attempt, release, white)
  const opened = network === undefined ? {} : { opened: [network] }
  return { result: 'promoted', isNewHost: true, evictedCount: 0, ...opened }
}

/** Opens the network around a released address if the release says so and no list forbids it. */
function openAround(
  draft: Draft,
  { clientIp, mayOpenAround }: TupleAttempt,
  release: Release,
  white: HostEntry,
): string | undefined {
  if (release.scope !== 'pool' || mayOpenAround !== true) return undefined
  return openForRelease(draft, releasedNetwork(release, clientIp), release, {
    seen: white,
    expire: white.expire,
  })
}
