import type { LineBytes } from './line-bytes.js'

/** Characters of a local time, a year of four digits provided. */
export const LOCAL_TIME_CHARS = '2026-11-22T11:30+01:00'.length

/** Latest time that a Date can represent, in seconds. Source: ECMA-262, time values. */
const MAX_DATE_SEC = 8_640_000_000_000
/** Number of minutes that are cached: more than the lifetime of a WHITE entry plus the age of the oldest. */
const MAX_KNOWN = 262_144

/**
 * Formats a time as local ISO 8601 to the minute, with its offset: `2026-11-22T11:30+01:00`; beyond the range
 * of a date, as a number. It caches each minute: a million entries fall into few of them.
 */
export function openLocalTime(): (timeSec: number) => string {
  const known = new Map<number, string>()
  let lastMinute = Number.NaN
  let lastText = ''
  return (timeSec) => {
    const minute = Math.floor(timeSec / 60)
    // A tuple passes when it expires: half of all times equal the previous one.
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

/** Minutes in the cache of `LocalTimeBytes`: those of three months. */
const SLOTS = 131_072

/** As `openLocalTime`, into lines of bytes: no text is made for a minute in the cache. */
export class LocalTimeBytes {
  readonly #minutes = new Float64Array(SLOTS).fill(Number.NaN)
  readonly #texts = new Uint8Array(SLOTS * LOCAL_TIME_CHARS)

  /** Adds a time; returns how many characters it has. */
  addTo(lines: LineBytes, timeSec: number): number {
    const minute = Math.floor(timeSec / 60)
    const slot = minute & (SLOTS - 1)
    const start = slot * LOCAL_TIME_CHARS
    if (this.#minutes[slot] !== minute) {
      const text = formatMinute(timeSec)
      if (text.length !== LOCAL_TIME_CHARS) {
        lines.text(text)
        return text.length
      }
      this.#minutes[slot] = minute
      this.#texts.set(Buffer.from(text, 'latin1'), start)
    }
    lines.copy(this.#texts, start, start + LOCAL_TIME_CHARS)
    return LOCAL_TIME_CHARS
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
