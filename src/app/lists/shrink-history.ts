/** The largest size of a list on each of the last days, so that shrinking in small steps is noticed. Pure. */
import type { UnixSec } from '../../platform/clock.js'

/** The most entries that a list had on one day. */
export interface DayLargest {
  /** Days since 1970, UTC. */
  day: number
  entries: number
}

const HISTORY_DAYS = 30
const DAY_SEC = 86_400
/** A list below this part of its largest size is reported. */
const SHRINK_LIMIT = 0.5

/**
 * The history with the present size of a list. Sizes that no longer count are kept for the same time again, in case the
 * clock is temporarily wrong.
 */
export function addDay(history: readonly DayLargest[], nowSec: UnixSec, entries: number): DayLargest[] {
  const day = Math.floor(nowSec / DAY_SEC)
  const today = history.find((item) => item.day === day)
  if (today === undefined) return [...history, { day, entries }].slice(-2 * HISTORY_DAYS)
  return history.map((item) => (item === today ? { day, entries: Math.max(today.entries, entries) } : item))
}

/** The largest size within 30 days if `entries` is less than half of it, otherwise undefined. */
export function shrunkFrom(
  history: readonly DayLargest[],
  nowSec: UnixSec,
  entries: number,
): number | undefined {
  const day = Math.floor(nowSec / DAY_SEC)
  const recent = history.filter((item) => item.day <= day && item.day > day - HISTORY_DAYS)
  const largest = recent.reduce((most, item) => Math.max(most, item.entries), 0)
  return entries < largest * SHRINK_LIMIT ? largest : undefined
}

/** The history in a state file, whatever it contains. */
export function readHistory(value: unknown): DayLargest[] {
  if (!Array.isArray(value)) return []
  return value.filter(
    (item): item is DayLargest =>
      typeof item === 'object' &&
      item !== null &&
      Number.isInteger((item as DayLargest).day) &&
      Number.isInteger((item as DayLargest).entries),
  )
}
