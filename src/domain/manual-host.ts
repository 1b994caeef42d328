import type { EntryTimes, HostEntry } from './entry.js'
import { hostKindOf, isPinned, TRAPPED_PCOUNT } from './host-state.js'
import { EXPIRE_NEVER, TRAP_EXPIRE_SEC, WHITE_EXPIRE_SEC } from './times.js'

/** How an addition by hand changes a record of its own kind that is not pinned; times in seconds since the Epoch. */
export interface RepeatedAddition {
  /** undefined: stays as it is. */
  pass: number | undefined
  expire: number
  /** What is added to `pcount`. */
  passes: number
}

/** The same for every such record. Source: dbupdate of spamdb.c. */
export function repeatedAddition(kind: HostEntry['kind'], now: number): RepeatedAddition {
  return kind === 'WHITE'
    ? { pass: now, expire: now + WHITE_EXPIRE_SEC, passes: 1 }
    : { pass: undefined, expire: now + TRAP_EXPIRE_SEC, passes: 0 }
}

/**
 * The record of an address after `spamdb -a` (WHITE) or `spamdb -a -t` (TRAPPED). `existing` is the record
 * under that address, undefined when there is none. Times in seconds since the Epoch.
 *
 * `expire` is the administrator's own removal time (0 pins); undefined stands for the kind's default from
 * `now`, except that a pinned entry of the same kind stays pinned, so that a script that repeats its `-a`
 * does not remove the pin. Source: dbupdate of spamdb.c; database.md section 6.1.
 */
export function addHostByHand(
  existing: EntryTimes | undefined,
  kind: HostEntry['kind'],
  expire: number | undefined,
  now: number,
): EntryTimes {
  const repeated = repeatedAddition(kind, now)
  if (existing === undefined) {
    return {
      first: now,
      pass: kind === 'WHITE' ? now : 0,
      expire: expire ?? repeated.expire,
      bcount: 1,
      pcount: kind === 'WHITE' ? 0 : TRAPPED_PCOUNT,
    }
  }
  const keepsPin = isPinned(existing) && hostKindOf(existing) === kind
  return {
    ...existing,
    pass: repeated.pass ?? existing.pass,
    expire: expire ?? (keepsPin ? EXPIRE_NEVER : repeated.expire),
    pcount: kind === 'WHITE' ? existing.pcount + repeated.passes : TRAPPED_PCOUNT,
  }
}
