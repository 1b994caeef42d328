/**
 * Pools of senders: attempts are counted by key, and the network that retried after passtime is opened.
 *
 * Against abuse (a rented machine must not open the network for its neighbours): the network is opened only
 * if the attempts of the key came from more than one place, is never wider than a /24 or /64, contains no
 * TRAPPED or block-listed address, and is closed by a trap; a key opens at most 64 of them; only another
 * completed retry extends it.
 */
import { type Cause, tupleText } from './change.js'
import { type Draft, emptySelection, type Selection } from './draft.js'
import type { EntryTimes, GreyEntry, PoolEntry, Tuple } from './entry.js'
import { CLOCK_TOLERANCE_SEC, hasPassed, newTuple, repeatTuple } from './greylist-rules.js'
import { openedNetwork, type PoolKey, type PoolKeyKind, poolKeyText, poolTuple } from './pool-key.js'
import { findRelease, type Release, releasedNetwork } from './release.js'
import type { GreyPolicy, PoolAttempt, TupleAttempt } from './requests.js'
import { isAheadOf, type Stamp } from './stamp.js'
import { LEARN_EXPIRE_SEC, POOL_EXPIRE_SEC } from './times.js'

/**
 * Maximum number of networks that one key opens. For a provider with more networks use its SPF record, for a
 * domain with more servers an exception.
 */
export const MOST_OPENED: Readonly<Record<PoolKeyKind, number>> = {
  network: 64,
  spf: 256,
  learn: Infinity,
  release: 64,
}

const POOL: Cause = { rule: 'pool' }
const EXPIRY: Cause = { rule: 'expiry' }

/**
 * What else must be loaded, once tuples and spamtraps are: networks matter only to the few attempts that may
 * open or close one.
 */
export function selectPools(
  draft: Draft,
  attempts: readonly TupleAttempt[],
  policy: Pick<GreyPolicy, 'passSec' | 'isLearning'>,
): Selection {
  const selection = emptySelection()
  const earlier = new Set<string>()
  for (const attempt of attempts) {
    const { clientIp, pools = [], trapKey, otherTrapKeys = [] } = attempt
    const isTrap = [trapKey, ...otherTrapKeys].some((key) => draft.spamtrap(key).entry !== undefined)
    if (isTrap || attempt.isDomainTrap || attempt.isLowPriorityMx) selection.poolsAround.add(clientIp)
    for (const { key } of pools) {
      const { entry } = draft.tuple(tupleText(poolTuple(key, attempt.tuple)))
      if (entry !== undefined && entry.first + policy.passSec < draft.now) {
        selectNetwork(selection, openedNetwork(key, clientIp), poolKeyText(key))
      }
    }
    const release = findRelease(draft, attempt)
    if (release?.scope === 'pool') {
      const key = { kind: 'release', id: release.id } as const
      selectNetwork(selection, releasedNetwork(release, clientIp), poolKeyText(key))
    }
    if (policy.isLearning !== true) continue
    const text = tupleText(attempt.tuple)
    if (draft.tuple(text).entry !== undefined || earlier.has(text)) {
      selectNetwork(selection, openedNetwork(LEARN_KEY, clientIp), poolKeyText(LEARN_KEY))
    }
    earlier.add(text)
  }
  return selection
}

const LEARN_KEY = { kind: 'learn' } as const

function selectNetwork(selection: Selection, network: string, pool: string): void {
  selection.pools.add(network)
  selection.trapsIn.add(network)
  selection.poolCounts.add(pool)
}

/** What an attempt found under one key. */
export interface SeenPool {
  attempt: PoolAttempt
  text: string
  tuple: Tuple
  /** Not the first attempt of the key. */
  isKnown: boolean
  /** The key with this attempt counted. */
  entry: GreyEntry
}

/**
 * Counts an attempt under a key without storing it yet. A key that has expired, or was created with a wrong
 * clock, starts again.
 */
export function seePool(
  draft: Draft,
  attempt: PoolAttempt,
  fields: Pick<Tuple, 'from' | 'to'>,
  policy: Pick<GreyPolicy, 'passSec' | 'greyExpireSec'>,
): SeenPool {
  const tuple = poolTuple(attempt.key, fields)
  const text = tupleText(tuple)
  const known = draft.tuple(text).entry
  const isKnown =
    known !== undefined && known.expire > draft.now && known.first <= draft.now + CLOCK_TOLERANCE_SEC
  const times: EntryTimes = isKnown
    ? repeatTuple(known, policy.passSec, draft.now)
    : newTuple(policy.greyExpireSec, draft.now)
  const { first, pass, expire, bcount, pcount } = times
  const entry: GreyEntry = { kind: 'GREY', ...tuple, first, pass, expire, bcount, pcount }
  return { attempt, text, tuple, isKnown, entry }
}

/**
 * Stores what `seePool` counted. The tuple is kept when it passes, because it stands for the other servers of
 * the pool too.
 */
export function keepPool(draft: Draft, { text, tuple, isKnown, entry }: SeenPool): void {
  const marks = isKnown ? { ...draft.tuple(text).marks, last: draft.now, lastNode: undefined } : undefined
  draft.putTuple(text, tuple, { entry, marks }, POOL)
}

/**
 * True when a key has waited and was retried, so that the client may become WHITE: not when the address was
 * deleted or trapped since the key began.
 */
export function hasPoolPassed(draft: Draft, { entry }: SeenPool, clientIp: string): boolean {
  if (!hasPassed(entry, draft.now)) return false
  const host = draft.host(clientIp)
  const reset = host.entry === undefined ? host.marks?.reset : undefined
  return !isBefore(draft, entry, reset)
}

/** True if a key began before a reset. A reset in the future was made by a wrong clock, at an unknown time. */
function isBefore(draft: Draft, { first }: EntryTimes, reset: Stamp | undefined): boolean {
  if (reset === undefined || isAheadOf(reset, draft.now)) return false
  return reset.time >= first * 1000
}

/**
 * Opens the network of a key that has passed through a client, or extends it; undefined when it stays closed.
 * `ownCount`: attempts that the client's exact tuple counts. If these are all attempts of the key, a single
 * server retried, for which its own address is enough.
 */
export function openPool(
  draft: Draft,
  { attempt: { key, mayOpen }, entry }: SeenPool,
  clientIp: string,
  ownCount: number,
  policy: Pick<GreyPolicy, 'poolExpireSec'>,
): string | undefined {
  if (!mayOpen || entry.bcount <= ownCount) return undefined
  const network = openedNetwork(key, clientIp)
  const { reset } = draft.pool(network)
  if (isBefore(draft, entry, reset)) return undefined
  const lifeSec = policy.poolExpireSec ?? POOL_EXPIRE_SEC
  return open(draft, network, key, entry, draft.now + lifeSec) ? network : undefined
}

/**
 * Opens a further address of a domain whose key has passed, for as long as the existing opening lasts: only
 * another completed retry extends it. undefined when there is nothing to do, or it is not allowed.
 */
export function openFurther(
  draft: Draft,
  key: PoolKey,
  clientIp: string,
  seen: EntryTimes,
): string | undefined {
  const lastExpire = draft.lastOpenedExpire(poolKeyText(key))
  const network = openedNetwork(key, clientIp)
  const { entry, reset } = draft.pool(network)
  if (lastExpire <= draft.now || (entry !== undefined && entry.expire >= lastExpire)) return undefined
  if (isBefore(draft, seen, reset)) return undefined
  return open(draft, network, key, seen, lastExpire) ? network : undefined
}

/**
 * Learn-only mode: opens a client that retried for a day; undefined when its entry exists or is not allowed.
 */
export function openForLearning(draft: Draft, clientIp: string, seen: EntryTimes): string | undefined {
  const network = openedNetwork(LEARN_KEY, clientIp)
  const { entry } = draft.pool(network)
  if (entry !== undefined && entry.expire > draft.now) return undefined
  return open(draft, network, LEARN_KEY, seen, draft.now + LEARN_EXPIRE_SEC) ? network : undefined
}

/** Opens the network around a released attempt; undefined when that is not allowed, or too many are open. */
export function openForRelease(
  draft: Draft,
  network: string,
  { id, author }: Pick<Release, 'id' | 'author'>,
  times: { seen: EntryTimes; expire: number },
): string | undefined {
  const cause: Cause = { rule: 'release', actor: author }
  return open(draft, network, { kind: 'release', id }, times.seen, times.expire, cause) ? network : undefined
}

// eslint-disable-next-line max-params -- one pool with its key, times and cause
function open(
  draft: Draft,
  network: string,
  key: PoolKey,
  seen: EntryTimes,
  expire: number,
  cause = POOL,
): boolean {
  if (draft.hasTrapIn(network)) return false
  const held = draft.pool(network)
  const known = held.entry !== undefined && held.entry.expire > draft.now ? held.entry : undefined
  const pool = poolKeyText(key)
  if (known === undefined && draft.openedCount(pool) >= MOST_OPENED[key.kind]) return false
  const fresh = { first: seen.first, pass: draft.now, expire: 0, bcount: 0, pcount: -1 }
  const { first, pass, expire: knownExpire, bcount, pcount } = known ?? fresh
  const after: PoolEntry = {
    kind: 'POOL',
    ip: network,
    pool,
    first,
    pass,
    expire: Math.max(knownExpire, expire),
    bcount: bcount + seen.bcount,
    pcount: pcount + 1,
  }
  draft.putPool(network, { entry: after, reset: undefined }, draft.nextStamp(), cause)
  return true
}

/** Closes the loaded networks that contain an address which is TRAPPED now; returns their texts. */
export function closePoolsAround(draft: Draft, ip: string, cause: Cause): string[] {
  const networks = draft.poolsAround(ip)
  for (const network of networks) closePool(draft, network, cause)
  return networks
}

/** Closes a network permanently: older keys do not open it again. False when it is not open. */
export function closePool(draft: Draft, network: string, cause: Cause): boolean {
  const { entry } = draft.pool(network)
  if (entry === undefined) return false
  // Later than the opening, even if the clock was ahead then; otherwise another gateway would open it again.
  const stamp = draft.nextStamp({ time: entry.pass * 1000, counter: 0, node: 0 })
  draft.putPool(network, { entry: undefined, reset: stamp }, stamp, cause)
  return true
}

/** Removes an expired network; false when it has not expired. */
export function expirePool(draft: Draft, network: string): boolean {
  const { entry } = draft.pool(network)
  if (entry === undefined || entry.expire > draft.now) return false
  draft.putPool(network, { entry: undefined, reset: undefined }, draft.nextStamp(), EXPIRY)
  return true
}
