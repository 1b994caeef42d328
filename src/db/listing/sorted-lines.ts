/** Lines of a listing in the order of a number: SQLite makes them and gives each its number, the line sorter sorts. */
import { ENTRY_KINDS, type Entry, type EntryKind } from '../../domain/entry.js'
import type { EntryQuery, SortField } from '../../domain/query.js'
import { compileQuery, sortKeyOf } from '../../domain/query-match.js'
import type { Connection } from '../connection.js'
import type { LineForm } from '../store.js'
import { entriesOfRange } from '../tables/entry-rows.js'
import { hasSpecialBytes } from '../tables/special-bytes.js'
import { type KeyRange, walkRanges } from './key-ranges.js'
import { planKind } from './kind-plan.js'
import { endedLineSqlOf } from './line-forms.js'
import { LineSorter } from './line-sorter.js'
import { isFinished } from './listing-text.js'

/** Fields that are numbers. */
export type NumberField = 'first' | 'pass' | 'expire' | 'bcount' | 'pcount'

/** True for a field that is a number. */
export function isNumberField(field: SortField): field is NumberField {
  return ['first', 'pass', 'expire', 'bcount', 'pcount'].includes(field)
}

const LINE_FEED = 0x0a
const SPACE = 0x20
const MINUS = 0x2d
const ZERO = 0x30
/** A comma and a line feed: before a line of JSON in a listing, after it while it is sorted. */
const SEPARATOR = Uint8Array.of(0x2c, LINE_FEED)

/**
 * Matching entries as lines sorted by a number, ties in the usual order of a listing, entries without that field last.
 * They are a consistent snapshot, sorted before the first chunk is returned.
 */
export function* listLinesByNumber(
  connection: Connection,
  query: EntryQuery,
  field: NumberField,
  form: LineForm,
): Generator<Uint8Array> {
  const sorter = new LineSorter(query.limit)
  try {
    connection.read('list', () => {
      connection.database.exec('BEGIN')
      try {
        for (const kind of ENTRY_KINDS) addKind(connection, sorter, { query, kind, field, form })
      } finally {
        if (connection.database.inTransaction) connection.database.exec('COMMIT')
      }
    })
    for (const lines of sorter.sorted()) {
      if (form.name === 'json') separateInFront(lines)
      yield lines
    }
  } finally {
    sorter.close()
  }
}

interface Part {
  query: EntryQuery
  kind: EntryKind
  field: NumberField
  form: LineForm
}

function addKind(connection: Connection, sorter: LineSorter, part: Part): void {
  const { query, kind, form } = part
  const plan = planKind(query, kind)
  if (plan === undefined) return
  const matches = compileQuery(query)
  const sign = query.isDescending === true ? -1 : 1
  const visit = (range: KeyRange): void => {
    if (plan.isExact && addLines(sorter, range, part, { filter: plan.filter, sign })) return
    const entries = entriesOfRange(kind, range, plan.filter)
    const wanted = plan.isExact ? entries : entries.filter(matches)
    addEntries(sorter, wanted, { field: part.field, form, sign })
  }
  for (const scope of plan.scopes) {
    for (const _ of walkRanges(connection, 'list', kind, visit, scope));
  }
}

/** Adds the lines of a range as made by SQLite; false if some must be made from entries. */
function addLines(
  sorter: LineSorter,
  range: KeyRange,
  { kind, field, form }: Part,
  { filter, sign }: { filter: string | undefined; sign: 1 | -1 },
): boolean {
  const hasKey = kind !== 'SPAMTRAP' || field === 'first'
  const { line, special } = endedLineSqlOf(form.name, kind)
  const record = `${hasKey ? field : 0} || ' ' || ${line}`
  const aggregates = `CAST(group_concat(${record}, '') AS BLOB), count(*), ${special}`
  const [blob, lineCount, specialCount] = range.select(aggregates, filter) as [Buffer | null, number, number]
  if (blob === null) return true
  if (specialCount !== 0 || hasSpecialBytes(blob, lineCount) || !isFinished(form, blob, lineCount))
    return false
  sorter.addBytes(blob, lineCount)
  const { length } = blob
  let at = 0
  for (let index = 0; index < lineCount; index += 1) {
    const isNegative = blob[at] === MINUS
    if (isNegative) at += 1
    let value = 0
    for (; blob[at] !== SPACE; at += 1) value = value * 10 + blob[at]! - ZERO
    at += 1
    const end = blob.indexOf(LINE_FEED, at) + 1
    const key = isNegative ? -value : value
    sorter.addLine(hasKey ? sign * key : Number.POSITIVE_INFINITY, length - end, end - at)
    at = end
  }
  return true
}

function addEntries(
  sorter: LineSorter,
  entries: readonly Entry[],
  { field, form, sign }: { field: NumberField; form: LineForm; sign: 1 | -1 },
): void {
  for (const entry of entries) {
    const bytes = Buffer.from(form.render([entry]), 'latin1')
    if (form.name === 'json') separateBehind(bytes)
    const key = sortKeyOf(entry, field) as number | undefined
    sorter.addBytes(bytes, 1)
    sorter.addLine(key === undefined ? Number.POSITIVE_INFINITY : sign * key, 0, bytes.length)
  }
}

/** Moves the separator of lines of JSON from their end to their start. */
function separateInFront(lines: Uint8Array): void {
  lines.copyWithin(2, 0, lines.length - 2)
  lines.set(SEPARATOR)
}

/** Moves the separator of a line of JSON from its start to its end. */
function separateBehind(line: Uint8Array): void {
  line.copyWithin(0, 2)
  line.set(SEPARATOR, line.length - 2)
}
