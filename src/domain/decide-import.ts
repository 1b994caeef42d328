import { type Cause, tupleText } from './change.js'
import { selectKey } from './decide-edits.js'
import { type Draft, emptySelection, type Selection } from './draft.js'
import type { Entry, HostEntry } from './entry.js'
import { keyOf } from './entry-key.js'
import type { HostMarks } from './held.js'
import { manualMarks } from './host-marks.js'
import { isPinned } from './host-state.js'
import type { UpsertCounts } from './requests.js'
import type { Stamp } from './stamp.js'

/** What must be loaded to decide an import. */
export function selectEntries(entries: readonly Entry[]): Selection {
  const selection = emptySelection()
  for (const entry of entries) selectKey(selection, keyOf(entry))
  return selection
}

const IMPORT: Cause = { rule: 'import' }

/** Decides about whole entries: each replaces the entry with its key, or is skipped with `ifMissing`. */
export function decideImport(
  draft: Draft,
  entries: readonly Entry[],
  { ifMissing }: { ifMissing: boolean },
): UpsertCounts {
  const counts: UpsertCounts = { added: 0, updated: 0, skipped: 0 }
  for (const [index, entry] of entries.entries()) {
    draft.begin(index)
    counts[decideEntry(draft, entry, ifMissing)] += 1
  }
  return counts
}

function decideEntry(draft: Draft, entry: Entry, ifMissing: boolean): keyof UpsertCounts {
  const isKnown = isOnRecord(draft, entry)
  if (isKnown && ifMissing) return 'skipped'
  putEntry(draft, entry)
  return isKnown ? 'updated' : 'added'
}

function isOnRecord(draft: Draft, entry: Entry): boolean {
  switch (entry.kind) {
    case 'WHITE':
    case 'TRAPPED':
      return draft.host(entry.ip).entry !== undefined
    case 'SPAMTRAP':
      return draft.spamtrap(entry.address).entry !== undefined
    case 'POOL':
      return draft.pool(entry.ip).entry !== undefined
    case 'GREY':
      return draft.tuple(tupleText(entry)).entry !== undefined
  }
}

function putEntry(draft: Draft, entry: Entry): void {
  switch (entry.kind) {
    case 'WHITE':
    case 'TRAPPED': {
      const stamp = draft.nextHostStamp(entry.ip)
      const after = withComment(entry, draft.host(entry.ip).entry?.comment)
      draft.putHost(entry.ip, { entry: after, marks: importedMarks(after, stamp) }, stamp, IMPORT)
      return
    }
    case 'SPAMTRAP': {
      const known = draft.spamtrap(entry.address)
      const stamp = draft.nextStamp(known.stamp)
      const after = withComment(entry, known.entry?.comment)
      draft.putSpamtrap(entry.address, { entry: after, stamp }, stamp, IMPORT)
      return
    }
    case 'POOL':
      draft.putPool(entry.ip, { entry, reset: undefined }, draft.nextStamp(), IMPORT)
      return
    case 'GREY': {
      const text = tupleText(entry)
      const epoch = draft.tuple(text).marks?.epoch
      draft.putTuple(text, entry, { entry, marks: epoch === undefined ? undefined : { epoch } }, IMPORT)
    }
  }
}

/** An imported entry without a comment keeps the existing one. */
function withComment<E extends { comment?: string }>(entry: E, known: string | undefined): E {
  return known === undefined ? entry : { comment: known, ...entry }
}

/** An import counts as a manual change: it overrides what gateways knew before. */
export function importedMarks(entry: HostEntry, stamp: Stamp): HostMarks {
  const pinned = isPinned(entry)
  const isFixed = pinned || entry.comment !== undefined
  return manualMarks(entry.kind, stamp, isFixed ? { pinned } : undefined)
}
