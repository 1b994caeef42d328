import type { EntryKey } from '../domain/entry.js'
import { addHostByHand } from '../domain/manual-host.js'
import type { EditOutcome, ManualEdit } from './store.js'
import type { HostTable } from './tables/host-table.js'
import type { SpamtrapTable } from './tables/spamtrap-table.js'
import type { TupleTable } from './tables/tuple-table.js'

/** The tables of an open database. */
export interface Tables {
  hosts: HostTable
  tuples: TupleTable
  spamtraps: SpamtrapTable
}

/** Applies the edits of an administrator in order, within the caller's transaction. */
export function applyEdits(tables: Tables, edits: readonly ManualEdit[], now: number): EditOutcome[] {
  const outcomes = edits.map((edit) => applyEdit(tables, edit, now))
  tables.tuples.ages.flush()
  return outcomes
}

function applyEdit(tables: Tables, edit: ManualEdit, now: number): EditOutcome {
  switch (edit.operation) {
    case 'add':
      return edit.kind === 'SPAMTRAP' ? addSpamtrap(tables, edit, now) : addHost(tables, edit, now)
    case 'delete':
      return deleteKey(tables, edit.key) ? 'deleted' : 'missing'
    case 'delete-tuples':
      return deleteTuples(tables.tuples, edit.ip, edit.all) ? 'deleted' : 'missing'
  }
}

type AddEdit = Extract<ManualEdit, { operation: 'add' }>

function addHost(
  { hosts }: Tables,
  { ip, kind, options }: Extract<AddEdit, { kind: 'WHITE' | 'TRAPPED' }>,
  now: number,
): EditOutcome {
  // Most keys are new: trying the insert first saves them a look-up.
  if (hosts.insert(ip, addHostByHand(undefined, kind, options?.expire, now), options?.comment)) return 'added'
  if (options?.ifMissing === true) return 'skipped'
  hosts.update(ip, addHostByHand(hosts.get(ip), kind, options?.expire, now), options?.comment)
  return 'updated'
}

function addSpamtrap(
  { spamtraps }: Tables,
  { address, options }: Extract<AddEdit, { kind: 'SPAMTRAP' }>,
  now: number,
): EditOutcome {
  if (spamtraps.insert(address, now, options?.comment)) return 'added'
  if (options?.ifMissing === true) return 'skipped'
  if (options?.comment !== undefined) spamtraps.update(address, undefined, options.comment)
  return 'updated'
}

/** Deletes whatever is stored under a key; false when there is nothing. */
export function deleteKey(tables: Tables, key: EntryKey): boolean {
  switch (key.kind) {
    case 'host':
      return tables.hosts.delete(key.ip)
    case 'spamtrap':
      return tables.spamtraps.delete(key.address)
    case 'tuple':
      return tables.tuples.delete(key)
  }
}

function deleteTuples(tuples: TupleTable, ip: string, isAll: boolean): boolean {
  if (isAll) return tuples.deleteAll(ip) > 0
  const [oldest] = tuples.oldestOf(ip, 1)
  return oldest !== undefined && tuples.deleteStored(oldest)
}
