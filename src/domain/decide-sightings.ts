import type { Cause } from './change.js'
import { type Draft, emptySelection, type Selection } from './draft.js'
import type { HostEntry } from './entry.js'
import { grantedMarks, latestMark, manualMarks, refreshedMarks } from './host-marks.js'
import { isPinned } from './host-state.js'
import type { Sighting, SightingOptions, SightingOutcome } from './requests.js'
import { applySighting } from './sighting.js'
import { isAheadOf } from './stamp.js'

/** What must be loaded to decide sightings. */
export function selectSightings(sightings: readonly Sighting[]): Selection {
  const selection = emptySelection()
  for (const { ip } of sightings) selection.hosts.add(ip)
  return selection
}

const SEEN: Cause = { rule: 'sighting' }
const UNTRAPPED: Cause = { rule: 'untrap' }

/** Decides what the log watcher saw, in order; see sighting.ts. */
export function decideSightings(
  draft: Draft,
  sightings: readonly Sighting[],
  options: SightingOptions,
): SightingOutcome[] {
  return sightings.map(({ ip, count }, index) => {
    draft.begin(index)
    const { entry, marks } = draft.host(ip)
    const latest = latestMark(marks)
    // Or the clock was ahead at that time.
    const isClockBehind = latest !== undefined && isAheadOf(latest, draft.now)
    const decision = applySighting(entry, count, { ...options, isClockBehind }, draft.now)
    if (decision.host === undefined) return { result: decision.outcome }
    const stamp = draft.nextStamp(latest)
    const { first, pass, expire, bcount, pcount } = decision.host
    const after: HostEntry = { kind: 'WHITE', ip, first, pass, expire, bcount, pcount }
    if (entry?.comment !== undefined) after.comment = entry.comment
    switch (decision.outcome) {
      case 'added':
        draft.putHost(ip, { entry: after, marks: grantedMarks(draft.marksOf(ip), stamp) }, stamp, SEEN)
        break
      case 'refreshed': {
        // Only an administrator changes the registers of a pinned entry: it was only counted.
        const isFixed = entry !== undefined && isPinned(entry)
        draft.putHost(
          ip,
          { entry: after, marks: isFixed ? marks : refreshedMarks(draft.marksOf(ip), stamp) },
          stamp,
          SEEN,
        )
        break
      }
      case 'untrapped': {
        const hand = after.comment === undefined ? undefined : { pinned: false }
        draft.putHost(ip, { entry: after, marks: manualMarks('WHITE', stamp, hand) }, stamp, UNTRAPPED)
      }
    }
    return { result: decision.outcome, expire }
  })
}
