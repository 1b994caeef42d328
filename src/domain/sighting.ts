import type { EntryTimes } from './entry.js'
import { isPinned, isTrapped, laterExpire } from './host-state.js'
import { EXPIRE_NEVER } from './times.js'

/** What `applySighting` decided; `host` is the record to store, absent when nothing changes. */
export type SightingDecision =
  | { outcome: 'added' | 'refreshed' | 'untrapped'; host: EntryTimes }
  | { outcome: 'left-trapped'; host?: never }

/**
 * The record of an address after the log watcher saw it `count` times (1 or more) since its last update. The
 * first sighting makes the record, each further one adds to `pcount`. A pinned entry stays pinned. A clock that is behind
 * never shortens an entry, which would have expired once the clock is right again.
 *
 * Unlike the original, TRAPPED stays TRAPPED: such a host sent mail to a trap, and our reply does not change
 * that. With `untrap` it becomes WHITE with `pass` now, so that the next scan opens the firewall for it; a
 * pinned TRAPPED entry was set by an administrator and stays. Source: dbupdate of spamlogd.c; spamlogd.md
 * section 3.
 */
export function applySighting(
  existing: EntryTimes | undefined,
  count: number,
  options: { whiteExpireSec: number; untrap: boolean; isClockBehind?: boolean },
  now: number,
): SightingDecision {
  const expire = now + options.whiteExpireSec
  if (existing === undefined) {
    return { outcome: 'added', host: { first: now, pass: now, expire, bcount: 1, pcount: count - 1 } }
  }
  if (isTrapped(existing)) {
    if (!options.untrap || isPinned(existing)) return { outcome: 'left-trapped' }
    return { outcome: 'untrapped', host: { ...existing, pass: now, expire, pcount: count - 1 } }
  }
  return {
    outcome: 'refreshed',
    host: {
      ...existing,
      expire: isPinned(existing)
        ? EXPIRE_NEVER
        : options.isClockBehind === true
          ? laterExpire(existing.expire, expire)
          : expire,
      pcount: existing.pcount + count,
    },
  }
}
