/** Seconds of each unit of a duration; minutes and weeks as in sleep(1) and systemd. */
const UNIT_SEC: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 }

/** Maximum length of the text: more than any sensible duration needs, and cheap to read. */
const MAX_DURATION_CHARS = 64

/**
 * Maximum duration, 1,000 years: sums with the current time stay exact and far below any limit of dates.
 * @internal The tests go to the limit and beyond it.
 */
export const MAX_DURATION_SEC = 31_557_600_000

/**
 * Seconds of a duration such as `90s`, `25m`, `4h`, `36d`, `2w` or a sum of them in falling order
 * (`1d12h`); a bare number is seconds. Only ASCII digits and lower-case units, no sign, no fraction, no
 * blanks. `undefined` for anything else, and above `MAX_DURATION_SEC`.
 *
 * @example parseDuration('36d') // 3110400
 */
export function parseDuration(text: string): number | undefined {
  if (text === '' || text.length > MAX_DURATION_CHARS) return undefined
  if (/^[0-9]+$/.test(text)) return withinLimit(Number(text))
  if (!/^(?:[0-9]+w)?(?:[0-9]+d)?(?:[0-9]+h)?(?:[0-9]+m)?(?:[0-9]+s)?$/.test(text)) return undefined
  let totalSec = 0
  for (const [, digits = '', unit = ''] of text.matchAll(/([0-9]+)([wdhms])/g)) {
    totalSec += Number(digits) * UNIT_SEC[unit]!
  }
  return withinLimit(totalSec)
}

/**
 * Duration text for people, rounded down to its two largest units: `36d`, `4h 30m`, `1m 30s` for 90 seconds, `0s`. A
 * negative duration has a leading `-`.
 */
export function formatDuration(durationSec: number): string {
  const sign = durationSec < 0 ? '-' : ''
  let restSec = Math.abs(Math.trunc(durationSec))
  const parts: string[] = []
  for (const unit of ['d', 'h', 'm', 's']) {
    const unitSec = UNIT_SEC[unit]!
    const amount = Math.floor(restSec / unitSec)
    if (amount > 0) parts.push(`${amount}${unit}`)
    else if (parts.length > 0) break
    if (parts.length === 2) break
    restSec -= amount * unitSec
  }
  return sign + (parts.join(' ') || '0s')
}

/** True for a bare number other than 0: a user who writes 36 as a lifetime often means days, hardly seconds. */
export function hasNoUnit(duration: string): boolean {
  return /^[0-9]+$/.test(duration) && Number(duration) !== 0
}

/** Suggestion in place of a duration without a unit. */
export function hintForUnit(duration: string): string {
  return `write ${duration}d for days, ${duration}h for hours or ${duration}s for seconds`
}

function withinLimit(seconds: number): number | undefined {
  return seconds <= MAX_DURATION_SEC ? seconds : undefined
}
