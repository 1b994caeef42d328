/** The history for people: what each event did to which entry, and taking a manual one back. */
import { type Cause, type ChangeKey, type ChangeRule, tupleText } from './change.js'
import { deleteKey, selectKey } from './decide-edits.js'
import { importedMarks } from './decide-import.js'
import { type Draft, emptySelection, type Selection } from './draft.js'
import type { Entry, EntryKey } from './entry.js'
import type { Release } from './release.js'

/** What is kept: nothing, addresses alone, or senders and recipients as well. */
export const HISTORY_MODES = ['off', 'hosts', 'full'] as const
export type HistoryMode = (typeof HISTORY_MODES)[number]

export interface HistorySettings {
  mode: HistoryMode
  /** Rows older than this go. */
  keepSec: number
  /** The oldest go beyond so many. */
  keepRows: number
}

/** A month of events, and at most a million. */
export const DEFAULT_HISTORY: HistorySettings = { mode: 'full', keepSec: 30 * 86_400, keepRows: 1_000_000 }

/** Rules whose events can be taken back: those of people. */
export const UNDOABLE_RULES: readonly ChangeRule[] = ['manual', 'import', 'undo']

/** One entry changed by an event. Times are seconds since the Epoch. */
export interface HistoryRow {
  /** Goes up by one from row to row. */
  seq: number
  /** Number of the event: all rows of one command, or one transaction of a daemon, share it. */
  event: number
  at: number
  rule: ChangeRule
  /** Peer or user, where known; of a trap the recipient. */
  actor: string | undefined
  /** Undefined where the event is of no entry, or was too large for a row each: `summary` tells of it. */
  key: ChangeKey | undefined
  before: Entry | Release | undefined
  after: Entry | Release | undefined
  summary: string | undefined
}

/** Which program makes changes for a rule. */
export function programOf(rule: ChangeRule): string {
  switch (rule) {
    case 'manual':
      return 'spamdb'
    case 'import':
    case 'undo':
    case 'release':
    case 'allow':
      return 'spamdctl'
    case 'sighting':
    case 'untrap':
      return 'spamlogd'
    default:
      return 'spamd'
  }
}

/** What an event did to one key, first to last. */
export interface UndoStep {
  key: EntryKey
  before: Entry | undefined
  after: Entry | undefined
}

export interface UndoOutcome {
  /** Entries that were put back as they were. */
  restored: UndoStep[]
  /** Keys that changed since, or vanished. Without `force` they keep everything from being done. */
  changedSince: EntryKey[]
}

/** The keys that taking these steps back reads. */
export function selectUndo(steps: readonly UndoStep[]): Selection {
  const selection = emptySelection()
  for (const { key } of steps) selectKey(selection, key)
  return selection
}

/** Puts each entry back as it was before the event; all or, when one changed since and without `force`, none. */
export function decideUndo(
  draft: Draft,
  steps: readonly UndoStep[],
  options: { force: boolean; actor: string | undefined },
): UndoOutcome {
  const cause: Cause = { rule: 'undo', actor: options.actor }
  const changedSince = steps.filter(({ key, after }) => !isSameEntry(entryIn(draft, key), after))
  const outcome: UndoOutcome = { restored: [], changedSince: changedSince.map(({ key }) => key) }
  if (changedSince.length > 0 && !options.force) return outcome
  for (const [index, step] of steps.entries()) {
    draft.begin(index)
    if (isSameEntry(entryIn(draft, step.key), step.before)) continue
    putBack(draft, step, cause)
    outcome.restored.push(step)
  }
  return outcome
}

/** The entry under a key of a draft. */
export function entryIn(draft: Draft, key: EntryKey): Entry | undefined {
  switch (key.kind) {
    case 'host':
      return draft.host(key.ip).entry
    case 'spamtrap':
      return draft.spamtrap(key.address).entry
    case 'pool':
      return draft.pool(key.ip).entry
    case 'tuple':
      return draft.tuple(tupleText(key)).entry
  }
}

function putBack(draft: Draft, { key, before }: UndoStep, cause: Cause): void {
  if (before === undefined) {
    deleteKey(draft, key, cause)
    return
  }
  switch (before.kind) {
    case 'WHITE':
    case 'TRAPPED': {
      const stamp = draft.nextStamp()
      draft.putHost(before.ip, { entry: before, marks: importedMarks(before, stamp) }, stamp, cause)
      break
    }
    case 'SPAMTRAP': {
      const stamp = draft.nextStamp()
      draft.putSpamtrap(before.address, { entry: before, stamp }, stamp, cause)
      break
    }
    case 'POOL':
      draft.putPool(before.ip, { entry: before, reset: undefined }, draft.nextStamp(), cause)
      break
    case 'GREY':
      draft.putTuple(tupleText(before), before, { entry: before, marks: undefined }, cause)
  }
}

/** True when both are none, or equal in every field. */
function isSameEntry(one: Entry | undefined, other: Entry | undefined): boolean {
  return textOf(one) === textOf(other)
}

function textOf(entry: Entry | undefined): string {
  if (entry === undefined) return ''
  return JSON.stringify(
    Object.entries(entry)
      .filter(([, value]) => value !== undefined)
      .sort(),
  )
}
