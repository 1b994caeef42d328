/**
 * Rules for one delivery attempt and for what a scan finds. All times are seconds since the Epoch, all
 * lifetimes seconds. Source: greyupdate and greyscan of spamd's grey.c, with the corrections of
 * greylisting.md sections 4 and 6.
 */
import type { Entry, EntryTimes } from './entry.js'
import { isPinned, isTrapped, laterExpire, TRAPPED_PCOUNT } from './host-state.js'

/** Clocks of gateways that share tuples may differ by this much. */
export const CLOCK_TOLERANCE_SEC = 300

/** A tuple never seen before: `pass` equals `expire`, which means "not yet". */
export function newTuple(greyExpireSec: number, now: number): EntryTimes {
  const expire = now + greyExpireSec
  return { first: now, pass: expire, expire, bcount: 1, pcount: 0 }
}

/**
 * A known tuple seen again: counted, and passed when strictly more than `passSec` lie after its first
 * sighting.
 */
export function repeatTuple(tuple: EntryTimes, passSec: number, now: number): EntryTimes {
  return {
    ...tuple,
    pass: tuple.first + passSec < now ? now : tuple.pass,
    bcount: tuple.bcount + 1,
    pcount: 0,
  }
}

/** True when a tuple has waited and was retried in time; only `pass` and `expire` decide. */
export function hasPassed(tuple: EntryTimes, now: number): boolean {
  return tuple.pass <= now && now < tuple.expire
}

/** True when the scan removes an entry; `EXPIRE_NEVER` pins an address but means "at once" for a tuple. */
export function isHostExpired(host: EntryTimes, now: number): boolean {
  return !isPinned(host) && host.expire <= now
}

/** True when the scan removes an entry of any kind; a spamtrap stays. */
export function isExpired(entry: Entry, now: number): boolean {
  switch (entry.kind) {
    case 'SPAMTRAP':
      return false
    case 'WHITE':
    case 'TRAPPED':
      return isHostExpired(entry, now)
    case 'GREY':
    case 'POOL':
      return entry.expire <= now
  }
}

/** The WHITE record that a passed tuple becomes; the tuple is removed, so that deleting WHITE lasts. */
export function promoteTuple(tuple: EntryTimes, whiteExpireSec: number, now: number): EntryTimes {
  return {
    first: tuple.first,
    pass: tuple.pass,
    expire: now + whiteExpireSec,
    bcount: tuple.bcount,
    pcount: 0,
  }
}

/**
 * True for a WHITE address that came from a tuple which would still be on record if its promotion had not
 * removed it. A sender whose retry was seen tries the next MX at once and must not be mistaken for one that
 * started there.
 */
export function isFreshlyPromoted(
  host: EntryTimes,
  policy: { passSec: number; greyExpireSec: number },
  now: number,
): boolean {
  const hasWaited = host.first + policy.passSec < host.pass
  return !isTrapped(host) && hasWaited && now < host.first + policy.greyExpireSec
}

/**
 * The record of an address that sent to a trap, or tried the low-priority MX first: TRAPPED until
 * `trapExpireSec` from this hit, never shorter than before; a pinned one stays pinned. WHITE becomes TRAPPED
 * with the lifetime of traps, not with the remaining time of the WHITE entry.
 *
 * undefined for a pinned WHITE entry: an administrator's decision takes precedence over a trap.
 */
export function trapHost(
  existing: EntryTimes | undefined,
  policy: { passSec: number; trapExpireSec: number },
  now: number,
): EntryTimes | undefined {
  const expire = now + policy.trapExpireSec
  if (existing === undefined) {
    return { first: now, pass: expire, expire, bcount: 1, pcount: TRAPPED_PCOUNT }
  }
  const wasTrapped = isTrapped(existing)
  if (!wasTrapped && isPinned(existing)) return undefined
  return {
    first: existing.first,
    pass: existing.first + policy.passSec < now ? now : existing.pass,
    expire: wasTrapped ? laterExpire(existing.expire, expire) : expire,
    bcount: existing.bcount + 1,
    pcount: TRAPPED_PCOUNT,
  }
}
