/** `spamdb -d` with filters: every entry that a query finds, deleted as one event of the history. */
import type { Store } from '../../db/store.js'
import type { Change } from '../../domain/change.js'
import type { Entry, EntryKey } from '../../domain/entry.js'
import type { EntryQuery } from '../../domain/query.js'

/** What a deletion needs of a store. */
export type DeletionStore = Pick<Store, 'list' | 'count' | 'edit' | 'load'>

/** Number of entries deleted per transaction, so that the daemons are not blocked. */
const MAX_ENTRIES_PER_TRANSACTION = 10_000

/**
 * Deletes what matches, in transactions of bounded size, and returns the number of deleted entries. Within
 * one open store this is one event, which `undo` reverts as a whole. `onChanged` receives the changes of each
 * transaction after they are stored.
 */
export async function deleteMatching(
  store: Pick<Store, 'list'>,
  editor: Pick<Store, 'edit'>,
  query: EntryQuery,
  now: number,
  options: {
    actor?: string | undefined
    onChanged?: ((changes: readonly Change[]) => void | Promise<void>) | undefined
  } = {},
): Promise<number> {
  let deletedCount = 0
  let keys: EntryKey[] = []
  const flush = async (): Promise<void> => {
    if (keys.length === 0) return
    const edits = keys.map((key) => ({ operation: 'delete', key }) as const)
    keys = []
    const { outcomes, changes } = await editor.edit(edits, now, { actor: options.actor })
    deletedCount += outcomes.filter((outcome) => outcome === 'deleted').length
    await options.onChanged?.(changes)
  }
  for await (const entries of store.list(query)) {
    for (const entry of entries) {
      keys.push(keyOf(entry))
      if (keys.length >= MAX_ENTRIES_PER_TRANSACTION) await flush()
    }
  }
  await flush()
  return deletedCount
}

function keyOf(entry: Entry): EntryKey {
  switch (entry.kind) {
    case 'WHITE':
    case 'TRAPPED':
      return { kind: 'host', ip: entry.ip }
    case 'SPAMTRAP':
      return { kind: 'spamtrap', address: entry.address }
    case 'GREY':
      return { kind: 'tuple', ip: entry.ip, helo: entry.helo, from: entry.from, to: entry.to }
    case 'POOL':
      return { kind: 'pool', ip: entry.ip }
  }
}
