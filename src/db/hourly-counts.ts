import type { Change } from '../domain/change.js'
import { ChangeCounter, HOUR_SEC, type HourlyCount } from '../domain/hourly-counts.js'
import type { Connection } from './connection.js'

const ADD = `INSERT INTO hourly_counts (hour, name, label, count) VALUES (?, ?, ?, ?)
  ON CONFLICT (hour, name, label) DO UPDATE SET count = count + excluded.count`
const READ = 'SELECT hour, name, label, count FROM hourly_counts WHERE hour >= ? ORDER BY hour, name, label'
const DROP = 'DELETE FROM hourly_counts WHERE hour < ?'
/** A year and a month: the same weeks of two years can be compared. */
const KEEP_SEC = 396 * 86_400

/** Counters of the hours, written in the transaction of the changes. */
export class HourlyCounts {
  readonly #connection: Connection
  #trimmedHour = 0

  constructor(connection: Connection) {
    this.#connection = connection
  }

  add(changes: readonly Change[]): void {
    const first = changes[0]
    if (first === undefined) return
    const counter = new ChangeCounter()
    counter.add(changes)
    const named = [...counter.counts].map(([key, count]) => {
      const at = key.indexOf(' ')
      return { name: key.slice(0, at), label: key.slice(at + 1), count }
    })
    this.addNamed(named, first.stamp.time / 1000)
  }

  /** Adds to the hour of `now`, in seconds, within a transaction of the caller. */
  addNamed(counts: readonly Omit<HourlyCount, 'hour'>[], now: number): void {
    if (counts.length === 0) return
    const hour = Math.floor(now / HOUR_SEC) * HOUR_SEC
    const statement = this.#connection.prepare(ADD)
    for (const { name, label, count } of counts) statement.run(hour, name, label, count)
    if (hour === this.#trimmedHour) return
    this.#trimmedHour = hour
    this.#connection.prepare(DROP).run(hour - KEEP_SEC)
  }

  /** Counters of the hours from `sinceSec` on. */
  read(sinceSec: number): HourlyCount[] {
    if (!this.#connection.hasMarks) return []
    return this.#connection.prepare(READ).all(Math.floor(sinceSec / HOUR_SEC) * HOUR_SEC) as HourlyCount[]
  }
}
