import { statSync } from 'node:fs'
import { countText } from '../../codec/count-text.js'
import { ENTRY_KINDS } from '../../domain/entry.js'
import { AppError } from '../../platform/app-error.js'
import type { Connection } from '../connection.js'
import { toDbError } from '../db-error.js'
import { COUNTED_TUPLES, countEntries } from '../listing/listing.js'
import type { CheckReport } from '../store.js'

/** Maximum number of findings listed, so that a badly damaged file does not flood a terminal. */
const MAX_PROBLEMS = 100

/** Runs SQLite's integrity check and compares the count of tuples that limits rely on; see `Store.check`. */
export function checkDatabase(connection: Connection): CheckReport {
  return connection.read('check', () => {
    const problems: string[] = []
    const { database, location } = connection
    unlessDamaged(problems, () => {
      // Row by row: damage that stops the check itself must not lose the findings before it.
      const check = database.prepare<[], { integrity_check: string }>(
        `PRAGMA integrity_check(${MAX_PROBLEMS})`,
      )
      for (const { integrity_check: text } of check.iterate()) {
        // The findings of one table are one text of many lines.
        if (text !== 'ok') problems.push(...text.split('\n'))
      }
    })
    const counts = unlessDamaged(problems, () => ({
      ...countEntries(connection, { kinds: ENTRY_KINDS }),
      GREY: database.prepare('SELECT count(*) FROM tuples').pluck().get() as number,
    }))
    const counted = unlessDamaged(problems, () => database.prepare(COUNTED_TUPLES).pluck().get())
    if (problems.length === 0 && counts !== undefined && counted !== counts.GREY) {
      problems.push(
        `${countText(counts.GREY, 'tuple is', 'tuples are')} stored, but ${String(counted)} were counted`,
      )
    }
    const bytes = unlessDamaged(problems, () => database.prepare(TUPLE_BYTES).pluck().get())
    const countedBytes = unlessDamaged(problems, () => database.prepare(COUNTED_BYTES).pluck().get())
    // Databases that only a newer writer will upgrade have no such count.
    if (problems.length === 0 && countedBytes !== undefined && countedBytes !== bytes) {
      problems.push(`tuples hold ${String(bytes)} bytes, but ${String(countedBytes)} were counted`)
    }
    return {
      isSound: problems.length === 0,
      problems: problems.slice(0, MAX_PROBLEMS),
      schemaVersion: database.pragma('user_version', { simple: true }) as number,
      counts,
      sizeBytes: statSync(location).size,
    }
  })
}

const TUPLE_BYTES =
  'SELECT coalesce(sum(octet_length(helo) + octet_length("from") + octet_length("to")), 0) FROM tuples'
const COUNTED_BYTES = 'SELECT tuple_count FROM tuple_ages WHERE age = -2'

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
