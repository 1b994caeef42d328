/** Decides what a scan found due, each entry tested again. */
import { type Cause, tupleText } from './change.js'
import { isBeforeReset, promote } from './decide-attempts.js'
import { selectKey } from './decide-edits.js'
import { closePool, expirePool } from './decide-pools.js'
import { type Draft, emptySelection, type Selection } from './draft.js'
import type { EntryKey, Tuple } from './entry.js'
import { hasPassed, isHostExpired } from './greylist-rules.js'
import { NO_TUPLE } from './held.js'
import { expiredMarks, resetMarks } from './host-marks.js'
import { isPinned, isTrapped } from './host-state.js'
import { namesNoAddress } from './pool-key.js'
import type { GreyPolicy, ScanChanges } from './requests.js'
import { KEEP_RESET_SEC } from './times.js'

/** What must be loaded to decide what a scan found. */
export function selectScan({
  expired,
  promoted,
  blocked,
  blockedTuples,
  closedPools = [],
}: ScanChanges): Selection {
  const selection = emptySelection()
  for (const key of expired) selectKey(selection, key)
  for (const tuple of promoted) {
    selection.tuples.set(tupleText(tuple), tuple)
    selection.hosts.add(tuple.ip)
  }
  for (const ip of blocked) selection.hosts.add(ip)
  for (const tuple of blockedTuples) selection.tuples.set(tupleText(tuple), tuple)
  for (const network of closedPools) selection.pools.add(network)
  return selection
}

const EXPIRY: Cause = { rule: 'expiry' }
const BLOCKED: Cause = { rule: 'block-list' }
const PROMOTION: Cause = { rule: 'promotion' }

/** Decides about entries that were due when the scan looked at them. */
export function decideScan(
  draft: Draft,
  changes: ScanChanges,
  policy: Pick<GreyPolicy, 'whiteExpireSec'>,
): { deletedCount: number; promoted: string[] } {
  let deletedCount = 0
  for (const key of changes.expired) {
    if (expireKey(draft, key)) deletedCount += 1
  }
  const promoted: string[] = []
  for (const tuple of changes.promoted) {
    if (promotePassed(draft, tuple, policy)) promoted.push(tuple.ip)
  }
  for (const ip of changes.blocked) {
    if (deleteBlocked(draft, ip)) deletedCount += 1
  }
  for (const tuple of changes.blockedTuples) {
    if (deleteBlockedTuple(draft, tuple)) deletedCount += 1
  }
  for (const network of changes.closedPools ?? []) {
    if (closePool(draft, network, BLOCKED)) deletedCount += 1
  }
  return { deletedCount, promoted }
}

/** A block list removes WHITE addresses, but not those that an administrator pinned. */
function deleteBlocked(draft: Draft, ip: string): boolean {
  const { entry } = draft.host(ip)
  if (entry === undefined || isTrapped(entry) || isPinned(entry)) return false
  const stamp = draft.nextHostStamp(ip)
  draft.putHost(ip, { entry: undefined, marks: resetMarks(stamp) }, stamp, BLOCKED)
  return true
}

/**
 * A tuple that passed is deleted instead of promoted. Nobody did so by hand, and the lists are those of this gateway:
 * there is no mark for others.
 */
function deleteBlockedTuple(draft: Draft, tuple: Tuple): boolean {
  const text = tupleText(tuple)
  const { entry } = draft.tuple(text)
  if (entry === undefined || !hasPassed(entry, draft.now)) return false
  draft.putTuple(text, tuple, NO_TUPLE, BLOCKED)
  return true
}

function expireKey(draft: Draft, key: EntryKey): boolean {
  switch (key.kind) {
    case 'host':
      return expireHost(draft, key.ip)
    case 'tuple':
      return expireTuple(draft, key)
    case 'pool':
      return expirePool(draft, key.ip)
    case 'spamtrap':
      return false
  }
}

function expireHost(draft: Draft, ip: string): boolean {
  const { entry, marks } = draft.host(ip)
  if (entry === undefined || !isHostExpired(entry, draft.now)) return false
  const left = expiredMarks(marks, draft.now, KEEP_RESET_SEC)
  draft.putHost(ip, { entry: undefined, marks: left }, draft.nextStamp(), EXPIRY)
  return true
}

function expireTuple(draft: Draft, tuple: Tuple): boolean {
  const text = tupleText(tuple)
  const { entry } = draft.tuple(text)
  if (entry === undefined || entry.expire > draft.now) return false
  draft.putTuple(text, tuple, NO_TUPLE, EXPIRY)
  return true
}

/**
 * True when the address became WHITE. The tuple of an address that is already WHITE is no longer needed and
 * is removed too. Tuples stay if their address is TRAPPED, if they belong to a pool (which names no address
 * to promote), or if they are older than a reset of the address.
 */
function promotePassed(draft: Draft, tuple: Tuple, policy: Pick<GreyPolicy, 'whiteExpireSec'>): boolean {
  const text = tupleText(tuple)
  const held = draft.tuple(text)
  const { entry } = held
  if (entry === undefined || !hasPassed(entry, draft.now) || namesNoAddress(tuple.ip)) return false
  if (isBeforeReset(draft, tuple.ip, held)) return false
  const promotion = promote(draft, tuple.ip, entry, policy)
  if (promotion === 'refused') return false
  draft.putTuple(text, tuple, NO_TUPLE, PROMOTION)
  return promotion === 'new'
}
