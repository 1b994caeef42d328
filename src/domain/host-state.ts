import type { EntryTimes, HostEntry } from './entry.js'
import { EXPIRE_NEVER } from './times.js'

/** Value of `pcount` that makes an address TRAPPED. Source: grey.h of OpenBSD spamd. */
export const TRAPPED_PCOUNT = -1

/** True when the record of an address is TRAPPED; it is WHITE otherwise. */
export function isTrapped(host: EntryTimes): boolean {
  return host.pcount === TRAPPED_PCOUNT
}

/** True when an administrator made the entry permanent; only another manual change undoes that. */
export function isPinned(host: Pick<EntryTimes, 'expire'>): boolean {
  return host.expire === EXPIRE_NEVER
}

/** Kind of the record of an address. */
export function hostKindOf(host: EntryTimes): HostEntry['kind'] {
  return isTrapped(host) ? 'TRAPPED' : 'WHITE'
}

/** The later of two removal times, where `EXPIRE_NEVER` is later than any. */
export function laterExpire(one: number, other: number): number {
  return one === EXPIRE_NEVER || other === EXPIRE_NEVER ? EXPIRE_NEVER : Math.max(one, other)
}
