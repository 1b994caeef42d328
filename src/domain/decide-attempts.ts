/** Delivery attempts, as values. Source of the rules: greylist-rules.ts. */
import { type Cause, tupleText } from './change.js'
import { releaseAttempt } from './decide-release.js'
import { type Draft, emptySelection, type Selection } from './draft.js'
import type { EntryTimes, GreyEntry, HostEntry, Tuple } from './entry.js'
import {
  hasPassed,
  isFreshlyPromoted,
  newTuple,
  promoteTuple,
  repeatTuple,
  trapHost,
} from './greylist-rules.js'
import { type HeldTuple, NO_TUPLE, type TupleMarks } from './held.js'
import { grantedMarks, trappedMarks } from './host-marks.js'
import { isPinned } from './host-state.js'
import { OTHER_NODE_SEC } from './merge.js'
import type { GreyPolicy, TupleAttempt, TupleOutcome } from './requests.js'
import { compareStamps, laterStamp, type Stamp } from './stamp.js'

/** What has to be on hand to decide delivery attempts. */
export function selectAttempts(
  attempts: readonly TupleAttempt[],
  policy: Pick<GreyPolicy, 'maxTuplesPerAddress'>,
): Selection {
  const selection = emptySelection()
  for (const { tuple, clientIp, trapKey, otherTrapKeys = [] } of attempts) {
    selection.hosts.add(clientIp)
    for (const key of [trapKey, ...otherTrapKeys]) selection.spamtraps.add(key)
    selection.tuples.set(tupleText(tuple), tuple)
  }
  selection.maxTuplesPerAddress = policy.maxTuplesPerAddress
  selection.releases = true
  return selection
}

/** Decides attempts in order; outcomes in the same order. The limit of all tuples is the store's to keep. */
export function decideAttempts(
  draft: Draft,
  attempts: readonly TupleAttempt[],
  policy: GreyPolicy,
): TupleOutcome[] {
  return attempts.map((attempt, index) => {
    draft.begin(index)
    return decideAttempt(draft, attempt, policy)
  })
}

/** Gateways that share tuples may differ by so much. */
const CLOCK_TOLERANCE_SEC = 300

const ATTEMPT: Cause = { rule: 'attempt' }
const PROMOTION: Cause = { rule: 'promotion' }
const LIMIT: Cause = { rule: 'limit' }

function decideAttempt(draft: Draft, attempt: TupleAttempt, policy: GreyPolicy): TupleOutcome {
  const trapKeys = [attempt.trapKey, ...(attempt.otherTrapKeys ?? [])]
  if (attempt.isDomainTrap || trapKeys.some((key) => draft.spamtrap(key).entry !== undefined)) {
    const trapped = trap(draft, attempt, policy, 'trapped')
    if (trapped !== undefined) return trapped
  }
  const text = tupleText(attempt.tuple)
  const known = draft.tuple(text)
  const epoch = laterStamp(epochOf(draft, attempt), known.marks?.epoch)
  // A tuple past its time that no scan has removed yet begins anew, one of before its address was deleted, and one
  // that was made while the clock stood too late: it would wait until that time comes.
  const isVoid =
    known.entry !== undefined &&
    (known.entry.expire <= draft.now ||
      known.entry.first > draft.now + CLOCK_TOLERANCE_SEC ||
      isBeforeReset(draft, attempt.tuple.ip, known))
  const isFirst = known.entry === undefined
  if (isFirst && attempt.isLowPriorityMx && !hasJustPassed(draft, attempt.clientIp, policy)) {
    const trapped = trap(draft, attempt, policy, 'trapped-mx')
    if (trapped !== undefined) return trapped
  }
  const released = releaseAttempt(draft, attempt, policy)
  if (released !== undefined) return released
  if (known.entry === undefined || isVoid) {
    const evictedCount = isFirst ? makeRoom(draft, attempt.tuple.ip, policy.maxTuplesPerAddress) : 0
    const entry = greyEntry(attempt.tuple, newTuple(policy.greyExpireSec, draft.now))
    draft.putTuple(text, attempt.tuple, { entry, marks: marksOf(epoch, entry.first, draft.now) }, ATTEMPT)
    return { result: 'new', isNewHost: false, evictedCount }
  }
  const isOfOther = known.marks?.firstNode !== undefined && known.marks.firstNode !== draft.node
  const passSec = policy.passSec + (isOfOther ? OTHER_NODE_SEC : 0)
  const repeated = repeatTuple(known.entry, passSec, draft.now)
  const promotion =
    attempt.mayPromote && hasPassed(repeated, draft.now)
      ? promote(draft, attempt.clientIp, repeated, policy)
      : 'refused'
  const isPromoted = promotion !== 'refused'
  // A tuple of a whole network stays: it speaks for the other hosts of that network too.
  if (isPromoted && attempt.tuple.ip === attempt.clientIp) {
    draft.putTuple(text, attempt.tuple, NO_TUPLE, PROMOTION)
  } else {
    const entry = greyEntry(attempt.tuple, repeated)
    const marks = { ...known.marks, last: draft.now, lastNode: undefined }
    draft.putTuple(text, attempt.tuple, { entry, marks }, ATTEMPT)
  }
  const outcome = { isNewHost: promotion === 'new', evictedCount: 0 }
  if (!isPromoted) return { result: 'repeated', ...outcome }
  return { result: 'promoted', ...outcome, waitedSec: draft.now - repeated.first }
}

function greyEntry({ ip, helo, from, to }: Tuple, times: EntryTimes): GreyEntry {
  const { first, pass, expire, bcount, pcount } = times
  return { kind: 'GREY', ip, helo, from, to, first, pass, expire, bcount, pcount }
}

/** The last reset of the address; a tuple of a network has no address of its own. */
function epochOf(draft: Draft, { tuple, clientIp }: TupleAttempt): Stamp | undefined {
  return tuple.ip === clientIp ? draft.host(clientIp).marks?.reset : undefined
}

/** True when the address of a tuple was deleted after the tuple was made: it must not undo that. */
export function isBeforeReset(draft: Draft, ip: string, { marks }: HeldTuple): boolean {
  const host = draft.host(ip)
  return host.entry === undefined && compareStamps(marks?.epoch, host.marks?.reset) < 0
}

function marksOf(epoch: Stamp | undefined, first: number, now: number): TupleMarks | undefined {
  return epoch === undefined && first === now ? undefined : { epoch, last: now }
}

/** Removes the first tuples of an address until there is room for one more; returns how many. */
export function makeRoom(draft: Draft, ip: string, maxTuples: number): number {
  let evictedCount = 0
  while (draft.tupleCount(ip) >= maxTuples && draft.takeFirstTuple(ip, LIMIT) !== undefined) {
    evictedCount += 1
  }
  return evictedCount
}

function hasJustPassed(draft: Draft, ip: string, policy: GreyPolicy): boolean {
  const { entry } = draft.host(ip)
  return entry !== undefined && isFreshlyPromoted(entry, policy, draft.now)
}

/** undefined when the address is exempt from traps. */
function trap(
  draft: Draft,
  { clientIp: ip, trapKey: recipient }: TupleAttempt,
  policy: GreyPolicy,
  result: 'trapped' | 'trapped-mx',
): TupleOutcome | undefined {
  const { entry, marks } = draft.host(ip)
  const times = trapHost(entry, policy, draft.now)
  if (times === undefined) return undefined
  const stamp = draft.nextStamp()
  const after: HostEntry = { ...entry, ...times, kind: 'TRAPPED', ip }
  const isFixed = entry !== undefined && isPinned(entry)
  const held = { entry: after, marks: isFixed ? marks : trappedMarks(marks, stamp) }
  draft.putHost(
    ip,
    held,
    stamp,
    result === 'trapped' ? { rule: 'trap', recipient } : { rule: 'low-priority-mx' },
  )
  return { result, isNewHost: entry === undefined || result === 'trapped-mx', evictedCount: 0 }
}

/** Makes the address WHITE unless it is TRAPPED; one that is WHITE already stays as it is. */
export function promote(
  draft: Draft,
  ip: string,
  tuple: EntryTimes,
  policy: Pick<GreyPolicy, 'whiteExpireSec'>,
): 'new' | 'known' | 'refused' {
  const { entry, marks } = draft.host(ip)
  if (entry !== undefined) return entry.kind === 'TRAPPED' ? 'refused' : 'known'
  const stamp = draft.nextStamp()
  const white: HostEntry = { ...promoteTuple(tuple, policy.whiteExpireSec, draft.now), kind: 'WHITE', ip }
  draft.putHost(ip, { entry: white, marks: grantedMarks(marks, stamp) }, stamp, PROMOTION)
  return 'new'
}
