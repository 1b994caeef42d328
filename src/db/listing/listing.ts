import { ENTRY_KINDS, type Entry, type EntryKind } from '../../domain/entry.js'
import type { EntryQuery } from '../../domain/query.js'
import { compileQuery, hasConditions } from '../../domain/query-match.js'
import type { Connection } from '../connection.js'
import type { EntryCounts } from '../store.js'
import { entriesOfRange } from '../tables/entry-rows.js'
import { type KeyRange, walkRanges } from './key-ranges.js'

/**
 * Matching entries in the order WHITE, TRAPPED, SPAMTRAP, GREY, each by key, in chunks; `query.sort` is the
 * caller's matter. Chunks are never empty.
 */
export function* listInKeyOrder(connection: Connection, query: EntryQuery): Generator<Entry[]> {
  let left = query.limit ?? Number.POSITIVE_INFINITY
  const matches = hasConditions(query) ? compileQuery(query) : undefined
  for (const kind of ENTRY_KINDS) {
    if (query.kinds !== undefined && !query.kinds.includes(kind)) continue
    if (query.ip !== undefined && kind === 'SPAMTRAP') continue
    if (left <= 0) return
    const visit = (range: KeyRange): Entry[] => entriesOfRange(kind, range)
    for (let entries of walkRanges(connection, 'list', kind, visit, query.ip)) {
      if (matches !== undefined) entries = entries.filter(matches)
      if (entries.length > left) entries.length = left
      left -= entries.length
      if (entries.length > 0) yield entries
      if (left <= 0) return
    }
  }
}

const COUNT_ALL = `SELECT
  (SELECT count(*) FROM hosts) AS hosts,
  (SELECT count(*) FROM hosts WHERE pcount = -1) AS trapped,
  (SELECT count(*) FROM spamtraps) AS spamtraps,
  (SELECT count(*) FROM tuples) AS tuples`

/** How many entries of each kind match; `sort` and `limit` play no part. */
export function countEntries(connection: Connection, query: EntryQuery): EntryCounts {
  const counts: EntryCounts = { WHITE: 0, TRAPPED: 0, SPAMTRAP: 0, GREY: 0 }
  if (hasConditions(query)) {
    const { limit: _limit, ...unlimited } = query
    for (const entries of listInKeyOrder(connection, unlimited)) {
      for (const entry of entries) counts[entry.kind] += 1
    }
    return counts
  }
  const row = connection.read(
    'count',
    () => connection.prepare(COUNT_ALL).get() as Record<'hosts' | 'trapped' | 'spamtraps' | 'tuples', number>,
  )
  const all: EntryCounts = {
    WHITE: row.hosts - row.trapped,
    TRAPPED: row.trapped,
    SPAMTRAP: row.spamtraps,
    GREY: row.tuples,
  }
  const isWanted = (kind: EntryKind): boolean => query.kinds === undefined || query.kinds.includes(kind)
  for (const kind of ENTRY_KINDS) if (isWanted(kind)) counts[kind] = all[kind]
  return counts
}
