import type { Change } from '../domain/change.js'
import { ChangeCounter, HOUR_SEC, type HourlyCount } from '../domain/hourly-counts.js'
import type { Connection } from './connection.js'

const ADD = `INSERT INTO hourly_counts (hour, name, label, count) VALUES (?, ?, ?, ?)
  ON CONFLICT (hour, name, label) DO UPDATE SET count = count + excluded.count`
const READ = 'SELECT hour, name, label, count FROM hourly_counts WHERE hour >= ? ORDER BY hour, name, label'
const OLDEST = 'SELECT min(hour) FROM hourly_counts'
/** A few hours at a time: a clock that is years ahead for an hour must not delete everything. */
const DROP = `DELETE FROM hourly_counts WHERE hour < ?
  AND hour IN (SELECT DISTINCT hour FROM hourly_counts ORDER BY hour LIMIT 3)`
/** A year and a month: the same weeks of two years can be compared. */
const KEEP_SEC = 396 * 86_400

/** Counters of the hours, written in the transaction of the changes. */
export class HourlyCounts {
  readonly #connection: Connection
  #trimmedHour = 0

  constructor(connection: Connection) {
    this.#connection = connection
  }

  /** Counts changes that were made at `nowSec`, seconds since the Epoch, each of them `times` times. */
  add(changes: readonly Change[], nowSec: number, times = 1): void {
    if (changes.length === 0) return
    const counter = new ChangeCounter()
    counter.add(changes, nowSec)
    const named = [...counter.counts].map(([key, count]) => {
      const at = key.indexOf(' ')
      return { name: key.slice(0, at), label: key.slice(at + 1), count: count * times }
    })
    this.addNamed(named, nowSec)
  }

  /** Adds to the hour of `now`, in seconds, within a transaction of the caller. */
  addNamed(counts: readonly Omit<HourlyCount, 'hour'>[], now: number): void {
    if (counts.length === 0) return
    const hour = Math.floor(now / HOUR_SEC) * HOUR_SEC
    const statement = this.#connection.prepare(ADD)
    for (const { name, label, count } of counts) statement.run(hour, name, label, count)
    if (hour === this.#trimmedHour) return
    this.#trimmedHour = hour
    const oldest = this.#connection.prepare(OLDEST).pluck().get() as number
    if (oldest < hour - KEEP_SEC) this.#connection.prepare(DROP).run(hour - KEEP_SEC)
  }

  /** Counters of the hours from `sinceSec` on. */
  read(sinceSec: number): HourlyCount[] {
    if (!this.#connection.hasMarks) return []
    return this.#connection.prepare(READ).all(Math.floor(sinceSec / HOUR_SEC) * HOUR_SEC) as HourlyCount[]
  }
}
