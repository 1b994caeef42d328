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
    if (counter.counts.size === 0) return
    const hour = Math.floor(first.stamp.time / 1000 / HOUR_SEC) * HOUR_SEC
    const statement = this.#connection.prepare(ADD)
    for (const [key, count] of counter.counts) {
      const at = key.indexOf(' ')
      statement.run(hour, key.slice(0, at), key.slice(at + 1), count)
    }
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
