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

/** What has to be on hand to decide an import. */
export function selectEntries(entries: readonly Entry[]): Selection {
  const selection = emptySelection()
  for (const entry of entries) selectKey(selection, keyOf(entry))
  return selection
}

const IMPORT: Cause = { rule: 'import' }

/** Decides about whole entries: each replaces what is under its key, or is skipped with `ifMissing`. */
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
  switch (entry.kind) {
    case 'WHITE':
    case 'TRAPPED': {
      const { entry: known } = draft.host(entry.ip)
      if (known !== undefined && ifMissing) return 'skipped'
      const stamp = draft.nextStamp()
      const after: HostEntry = known?.comment === undefined ? entry : { comment: known.comment, ...entry }
      draft.putHost(entry.ip, { entry: after, marks: importedMarks(after, stamp) }, stamp, IMPORT)
      return known === undefined ? 'added' : 'updated'
    }
    case 'SPAMTRAP': {
      const { entry: known } = draft.spamtrap(entry.address)
      if (known !== undefined && ifMissing) return 'skipped'
      const stamp = draft.nextStamp()
      const after = known?.comment === undefined ? entry : { comment: known.comment, ...entry }
      draft.putSpamtrap(entry.address, { entry: after, stamp }, stamp, IMPORT)
      return known === undefined ? 'added' : 'updated'
    }
    case 'POOL': {
      const { entry: known } = draft.pool(entry.ip)
      if (known !== undefined && ifMissing) return 'skipped'
      draft.putPool(entry.ip, { entry, reset: undefined }, draft.nextStamp(), IMPORT)
      return known === undefined ? 'added' : 'updated'
    }
    case 'GREY': {
      const text = tupleText(entry)
      const { entry: known, marks } = draft.tuple(text)
      if (known !== undefined && ifMissing) return 'skipped'
      const epoch = marks?.epoch
      draft.putTuple(text, entry, { entry, marks: epoch === undefined ? undefined : { epoch } }, IMPORT)
      return known === undefined ? 'added' : 'updated'
    }
  }
}

/** What an import says counts as said by hand: it replaces what gateways had before. */
export function importedMarks(entry: HostEntry, stamp: Stamp): HostMarks {
  const pinned = isPinned(entry)
  const isFixed = pinned || entry.comment !== undefined
  return manualMarks(entry.kind, stamp, isFixed ? { pinned } : undefined)
}
