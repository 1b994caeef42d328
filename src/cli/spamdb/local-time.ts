/** Characters of a local time, a year of four digits provided. */
export const LOCAL_TIME_CHARS = '2026-11-22T11:30+01:00'.length

/** Farthest time that a Date holds, in seconds. Source: ECMA-262, time values. */
const MAX_DATE_SEC = 8_640_000_000_000
/** Minutes that are kept: more than the life of a WHITE entry and the age of the oldest together. */
const MAX_KNOWN = 262_144

/**
 * What writes a time as local ISO 8601 to the minute, with its offset: `2026-11-22T11:30+01:00`; beyond what a date holds,
 * the number. It remembers each minute: a million entries are written within few of them.
 */
export function openLocalTime(): (timeSec: number) => string {
  const known = new Map<number, string>()
  let lastMinute = Number.NaN
  let lastText = ''
  return (timeSec) => {
    const minute = Math.floor(timeSec / 60)
    // A tuple passes when it expires: half of all times are the one before.
    if (minute === lastMinute) return lastText
    let text = known.get(minute)
    if (text === undefined) {
      if (known.size >= MAX_KNOWN) known.clear()
      text = formatMinute(timeSec)
      known.set(minute, text)
    }
    lastMinute = minute
    lastText = text
    return text
  }
}

function formatMinute(timeSec: number): string {
  if (Math.abs(timeSec) >= MAX_DATE_SEC - 86_400) return String(timeSec)
  const date = new Date(timeSec * 1000)
  const offsetMin = -date.getTimezoneOffset()
  const shifted = new Date(timeSec * 1000 + offsetMin * 60_000).toISOString().slice(0, -8)
  const sign = offsetMin < 0 ? '-' : '+'
  const hours = String(Math.floor(Math.abs(offsetMin) / 60)).padStart(2, '0')
  const minutes = String(Math.abs(offsetMin) % 60).padStart(2, '0')
  return `${shifted}${sign}${hours}:${minutes}`
}
