/** How often someone else's server is contacted. Pure. */
import type { UnixSec } from '../platform/clock.js'
import { type FeedMethod, isRemote } from './feed.js'
import { MAX_PATIENCE_SEC } from './http-freshness.js'
import type { SourceState } from './list-store.js'

/** Minimum time between two requests for one list: the least that providers of public lists ask for. */
const MIN_INTERVAL_SEC = 3_600

/**
 * A recorded time; undefined for one in the future, because the clock went back since and its age is unknown. After a
 * small correction of the clock it counts as now.
 */
export function pastSec(notedSec: UnixSec | undefined, nowSec: UnixSec): UnixSec | undefined {
  if (notedSec === undefined || notedSec > nowSec + MIN_INTERVAL_SEC) return undefined
  return Math.min(notedSec, nowSec)
}

/**
 * The time before which the source must not be requested again, or undefined if it may be requested now. Local
 * methods may always be used, and so may a source that was never requested with this method and location. A
 * state from the future (the clock went back) is ignored.
 */
export function notBefore(
  source: { method: FeedMethod; location: string },
  state: SourceState | undefined,
  nowSec: UnixSec,
): UnixSec | undefined {
  if (!isRemote(source.method) || state === undefined) return undefined
  if (state.method !== source.method || state.location !== source.location) return undefined
  if (state.lastTrySec !== undefined && pastSec(state.lastTrySec, nowSec) === undefined) return undefined
  let untilSec = 0
  if (state.lastTrySec !== undefined && state.lastTrySec <= nowSec) {
    untilSec = state.lastTrySec + MIN_INTERVAL_SEC
  }
  if (state.notBeforeSec !== undefined && state.notBeforeSec <= nowSec + MAX_PATIENCE_SEC) {
    untilSec = Math.max(untilSec, state.notBeforeSec)
  }
  return untilSec > nowSec ? untilSec : undefined
}
