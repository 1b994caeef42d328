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

const QUARTER_SEC = 900
/** Quarters of an hour in the cache of `LocalTimeBytes`: five months of them still fit into the processor's cache. */
const SLOTS = 16_384
/** Where the minutes are in a text. */
const MINUTES_AT = '2026-11-22T11:'.length
const ZERO = 0x30

/** As `openLocalTime`, but writes into lines of bytes: a cached quarter of an hour needs no text. */
export class LocalTimeBytes {
  readonly #quarters = new Float64Array(SLOTS).fill(Number.NaN)
  readonly #texts = new Uint8Array(SLOTS * LOCAL_TIME_CHARS)
  /** The minute in which each begins: not 0, 15, 30 or 45 in every zone. */
  readonly #startMinutes = new Uint8Array(SLOTS)

  /** Adds a time; returns how many characters it has. */
  addTo(lines: LineBytes, timeSec: number): number {
    const quarter = Math.floor(timeSec / QUARTER_SEC)
    const slot = quarter & (SLOTS - 1)
    if (this.#quarters[slot] !== quarter && !this.#know(quarter, slot)) {
      const text = formatMinute(timeSec)
      lines.text(text)
      return text.length
    }
    const start = slot * LOCAL_TIME_CHARS
    const minutes = this.#startMinutes[slot]! + Math.floor((timeSec - quarter * QUARTER_SEC) / 60)
    const tens = Math.floor(minutes / 10)
    this.#texts[start + MINUTES_AT] = ZERO + tens
    this.#texts[start + MINUTES_AT + 1] = ZERO + minutes - tens * 10
    lines.copy(this.#texts, start, start + LOCAL_TIME_CHARS)
    return LOCAL_TIME_CHARS
  }

  /** Caches a quarter of an hour; false if its texts differ in more than the minutes. */
  #know(quarter: number, slot: number): boolean {
    const text = formatMinute(quarter * QUARTER_SEC)
    const last = formatMinute((quarter + 1) * QUARTER_SEC - 60)
    const minutes = Number(text.slice(MINUTES_AT, MINUTES_AT + 2))
    const expected = `${text.slice(0, MINUTES_AT)}${minutes + 14}${text.slice(MINUTES_AT + 2)}`
    if (text.length !== LOCAL_TIME_CHARS || last !== expected) return false
    this.#quarters[slot] = quarter
    this.#startMinutes[slot] = minutes
    this.#texts.set(Buffer.from(text, 'latin1'), slot * LOCAL_TIME_CHARS)
    return true
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
