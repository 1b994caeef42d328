import { formatSpamdbLine } from '../../codec/database/spamdb-text.js'
import { ENTRY_KINDS, type Entry, type EntryKind } from '../../domain/entry.js'
import type { EntryQuery } from '../../domain/query.js'
import { compileQuery } from '../../domain/query-match.js'
import type { Connection } from '../connection.js'
import { entriesOfRange } from '../tables/entry-rows.js'
import { hasSpecialBytes } from '../tables/special-bytes.js'
import { type KeyRange, walkRanges } from './key-ranges.js'
import { planKind } from './kind-plan.js'

/** The lines of each kind, made by SQLite itself: no row becomes an object. Source: database.md section 4. */
const LINES: Readonly<Record<EntryKind, string>> = {
  WHITE:
    "'WHITE|' || ip || '|||' || first || '|' || pass || '|' || expire || '|' || bcount || '|' || pcount || char(10)",
  TRAPPED: "'TRAPPED|' || ip || '|' || expire || char(10)",
  SPAMTRAP: "'SPAMTRAP|' || address || char(10)",
  GREY: `'GREY|' || ip || '|' || helo || '|' || "from" || '|' || "to" || '|' || first || '|' || pass || '|' || expire || '|' || bcount || '|' || pcount || char(10)`,
}

/**
 * The classic listing of what a query wants, without its `sort` and `limit`, as bytes: WHITE, TRAPPED, SPAMTRAP, GREY, each by key, in chunks of a
 * few hundred KiB. Control characters within fields are escaped as `formatSpamdbLine` does.
 */
export function* listTextOf(connection: Connection, query: EntryQuery): Generator<Uint8Array> {
  const matches = compileQuery(query)
  for (const kind of ENTRY_KINDS) {
    const plan = planKind(query, kind)
    if (plan === undefined) continue
    const visit = (range: KeyRange): Uint8Array =>
      plan.isExact
        ? linesOfRange(kind, range, plan.filter)
        : formatEntries(entriesOfRange(kind, range, plan.filter).filter(matches))
    for (const scope of plan.scopes) {
      for (const bytes of walkRanges(connection, 'listText', kind, visit, scope)) {
        if (bytes.length > 0) yield bytes
      }
    }
  }
}

function linesOfRange(kind: EntryKind, range: KeyRange, filter: string | undefined): Uint8Array {
  const [lines, lineCount] = range.select(`CAST(group_concat(${LINES[kind]}, '') AS BLOB), count(*)`, filter)
  if (lines === null) return new Uint8Array(0)
  const bytes = lines as Buffer
  if (!hasSpecialBytes(bytes, lineCount as number)) return bytes
  return formatEntries(entriesOfRange(kind, range, filter))
}

/** The lines of entries, as `listTextOf` gives them. */
export function formatEntries(entries: readonly Entry[]): Uint8Array {
  const lines = entries.map((entry) => `${formatSpamdbLine(entry)}\n`)
  return Buffer.from(lines.join(''), 'latin1')
}
