import type { Entry } from '../domain/entry.js'
import type { Tables } from './manual-edits.js'
import type { UpsertCounts } from './store.js'

/** Stores whole entries within the caller's transaction; see `Store.upsert`. */
export function upsertEntries(
  tables: Tables,
  entries: readonly Entry[],
  options: { ifMissing: boolean },
): UpsertCounts {
  const counts: UpsertCounts = { added: 0, updated: 0, skipped: 0 }
  for (const entry of entries) counts[upsertEntry(tables, entry, options.ifMissing)] += 1
  tables.tuples.ages.flush()
  return counts
}

function upsertEntry(
  { hosts, tuples, spamtraps }: Tables,
  entry: Entry,
  ifMissing: boolean,
): keyof UpsertCounts {
  switch (entry.kind) {
    case 'WHITE':
    case 'TRAPPED':
      if (hosts.insert(entry.ip, entry, entry.comment)) return 'added'
      if (ifMissing) return 'skipped'
      hosts.update(entry.ip, entry, entry.comment)
      return 'updated'
    case 'SPAMTRAP':
      if (spamtraps.insert(entry.address, entry.first, entry.comment)) return 'added'
      if (ifMissing) return 'skipped'
      spamtraps.update(entry.address, entry.first, entry.comment)
      return 'updated'
    case 'GREY': {
      if (tuples.insert(entry, entry)) return 'added'
      if (ifMissing) return 'skipped'
      tuples.update(entry, tuples.get(entry)?.first ?? entry.first, entry)
      return 'updated'
    }
  }
}
