import { isUtf8 } from 'node:buffer'
import { formatSpamdbLine } from '../../codec/database/spamdb-text.js'
import { ENTRY_KINDS, type Entry, type EntryKind } from '../../domain/entry.js'
import type { EntryQuery } from '../../domain/query.js'
import { compileQuery } from '../../domain/query-match.js'
import type { Connection } from '../connection.js'
import type { LineForm } from '../store.js'
import { entriesOfRange } from '../tables/entry-rows.js'
import { hasSpecialBytes } from '../tables/special-bytes.js'
import { type KeyRange, walkRanges } from './key-ranges.js'
import { planKind } from './kind-plan.js'
import { hasCsvToQuote, lineSqlOf } from './line-forms.js'

/** The classic listing. */
export const CLASSIC_FORM: LineForm = {
  name: 'classic',
  render: (entries) => entries.map((entry) => `${formatSpamdbLine(entry)}\n`).join(''),
}

/**
 * What a query wants, without its `sort` and `limit`, as the bytes of lines: WHITE, TRAPPED, SPAMTRAP, GREY, each
 * by key, in chunks of a few hundred KiB. SQLite makes the lines, so that no row becomes an object; where a field
 * has to be escaped or quoted, `form` renders the range.
 */
export function* listTextOf(
  connection: Connection,
  query: EntryQuery,
  form: LineForm,
): Generator<Uint8Array> {
  const matches = compileQuery(query)
  for (const kind of ENTRY_KINDS) {
    const plan = planKind(query, kind)
    if (plan === undefined) continue
    const visit = (range: KeyRange): Uint8Array =>
      plan.isExact
        ? linesOfRange(form, kind, range, plan.filter)
        : renderEntries(form, entriesOfRange(kind, range, plan.filter).filter(matches))
    for (const scope of plan.scopes) {
      for (const bytes of walkRanges(connection, 'listText', kind, visit, scope)) {
        if (bytes.length > 0) yield bytes
      }
    }
  }
}

function linesOfRange(
  form: LineForm,
  kind: EntryKind,
  range: KeyRange,
  filter: string | undefined,
): Uint8Array {
  const { line, special } = lineSqlOf(form.name, kind)
  const aggregates = `CAST(group_concat(${line}, '') AS BLOB), count(*), ${special}`
  const [lines, lineCount, specialCount] = range.select(aggregates, filter)
  if (lines === null) return new Uint8Array(0)
  const bytes = lines as Buffer
  const isPlain = specialCount === 0 && !hasSpecialBytes(bytes, lineCount as number)
  if (isPlain && isFinished(form, bytes, lineCount as number)) return bytes
  return renderEntries(form, entriesOfRange(kind, range, filter))
}

/** True when lines without special bytes are as `form` would render them. */
export function isFinished({ name }: LineForm, bytes: Buffer, lineCount: number): boolean {
  if (name === 'classic' || name === 'wide') return true
  if (name === 'csv') return !hasCsvToQuote(bytes, lineCount)
  // JSON is UTF-8: other bytes are written as escapes.
  return isUtf8(bytes)
}

/** The lines of entries, as `listTextOf` gives them. */
export function renderEntries(form: LineForm, entries: readonly Entry[]): Uint8Array {
  return Buffer.from(form.render(entries), 'latin1')
}
