import { statSync } from 'node:fs'
import { AppError } from '../platform/app-error.js'
import type { Connection } from './connection.js'
import { toDbError } from './db-error.js'
import { countEntries } from './listing.js'
import type { CheckReport, EntryCounts } from './store.js'

/** Findings listed at most, so that a badly damaged file does not flood a terminal. */
const MAX_PROBLEMS = 100

/** Runs SQLite's integrity check and compares the count of tuples that limits rely on; see `Store.check`. */
export function checkDatabase(connection: Connection): CheckReport {
  return connection.read('check', () => {
    const problems: string[] = []
    const { database, location } = connection
    const findings = unlessDamaged(problems, () => database.pragma(`integrity_check(${MAX_PROBLEMS})`))
    for (const { integrity_check: text } of (findings ?? []) as { integrity_check: string }[]) {
      if (text !== 'ok') problems.push(text)
    }
    const counts = unlessDamaged(problems, () => countEntries(connection, {})) ?? NO_ENTRIES
    const counted = unlessDamaged(problems, () => database.prepare(COUNTED_TUPLES).pluck().get())
    if (problems.length === 0 && counted !== counts.GREY) {
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

const COUNTED_TUPLES = 'SELECT tuple_count FROM tuple_ages WHERE age = -1'
const NO_ENTRIES: EntryCounts = { WHITE: 0, TRAPPED: 0, SPAMTRAP: 0, GREY: 0 }

/** What `look` finds; damage that stops it becomes a problem, once. */
function unlessDamaged<Found>(problems: string[], look: () => Found): Found | undefined {
  try {
    return look()
  } catch (error) {
    const reason = toDbError(error)
    if (!(reason instanceof AppError) || reason.code !== 'ERR_DB_CORRUPT') throw error
    if (!problems.includes(reason.message)) problems.push(reason.message)
    return undefined
  }
}
