import { statSync } from 'node:fs'
import type { Connection } from './connection.js'
import { countEntries } from './listing.js'
import type { CheckReport } from './store.js'

/** Findings listed at most, so that a badly damaged file does not flood a terminal. */
const MAX_PROBLEMS = 100

/** Runs SQLite's integrity check and compares the count of tuples that limits rely on; see `Store.check`. */
export function checkDatabase(connection: Connection): CheckReport {
  const { database, location } = connection
  return connection.read('check', () => {
    const findings = database.pragma(`integrity_check(${MAX_PROBLEMS})`) as { integrity_check: string }[]
    const problems = findings.map((finding) => finding.integrity_check).filter((text) => text !== 'ok')
    const counts = countEntries(connection, {})
    const counted = database.prepare('SELECT tuple_count FROM tuple_ages WHERE age = -1').pluck().get()
    if (counted !== counts.GREY) {
      problems.push(`${counts.GREY} tuples are stored, but ${String(counted)} were counted`)
    }
    return {
      isSound: problems.length === 0,
      problems,
      schemaVersion: database.pragma('user_version', { simple: true }) as number,
      counts,
      sizeBytes: statSync(location).size,
    }
  })
}
