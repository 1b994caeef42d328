/**
 * What an entry received from a sync peer does to the record of its address. Times are seconds since the
 * Epoch. A pinned entry is never changed by a peer. Source: sync_recv of spamd's sync.c; greylisting.md
 * section 9.
 */
import type { EntryTimes } from './entry.js'
import { isPinned, isTrapped, laterExpire, TRAPPED_PCOUNT } from './host-state.js'

/**
 * The record to store, or undefined when the message is ignored: `expire` already past, or WHITE for a
 * TRAPPED address (traps are undone by hand or by time, not by a peer that has not seen the trap).
 */
export function applyPeerHost(
  existing: EntryTimes | undefined,
  kind: 'WHITE' | 'TRAPPED',
  expire: number,
  now: number,
): EntryTimes | undefined {
  if (expire < now) return undefined
  if (existing === undefined) {
    return { first: now, pass: 0, expire, bcount: 0, pcount: kind === 'WHITE' ? 0 : TRAPPED_PCOUNT }
  }
  const wasTrapped = isTrapped(existing)
  if (kind === 'WHITE') {
    if (wasTrapped) return undefined
    return { ...existing, expire: laterExpire(existing.expire, expire), pcount: existing.pcount + 1 }
  }
  if (!wasTrapped && isPinned(existing)) return undefined
  return {
    ...existing,
    expire: wasTrapped ? laterExpire(existing.expire, expire) : expire,
    bcount: existing.bcount + 1,
    pcount: TRAPPED_PCOUNT,
  }
}

/** Whether a peer's deletion removes the record: any kind, unless pinned here. */
export function canPeerDelete(existing: EntryTimes | undefined): boolean {
  return existing !== undefined && !isPinned(existing)
}
