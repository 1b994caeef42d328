import type { EntryTimes } from '../domain/entry.js'
import {
  hasPassed,
  isFreshlyPromoted,
  newTuple,
  promoteTuple,
  repeatTuple,
  trapHost,
} from '../domain/greylist-rules.js'
import { isTrapped } from '../domain/host-state.js'
import type { Tables } from './manual-edits.js'
import type { GreyPolicy, TupleAttempt, TupleOutcome } from './store.js'
import type { AddressLimiter, TupleLimits } from './tables/tuple-limits.js'

/** Attempts that are applied within one transaction, whose owner calls `finish` before the commit. */
export interface AttemptRun {
  tables: Tables
  policy: GreyPolicy
  now: number
  limits: TupleLimits
  addressLimiter: AddressLimiter
}

/** Begins the attempts of one transaction, which the caller has opened. */
export function beginAttempts(
  tables: Tables,
  limits: TupleLimits,
  policy: GreyPolicy,
  now: number,
): AttemptRun {
  return { tables, policy, now, limits, addressLimiter: limits.begin(policy) }
}

/** Keeps the total within its limit; how many tuples were evicted for that. */
export function finishAttempts({ tables, policy, limits }: AttemptRun): number {
  const evictedCount = limits.evictOverTotal(policy.maxTuples)
  tables.tuples.ages.flush()
  return evictedCount
}

/** Applies delivery attempts in order, within the caller's transaction; see `Store.recordAttempts`. */
export function applyAttempts(run: AttemptRun, attempts: readonly TupleAttempt[]): TupleOutcome[] {
  const outcomes = attempts.map((attempt) => applyAttempt(run, attempt))
  const evictedCount = finishAttempts(run)
  // What was evicted for the total counts with the last attempt of the batch.
  const last = outcomes.at(-1)
  if (last !== undefined) last.evictedCount += evictedCount
  return outcomes
}

/** Applies one attempt. */
export function applyAttempt(run: AttemptRun, attempt: TupleAttempt): TupleOutcome {
  const { tuples, spamtraps } = run.tables
  if (attempt.isDomainTrap || spamtraps.has(attempt.trapKey)) {
    const trapped = trap(run, attempt.clientIp, 'trapped')
    if (trapped !== undefined) return trapped
  }
  const known = tuples.get(attempt.tuple)
  // A tuple past its time that no scan has removed yet begins anew.
  if (known === undefined || known.expire <= run.now) {
    if (known === undefined && attempt.isLowPriorityMx && !hasJustPassed(run, attempt.clientIp)) {
      const trapped = trap(run, attempt.clientIp, 'trapped-mx')
      if (trapped !== undefined) return trapped
    }
    return startTuple(run, attempt, known)
  }
  const repeated = repeatTuple(known, run.policy.passSec, run.now)
  const promotion =
    attempt.mayPromote && hasPassed(repeated, run.now) ? promote(run, attempt.clientIp, repeated) : 'refused'
  const isPromoted = promotion !== 'refused'
  // A tuple of a whole network stays: it speaks for the other hosts of that network too.
  if (isPromoted && attempt.tuple.ip === attempt.clientIp) {
    tuples.delete(attempt.tuple)
    run.addressLimiter.noteRemoved(attempt.tuple.ip)
  } else {
    tuples.update(attempt.tuple, known.first, repeated)
  }
  return {
    result: isPromoted ? 'promoted' : 'repeated',
    isNewHost: promotion === 'new',
    evictedCount: 0,
  }
}

function startTuple(run: AttemptRun, attempt: TupleAttempt, expired: EntryTimes | undefined): TupleOutcome {
  const { tuples } = run.tables
  const times = newTuple(run.policy.greyExpireSec, run.now)
  let evictedCount = 0
  if (expired !== undefined) {
    tuples.update(attempt.tuple, expired.first, times)
  } else {
    evictedCount = run.addressLimiter.makeRoom(attempt.tuple.ip)
    tuples.insert(attempt.tuple, times)
  }
  return { result: 'new', isNewHost: false, evictedCount }
}

function hasJustPassed({ tables, policy, now }: AttemptRun, ip: string): boolean {
  const host = tables.hosts.get(ip)
  return host !== undefined && isFreshlyPromoted(host, policy, now)
}

/** undefined when the address is exempt from traps. */
function trap(run: AttemptRun, ip: string, result: 'trapped' | 'trapped-mx'): TupleOutcome | undefined {
  const { hosts } = run.tables
  const existing = hosts.get(ip)
  const trapped = trapHost(existing, run.policy, run.now)
  if (trapped === undefined) return undefined
  hosts.put(ip, existing, trapped)
  return { result, isNewHost: existing === undefined || result === 'trapped-mx', evictedCount: 0 }
}

/** Makes the address WHITE unless it is TRAPPED; one that is WHITE already stays as it is. */
function promote(run: AttemptRun, ip: string, tuple: EntryTimes): 'new' | 'known' | 'refused' {
  const { hosts } = run.tables
  if (hosts.insert(ip, promoteTuple(tuple, run.policy.whiteExpireSec, run.now))) return 'new'
  const existing = hosts.get(ip)
  return existing === undefined || isTrapped(existing) ? 'refused' : 'known'
}
