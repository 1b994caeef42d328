import { ENTRY_KINDS, type Entry, type EntryKind } from '../../domain/entry.js'
import type { EntryQuery } from '../../domain/query.js'
import { compileQuery } from '../../domain/query-match.js'
import type { Connection } from '../connection.js'
import type { EntryCounts } from '../store.js'
import { entriesOfRange } from '../tables/entry-rows.js'
import type { RangeKind } from '../tables/kind-tables.js'
import { type KeyRange, type KeyScope, selectWhole, walkRanges } from './key-ranges.js'
import { planKind } from './kind-plan.js'

/**
 * Matching entries in the order WHITE, TRAPPED, SPAMTRAP, GREY, POOL, each by key, in chunks; `query.sort` is the
 * caller's matter. Chunks are never empty.
 */
export function* listInKeyOrder(connection: Connection, query: EntryQuery): Generator<Entry[]> {
  let left = query.limit ?? Number.POSITIVE_INFINITY
  const matches = compileQuery(query)
  for (const kind of ENTRY_KINDS) {
    const plan = planKind(query, kind)
    if (plan === undefined) continue
    const visit = (range: KeyRange): Entry[] => {
      const entries = entriesOfRange(kind, range, plan.filter)
      return plan.isExact ? entries : entries.filter(matches)
    }
    for (const scope of plan.scopes) {
      if (left <= 0) return
      for (const entries of walkRanges(connection, 'list', kind, visit, scope)) {
        if (entries.length > left) entries.length = left
        left -= entries.length
        if (entries.length > 0) yield entries
        if (left <= 0) return
      }
    }
  }
}

/** Tuples as every writer counts them in its transaction; `checkDatabase` compares this with the rows. */
export const COUNTED_TUPLES = 'SELECT coalesce(sum(tuple_count), 0) FROM tuple_ages WHERE age IN (-1, -3)'

/** See `Store.countTuplesBefore`. */
export function countTuplesBefore(connection: Connection, times: readonly number[]): number[] {
  if (times.length === 0) return []
  const columns = times.map(() => 'count(*) FILTER (WHERE first < ?)')
  return connection.prepareRaw(`SELECT ${columns.join(', ')} FROM tuples`).get(...times) as number[]
}

/** How many entries of each kind match; `sort` and `limit` play no part. */
export function countEntries(connection: Connection, query: EntryQuery): EntryCounts {
  const counts: EntryCounts = { WHITE: 0, TRAPPED: 0, SPAMTRAP: 0, GREY: 0, POOL: 0 }
  const matches = compileQuery(query)
  for (const kind of ENTRY_KINDS) {
    const plan = planKind(query, kind)
    if (plan === undefined) continue
    for (const scope of plan.scopes) {
      if (plan.isExact) {
        counts[kind] += connection.read('count', () => countWhole(connection, kind, scope, plan.filter))
        continue
      }
      const visit = (range: KeyRange): number =>
        entriesOfRange(kind, range, plan.filter).filter(matches).length
      for (const count of walkRanges(connection, 'count', kind, visit, scope)) counts[kind] += count
    }
  }
  return counts
}

function countWhole(
  connection: Connection,
  kind: EntryKind,
  scope: KeyScope | undefined,
  filter: string | undefined,
): number {
  const count = (of: RangeKind): number => selectWhole(connection, of, 'count(*)', scope, filter)[0] as number
  if (kind === 'GREY' && scope === undefined && filter === undefined) {
    return connection.prepare(COUNTED_TUPLES).pluck().get() as number
  }
  // Both of these are counted without a look at rows.
  if (kind === 'WHITE' && scope === undefined && filter === undefined) return count('HOST') - count('TRAPPED')
  return count(kind)
}
