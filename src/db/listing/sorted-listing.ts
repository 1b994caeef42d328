import type { Entry } from '../../domain/entry.js'
import type { EntryQuery, SortField } from '../../domain/query.js'
import { sortKeyOf } from '../../domain/query-match.js'
import type { Connection } from '../connection.js'
import { RANGE_ROWS } from './key-ranges.js'
import { listInKeyOrder } from './listing.js'

/**
 * Matching entries by one field, ties in the usual order of a listing, entries without that field last. A
 * temporary table does the sorting, so that memory stays bounded; nothing else waits for it.
 */
export function* listSorted(connection: Connection, query: EntryQuery, field: SortField): Generator<Entry[]> {
  const { limit, sort: _sort, isDescending, ...conditions } = query
  const table = `sorted_${connection.nextTemporaryNumber()}`
  const database = connection.database
  connection.read('list', () => database.exec(`CREATE TEMP TABLE ${table} (sort_key, entry)`))
  try {
    const insert = database.prepare(`INSERT INTO temp.${table} VALUES (?, ?)`)
    for (const entries of listInKeyOrder(connection, conditions)) {
      connection.read('list', () => {
        database.exec('BEGIN')
        for (const entry of entries) insert.run(sortKeyOf(entry, field) ?? null, JSON.stringify(entry))
        database.exec('COMMIT')
      })
    }
    yield* readSorted(connection, table, limit, isDescending === true ? 'DESC' : 'ASC')
  } finally {
    if (database.open) database.exec(`DROP TABLE temp.${table}; DROP TABLE IF EXISTS temp.${table}_ordered`)
  }
}

function* readSorted(
  connection: Connection,
  table: string,
  limit: number | undefined,
  direction: 'ASC' | 'DESC',
): Generator<Entry[]> {
  const { database } = connection
  connection.read('list', () =>
    database.exec(
      `CREATE TEMP TABLE ${table}_ordered AS
       SELECT entry FROM temp.${table} ORDER BY sort_key IS NULL, sort_key ${direction}, rowid LIMIT ${limit ?? -1}`,
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
