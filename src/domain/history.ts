/** The history for people: what each event did to which entry, and undoing a manual event. */
import type { AllowDecision } from './allow.js'
import { type Cause, type ChangeKey, type ChangeRule, tupleText } from './change.js'
import { deleteKey, selectKey } from './decide-edits.js'
import { importedMarks } from './decide-import.js'
import { type Draft, emptySelection, type Selection } from './draft.js'
import type { Entry, EntryKey } from './entry.js'
import type { Release } from './release.js'

/** What is kept: nothing, only addresses, or senders and recipients too. */
export const HISTORY_MODES = ['off', 'hosts', 'full'] as const
export type HistoryMode = (typeof HISTORY_MODES)[number]

export interface HistorySettings {
  mode: HistoryMode
  /** Older rows are deleted. */
  keepSec: number
  /** Beyond this number the oldest are deleted. */
  keepRows: number
}

/** A month of events, and at most a million. */
export const DEFAULT_HISTORY: HistorySettings = { mode: 'full', keepSec: 30 * 86_400, keepRows: 1_000_000 }

/** Rules whose events can be undone: those by people. */
export const UNDOABLE_RULES: readonly ChangeRule[] = ['manual', 'import', 'undo']

/** One entry changed by an event. Times are seconds since the Epoch. */
export interface HistoryRow {
  /** Increases by one from row to row. */
  seq: number
  /** Number of the event: all rows of one command, or one transaction of a daemon, share it. */
  event: number
  at: number
  rule: ChangeRule
  /** Peer or user, where known; of a trap the recipient. */
  actor: string | undefined
  /** Undefined for an event that concerns no entry, or was too large for one row per entry: see `summary`. */
  key: ChangeKey | undefined
  before: Entry | Release | undefined
  after: Entry | Release | undefined
  summary: string | undefined
  /** Of an event of the rule `allow`: what somebody decided. */
  decision?: AllowDecision | undefined
}

/** A row for an event that concerns no entry, or is too large for a row each. */
export type HistorySummary = { text: string; decision?: AllowDecision | undefined }

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
  /** Entries that were restored. */
  restored: UndoStep[]
  /** Keys that have changed since, or no longer exist. Without `force` they prevent everything. */
  changedSince: EntryKey[]
}

/** The keys that undoing these steps reads. */
export function selectUndo(steps: readonly UndoStep[]): Selection {
  const selection = emptySelection()
  for (const { key } of steps) selectKey(selection, key)
  return selection
}

/**
 * Restores each entry to its state before the event: all of them, or none when one has changed since and
 * `force` is not set.
 */
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
      const stamp = draft.nextHostStamp(before.ip)
      draft.putHost(before.ip, { entry: before, marks: importedMarks(before, stamp) }, stamp, cause)
      break
    }
    case 'SPAMTRAP': {
      const stamp = draft.nextStamp(draft.spamtrap(before.address).stamp)
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

/** True when both are undefined, or equal in every field. */
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
