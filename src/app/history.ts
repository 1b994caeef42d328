/** Reading the history: selecting events, and their text. */

import type { Store } from '../db/store.js'
import { CHANGE_RULES, type ChangeRule } from '../domain/change.js'
import { type HistoryRow, programOf } from '../domain/history.js'
import type { EntryQuery } from '../domain/query.js'
import { compileQuery, hasConditions } from '../domain/query-match.js'

export interface HistoryFilter {
  /** Events at or after this time, seconds since the Epoch. */
  sinceSec?: number | undefined
  /** One address, canonical: found by an index. */
  ip?: string | undefined
  /** Network, sender and recipient, as for listings; tested on the entry after the change, else before. */
  query: Pick<EntryQuery, 'network' | 'from' | 'to'>
  /** Empty: all. */
  rules: readonly ChangeRule[]
}

/** Rows that are read at a time. */
const BATCH_ROWS = 2000

/** True for a word that names a cause. */
export function isChangeRule(word: string): word is ChangeRule {
  return CHANGE_RULES.some((rule) => rule === word)
}

/** Matching rows after `after`, oldest first, in batches; continue with the last value of `position`. */
export async function* readMatching(
  store: Pick<Store, 'readHistory'>,
  filter: HistoryFilter,
  position: { after: number },
): AsyncGenerator<HistoryRow[]> {
  const matches = hasConditions(filter.query) ? compileQuery(filter.query) : () => true
  for (;;) {
    const rows = await store.readHistory({ after: position.after, limit: BATCH_ROWS, ip: filter.ip })
    const last = rows.at(-1)
    if (last === undefined) return
    position.after = last.seq
    const wanted = rows.filter(({ at, rule, key, before, after }) => {
      if (filter.sinceSec !== undefined && at < filter.sinceSec) return false
      if (filter.rules.length > 0 && !filter.rules.includes(rule)) return false
      const entry = after ?? before
      if (key === undefined || entry === undefined || entry.kind === 'RELEASE')
        return !hasConditions(filter.query)
      return matches(entry)
    })
    if (wanted.length > 0) yield wanted
    if (rows.length < BATCH_ROWS) return
  }
}

/** One row as plain data for programs; times are seconds since the Epoch. */
export interface HistoryRecord {
  event: number
  at: number
  program: string
  cause: ChangeRule
  actor: string | undefined
  key: HistoryRow['key']
  before: HistoryRow['before']
  after: HistoryRow['after']
  summary: string | undefined
}

/** The row with the program that made it. */
export function toRecord({ seq: _seq, decision: _decision, rule, ...row }: HistoryRow): HistoryRecord {
  return { ...row, cause: rule, program: programOf(rule) }
}

/** Number of newest rows that statistics read. */
export const MAX_STATISTICS_ROWS = 100_000

/** The rows since a time, oldest first, of the newest `MAX_STATISTICS_ROWS`. */
export async function* recentRows(
  store: Pick<Store, 'readHistory' | 'newestHistory'>,
  sinceSec: number,
): AsyncGenerator<HistoryRow> {
  let after = Math.max(0, (await store.newestHistory()) - MAX_STATISTICS_ROWS)
  for (;;) {
    const batch = await store.readHistory({ after, limit: BATCH_ROWS })
    for (const row of batch) if (row.at >= sinceSec) yield row
    after = batch.at(-1)?.seq ?? after
    if (batch.length < BATCH_ROWS) return
  }
}
