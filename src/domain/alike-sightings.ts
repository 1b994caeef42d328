/** Many sightings as one value; see alike-changes.ts. */
import type { AlikeChanges, KnownHost } from './alike-changes.js'
import type { HostChange } from './change.js'
import { decideSightings } from './decide-sightings.js'
import { Draft } from './draft.js'
import { isPinned } from './host-state.js'
import type { SightingOptions } from './requests.js'
import { type HybridClock, isAheadOf } from './stamp.js'

/** Sightings of different addresses, of which all or none have a record, with the same number. */
export interface SightingGroup {
  ips: readonly string[]
  count: number
  hasRecord: boolean
}

/** True when a sighting changes this record as it changes others: WHITE, not pinned, and not changed while a clock was ahead. */
export function isPlainSighting(known: KnownHost, clock: HybridClock, now: number): boolean {
  if (known.kind !== 'WHITE' || isPinned(known) || !known.hasGrantOnly) return false
  return clock.isAfter(known.latest) && (known.latest === undefined || !isAheadOf(known.latest, now))
}

/**
 * Decides the sightings of a group whose addresses have no stored state or, with `hasRecord`, a record that fits
 * `isPlainSighting`. The decision for one without a record applies to all of those; a record is only counted and lives
 * as long from now. Source: sighting.ts.
 */
export function decideAlikeSightings(
  { clock, now }: { clock: HybridClock; now: number },
  { ips, count, hasRecord }: SightingGroup,
  options: SightingOptions,
): AlikeChanges {
  const draft = new Draft(clock, now)
  decideSightings(draft, [{ ip: ips[0]!, count }], options)
  clock.skip(ips.length - 1)
  const added = draft.changes[0] as HostChange
  const again = {
    pass: undefined,
    expire: added.after.entry!.expire,
    passes: count,
    isKnown: ips.map(() => hasRecord),
    keepsGrant: true,
  }
  return {
    ips,
    first: hasRecord ? { ...added, before: added.after } : added,
    again: hasRecord ? again : undefined,
    changedSec: draft.changedSec,
  }
}
