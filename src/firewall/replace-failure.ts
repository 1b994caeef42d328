import { reasonOf } from '../platform/errno-text.js'

/** What pf's error of a failed replace begins with. */
export function replaceTask(tableName: string): string {
  return `cannot replace table ${tableName}`
}

/** The reason of a failed replace without that: the daemon's line begins as the original's, `/sbin/pfctl returned status 1`. */
export function replaceReason(error: unknown, tableName: string): string {
  return reasonOf(error).replace(`${replaceTask(tableName)}: `, '')
}
