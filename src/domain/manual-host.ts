import type { EntryTimes, HostEntry } from './entry.js'
import { hostKindOf, isPinned, TRAPPED_PCOUNT } from './host-state.js'
import { EXPIRE_NEVER, TRAP_EXPIRE_SEC, WHITE_EXPIRE_SEC } from './times.js'

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
  const defaultExpire = now + (kind === 'WHITE' ? WHITE_EXPIRE_SEC : TRAP_EXPIRE_SEC)
  if (existing === undefined) {
    return {
      first: now,
      pass: kind === 'WHITE' ? now : 0,
      expire: expire ?? defaultExpire,
      bcount: 1,
      pcount: kind === 'WHITE' ? 0 : TRAPPED_PCOUNT,
    }
  }
  const keepsPin = isPinned(existing) && hostKindOf(existing) === kind
  const newExpire = expire ?? (keepsPin ? EXPIRE_NEVER : defaultExpire)
  return kind === 'WHITE'
    ? { ...existing, pass: now, expire: newExpire, pcount: existing.pcount + 1 }
    : { ...existing, expire: newExpire, pcount: TRAPPED_PCOUNT }
}
