/** Delivery attempts, as values. Source of the rules: greylist-rules.ts. */
import { type Cause, tupleText } from './change.js'
import {
  closePoolsAround,
  hasPoolPassed,
  keepPool,
  openForLearning,
  openPool,
  type SeenPool,
  seePool,
} from './decide-pools.js'
import { releaseAttempt } from './decide-release.js'
import { type Draft, emptySelection, type Selection } from './draft.js'
import type { EntryTimes, GreyEntry, HostEntry, Tuple } from './entry.js'
import {
  CLOCK_TOLERANCE_SEC,
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
import { poolTuple } from './pool-key.js'
import type { GreyPolicy, TupleAttempt, TupleOutcome } from './requests.js'
import { compareStamps, laterStamp, type Stamp } from './stamp.js'

/** What must be loaded to decide delivery attempts. */
export function selectAttempts(
  attempts: readonly TupleAttempt[],
  policy: Pick<GreyPolicy, 'maxTuplesPerAddress'>,
): Selection {
  const selection = emptySelection()
  for (const { tuple, clientIp, trapKey, otherTrapKeys = [], pools = [] } of attempts) {
    selection.hosts.add(clientIp)
    for (const key of [trapKey, ...otherTrapKeys]) selection.spamtraps.add(key)
    selection.tuples.set(tupleText(tuple), tuple)
    for (const { key } of pools) {
      const shared = poolTuple(key, tuple)
      selection.tuples.set(tupleText(shared), shared)
    }
  }
  selection.maxTuplesPerAddress = policy.maxTuplesPerAddress
  selection.releases = true
  return selection
}

/** Decides attempts in order; outcomes in the same order. The store enforces the limit on all tuples. */
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

const ATTEMPT: Cause = { rule: 'attempt' }
const PROMOTION: Cause = { rule: 'promotion' }
const LIMIT: Cause = { rule: 'limit' }

function decideAttempt(draft: Draft, attempt: TupleAttempt, policy: GreyPolicy): TupleOutcome {
  const trapped = trapByRecipient(draft, attempt, policy)
  if (trapped !== undefined) return trapped
  const seen = seeAttempt(draft, attempt, policy)
  const trappedByMx = trapByMx(draft, attempt, seen, policy)
  if (trappedByMx !== undefined) return trappedByMx
  const released = releaseAttempt(draft, attempt, policy)
  if (released !== undefined) return released
  let evictedCount = 0
  for (const pool of seen.pools) {
    evictedCount += makeRoomFor(draft, pool.tuple, policy.maxTuplesPerAddress)
    keepPool(draft, pool)
  }
  const own = ownTimes(draft, seen, policy)
  const passed = passedBy(draft, attempt, own, seen.pools)
  const wasKnownHost = draft.host(attempt.clientIp).entry !== undefined
  const promotion = passed === undefined ? 'refused' : promote(draft, attempt.clientIp, passed, policy)
  if (passed === undefined || promotion === 'refused') {
    evictedCount += makeRoomFor(draft, attempt.tuple, policy.maxTuplesPerAddress)
    const opened = keepWaiting(draft, attempt, seen, own, policy)
    const result = seen.isNew ? 'new' : 'repeated'
    return { result, isNewHost: false, evictedCount, ...openedPart(opened) }
  }
  if (seen.known.entry !== undefined) draft.putTuple(seen.text, attempt.tuple, NO_TUPLE, PROMOTION)
  // An address that was WHITE already is no sign of a pool: it only came before the packet filter's table was
  // updated.
  const opened = wasKnownHost ? [] : openPassed(draft, attempt, seen.pools, own, policy)
  const waitedSec = draft.now - passed.first
  return {
    result: 'promoted',
    isNewHost: promotion === 'new',
    evictedCount,
    waitedSec,
    ...openedPart(opened),
  }
}

/** What is on record for an attempt. */
interface SeenAttempt {
  text: string
  known: HeldTuple
  /** The tuple does not exist, or starts again. */
  isNew: boolean
  epoch: Stamp | undefined
  pools: readonly SeenPool[]
}

function seeAttempt(draft: Draft, attempt: TupleAttempt, policy: GreyPolicy): SeenAttempt {
  const text = tupleText(attempt.tuple)
  const known = draft.tuple(text)
  return {
    text,
    known,
    isNew: known.entry === undefined || isVoid(draft, attempt.tuple.ip, known.entry, known),
    epoch: laterStamp(draft.host(attempt.clientIp).marks?.reset, known.marks?.epoch),
    pools: (attempt.pools ?? []).map((pool) => seePool(draft, pool, attempt.tuple, policy)),
  }
}

/**
 * A tuple starts again if it has expired but no scan has removed it yet, if it is older than a deletion of
 * its address, or if it was created while the clock was too far ahead (it would have to wait until that
 * time).
 */
function isVoid(draft: Draft, ip: string, entry: GreyEntry, known: HeldTuple): boolean {
  return (
    entry.expire <= draft.now ||
    entry.first > draft.now + CLOCK_TOLERANCE_SEC ||
    isBeforeReset(draft, ip, known)
  )
}

function trapByRecipient(draft: Draft, attempt: TupleAttempt, policy: GreyPolicy): TupleOutcome | undefined {
  const isTrap =
    attempt.isDomainTrap ||
    [attempt.trapKey, ...(attempt.otherTrapKeys ?? [])].some((key) => draft.spamtrap(key).entry !== undefined)
  return isTrap ? trap(draft, attempt, policy, 'trapped') : undefined
}

/** A client that tries the low-priority MX before any other is not a mail server. */
function trapByMx(
  draft: Draft,
  attempt: TupleAttempt,
  { known, pools }: SeenAttempt,
  policy: GreyPolicy,
): TupleOutcome | undefined {
  if (!attempt.isLowPriorityMx || known.entry !== undefined) return undefined
  if (pools.some(({ isKnown }) => isKnown) || hasJustPassed(draft, attempt.clientIp, policy)) return undefined
  return trap(draft, attempt, policy, 'trapped-mx')
}

/** The times of the client's own tuple, including this attempt. */
function ownTimes(draft: Draft, { known: { entry, marks }, isNew }: SeenAttempt, policy: GreyPolicy) {
  if (entry === undefined || isNew) return newTuple(policy.greyExpireSec, draft.now)
  const isOfOther = marks?.firstNode !== undefined && marks.firstNode !== draft.node
  return repeatTuple(entry, policy.passSec + (isOfOther ? OTHER_NODE_SEC : 0), draft.now)
}

/** Stores the tuple of a client that must retry; networks that this attempt opened are stored too. */
function keepWaiting(
  draft: Draft,
  attempt: TupleAttempt,
  { text, known, isNew, epoch }: SeenAttempt,
  own: EntryTimes,
  policy: GreyPolicy,
): string[] {
  const marks = isNew
    ? marksOf(epoch, own.first, draft.now)
    : { ...known.marks, last: draft.now, lastNode: undefined }
  draft.putTuple(text, attempt.tuple, { entry: greyEntry(attempt.tuple, own), marks }, ATTEMPT)
  const learnt = isNew || policy.isLearning !== true ? undefined : learn(draft, attempt, own)
  return learnt === undefined ? [] : [learnt]
}

/** The networks of the keys that have passed. */
function openPassed(
  draft: Draft,
  { clientIp }: TupleAttempt,
  pools: readonly SeenPool[],
  own: EntryTimes,
  policy: GreyPolicy,
): string[] {
  return pools
    .filter((pool) => hasPoolPassed(draft, pool, clientIp))
    .map((pool) => openPool(draft, pool, clientIp, own.bcount, policy))
    .filter((network) => network !== undefined)
}

/** The part of an outcome that lists opened networks: absent when there are none. */
export function openedPart(opened: string[]): Pick<TupleOutcome, 'opened'> {
  return opened.length === 0 ? {} : { opened }
}

/**
 * The times of the key by which a client has waited, its own tuple first; undefined when it must keep
 * waiting.
 */
function passedBy(
  draft: Draft,
  { mayPromote, clientIp }: TupleAttempt,
  own: EntryTimes,
  pools: readonly SeenPool[],
): EntryTimes | undefined {
  if (!mayPromote) return undefined
  if (hasPassed(own, draft.now)) return own
  return pools.find((pool) => hasPoolPassed(draft, pool, clientIp))?.entry
}

/** In learn-only mode every client that retries passes, unless a list or a trap forbids it. */
function learn(draft: Draft, { clientIp, mayPromote }: TupleAttempt, seen: EntryTimes): string | undefined {
  if (!mayPromote || draft.host(clientIp).entry !== undefined) return undefined
  return openForLearning(draft, clientIp, seen)
}

function greyEntry({ ip, helo, from, to }: Tuple, times: EntryTimes): GreyEntry {
  const { first, pass, expire, bcount, pcount } = times
  return { kind: 'GREY', ip, helo, from, to, first, pass, expire, bcount, pcount }
}

/** True when the address of a tuple was deleted after the tuple was created: the tuple must not undo that. */
export function isBeforeReset(draft: Draft, ip: string, { marks }: HeldTuple): boolean {
  const host = draft.host(ip)
  return host.entry === undefined && compareStamps(marks?.epoch, host.marks?.reset) < 0
}

function marksOf(epoch: Stamp | undefined, first: number, now: number): TupleMarks | undefined {
  return epoch === undefined && first === now ? undefined : { epoch, last: now }
}

/**
 * Removes the oldest tuples of an address until there is space for one more; returns how many. A tuple that is on record
 * needs none, even if it starts again.
 */
export function makeRoomFor(draft: Draft, tuple: Tuple, maxTuples: number): number {
  if (draft.tuple(tupleText(tuple)).entry !== undefined) return 0
  const { ip } = tuple
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

/** Kinds of trap, as result of an attempt and as cause. */
const TRAPS = {
  trapped: 'trap',
  'trapped-mx': 'low-priority-mx',
  'trapped-spf': 'spf-fail',
} as const

/** undefined when the address is exempt from traps. */
export function trap(
  draft: Draft,
  { clientIp: ip, trapKey: recipient }: TupleAttempt,
  policy: GreyPolicy,
  result: keyof typeof TRAPS,
): TupleOutcome | undefined {
  const { entry } = draft.host(ip)
  const marks = draft.marksOf(ip)
  const times = trapHost(entry, policy, draft.now)
  if (times === undefined) return undefined
  const stamp = draft.nextHostStamp(ip)
  const after: HostEntry = { ...entry, ...times, kind: 'TRAPPED', ip }
  const isFixed = entry !== undefined && isPinned(entry)
  const held = { entry: after, marks: isFixed ? marks : trappedMarks(marks, stamp) }
  const rule = TRAPS[result]
  const cause: Cause = rule === 'trap' ? { rule, recipient } : { rule }
  draft.putHost(ip, held, stamp, cause)
  const closed = closePoolsAround(draft, ip, cause)
  return {
    result,
    isNewHost: entry === undefined || result === 'trapped-mx',
    evictedCount: 0,
    trapExpire: times.expire,
    ...(closed.length === 0 ? {} : { closed }),
  }
}

/**
 * Makes the address WHITE unless it is TRAPPED. An address that is WHITE already is left unchanged, unless
 * its `pass` is in the future: such an entry, created while the clock was too far ahead, would not enter any
 * table until then.
 */
export function promote(
  draft: Draft,
  ip: string,
  tuple: EntryTimes,
  policy: Pick<GreyPolicy, 'whiteExpireSec'>,
  cause = PROMOTION,
): 'new' | 'known' | 'refused' {
  const { entry } = draft.host(ip)
  if (entry?.kind === 'TRAPPED') return 'refused'
  const hasPassedHere = entry !== undefined && entry.pass <= draft.now + CLOCK_TOLERANCE_SEC
  if (entry !== undefined && (hasPassedHere || isPinned(entry))) return 'known'
  const stamp = draft.nextHostStamp(ip)
  const white: HostEntry = { ...promoteTuple(tuple, policy.whiteExpireSec, draft.now), kind: 'WHITE', ip }
  if (entry?.comment !== undefined) white.comment = entry.comment
  draft.putHost(ip, { entry: white, marks: grantedMarks(draft.marksOf(ip), stamp) }, stamp, cause)
  return 'new'
}
