import { ENTRY_KINDS, type Entry, type EntryKind } from '../../domain/entry.js'
import type { EntryQuery, SortField } from '../../domain/query.js'
import { sortKeyOf } from '../../domain/query-match.js'
import type { Connection } from '../connection.js'
import type { SqliteStatement } from '../sqlite-driver.js'
import type { LineForm } from '../store.js'
import { entriesOfRange } from '../tables/entry-rows.js'
import { findFirst, RANGE_ROWS } from './key-ranges.js'
import { planKind } from './kind-plan.js'
import { listInKeyOrder } from './listing.js'
import { renderEntries } from './listing-text.js'
import { isNumberField, listLinesByNumber } from './sorted-lines.js'
import { limitSql, SortedRows } from './sorted-rows.js'

/**
 * Matching entries by one field, ties in the usual order of a listing, entries without that field last. A
 * temporary table does the sorting, so that memory stays bounded; nothing else waits for it.
 */
export function* listSorted(connection: Connection, query: EntryQuery, field: SortField): Generator<Entry[]> {
  const { limit, sort: _sort, isDescending, ...conditions } = query
  if (limit !== undefined && limit <= MAX_FIRST) {
    const first = findFirstSorted(connection, query, field, limit)
    if (first !== undefined) {
      if (first.length > 0) yield first
      return
    }
  }
  const rows = SortedRows.open(connection, query, field)
  if (rows !== undefined) {
    try {
      yield* rows.entries()
    } finally {
      rows.close()
    }
    return
  }
  const sorter = new EntrySorter(connection, field)
  try {
    for (const entries of listInKeyOrder(connection, conditions)) sorter.add(entries)
    yield* sorter.sorted(limit, isDescending === true ? 'DESC' : 'ASC')
  } finally {
    sorter.close()
  }
}

/** The same as lines: made by SQLite where it can tell exactly what is wanted. */
export function* listSortedText(
  connection: Connection,
  query: EntryQuery,
  field: SortField,
  form: LineForm,
): Generator<Uint8Array> {
  const isFirstOnly = query.limit !== undefined && query.limit <= MAX_FIRST
  if (!isFirstOnly && isNumberField(field) && form.name !== 'wide') {
    yield* listLinesByNumber(connection, query, field, form)
    return
  }
  const rows = isFirstOnly ? undefined : SortedRows.open(connection, query, field)
  if (rows === undefined) {
    for (const entries of listSorted(connection, query, field)) yield renderEntries(form, entries)
    return
  }
  try {
    yield* rows.lines(form)
  } finally {
    rows.close()
  }
}

/** The part of a connection that sorting needs. */
export type SortingConnection = Pick<Connection, 'database' | 'read' | 'nextTemporaryNumber'>

/** Sorts any number of entries in bounded memory, in a temporary table of SQLite. */
export class EntrySorter {
  readonly #connection: SortingConnection
  readonly #field: SortField
  readonly #table: string
  readonly #insert: SqliteStatement

  constructor(connection: SortingConnection, field: SortField) {
    this.#connection = connection
    this.#field = field
    this.#table = `sorted_${connection.nextTemporaryNumber()}`
    const { database } = connection
    connection.read('list', () => database.exec(`CREATE TEMP TABLE ${this.#table} (sort_key, entry)`))
    this.#insert = database.prepare<unknown[], unknown>(`INSERT INTO temp.${this.#table} VALUES (?, ?)`)
  }

  /** Entries in the usual order of a listing, which ties keep. */
  add(entries: readonly Entry[]): void {
    const { database } = this.#connection
    this.#connection.read('list', () => {
      database.exec('BEGIN')
      for (const entry of entries) {
        this.#insert.run(sortKeyOf(entry, this.#field) ?? null, JSON.stringify(entry))
      }
      database.exec('COMMIT')
    })
  }

  /** All that was added, sorted, in chunks. */
  *sorted(limit: number | undefined, direction: 'ASC' | 'DESC'): Generator<Entry[]> {
    yield* readSorted(this.#connection, this.#table, limit, direction)
  }

  close(): void {
    const { database } = this.#connection
    if (!database.open) return
    database.exec(`DROP TABLE temp.${this.#table}; DROP TABLE IF EXISTS temp.${this.#table}_ordered`)
  }
}

/** Up to here the first entries are picked out instead of sorting all. */
const MAX_FIRST = RANGE_ROWS

/**
 * The first `limit` entries: of each kind those that SQLite finds, then the first of those. undefined when SQLite
 * cannot tell exactly what is wanted, or how it is ordered.
 */
function findFirstSorted(
  connection: Connection,
  query: EntryQuery,
  field: SortField,
  limit: number,
): Entry[] | undefined {
  if (field === 'ip') return undefined
  const direction = query.isDescending === true ? -1 : 1
  const found: { entry: Entry; key: string | number | undefined }[] = []
  for (const kind of ENTRY_KINDS) {
    const plan = planKind(query, kind)
    if (plan === undefined) continue
    if (!plan.isExact) return undefined
    const order = hasField(kind, field) ? `"${field}" ${direction < 0 ? 'DESC' : 'ASC'}` : ''
    for (const scope of plan.scopes) {
      const entries = connection.read('list', () =>
        entriesOfRange(kind, findFirst(connection, kind, scope, plan.filter, { order, limit })),
      )
      for (const entry of entries) found.push({ entry, key: sortKeyOf(entry, field) })
    }
  }
  // Equal entries keep the order in which they were found, which is that of a listing.
  found.sort(({ key: one }, { key: other }) => {
    if (one === other) return 0
    if (one === undefined) return 1
    if (other === undefined) return -1
    return one < other ? -direction : direction
  })
  return found.slice(0, limit).map(({ entry }) => entry)
}

/** True when the table of a kind has a column to sort by. */
function hasField(kind: EntryKind, field: SortField): boolean {
  if (field === 'kind') return false
  if (field === 'helo' || field === 'from' || field === 'to') return kind === 'GREY'
  return field === 'first' || kind !== 'SPAMTRAP'
}

function* readSorted(
  connection: SortingConnection,
  table: string,
  limit: number | undefined,
  direction: 'ASC' | 'DESC',
): Generator<Entry[]> {
  const { database } = connection
  connection.read('list', () =>
    database.exec(
      `CREATE TEMP TABLE ${table}_ordered AS
       SELECT entry FROM temp.${table} ORDER BY sort_key IS NULL, sort_key ${direction}, rowid${limitSql(limit)}`,
    ),
  )
  const page = database
    .prepare(`SELECT entry FROM temp.${table}_ordered WHERE rowid > ? LIMIT ${RANGE_ROWS}`)
    .pluck()
  for (let after = 0; ; after += RANGE_ROWS) {
    const texts = connection.read('list', () => page.all(after) as string[])
    if (texts.length === 0) return
    yield texts.map((text) => JSON.parse(text) as Entry)
  }
}
