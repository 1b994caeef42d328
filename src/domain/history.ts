/** The history for people: which changes it keeps, what each event did to which entry, and undoing a manual event. */
import { type AllowDecision, isDecided, reverseAllowEdit } from './allow.js'
import { type Cause, type Change, type ChangeKey, type ChangeRule, keyText, tupleText } from './change.js'
import { deleteKey, selectKey } from './decide-edits.js'
import { importedMarks } from './decide-import.js'
import { type Draft, emptySelection, type Selection } from './draft.js'
import type { Entry, EntryKey } from './entry.js'
import { isPoolTuple } from './pool-key.js'
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

/** Rules whose events can be undone: those by people. All that a command changes by one of them is one event. */
export const UNDOABLE_RULES: readonly ChangeRule[] = ['manual', 'import', 'undo']

/** True when an event of the rule can be undone. */
export function isUndoable(rule: ChangeRule): boolean {
  return UNDOABLE_RULES.includes(rule)
}

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
  /** For an event of the rule `allow`: the manual decision. */
  decision?: AllowDecision | undefined
}

/** A row for an event that concerns no entry, or is too large for one row per change. */
export type HistorySummary = { text: string; decision?: AllowDecision | undefined }

/** True for an event by hand: undo of the last one takes it back, or must say that it cannot. */
export function isByHand(rule: ChangeRule, summaries: readonly HistorySummary[] = []): boolean {
  return isUndoable(rule) || summaries.some(({ decision }) => isDecided(decision))
}

/**
 * True for a change that is kept. Repetitions (a retried tuple, a WHITE host seen again) are not, and neither is a tuple
 * that expires or is evicted: the hourly counters have these. Nor is a tuple that a block list took: its client is
 * refused anyway.
 */
export function isKept({ key, before, after, cause }: Change, { mode }: HistorySettings): boolean {
  // The key of a pool counts what its own tuples already show.
  if (key.kind === 'tuple' && isPoolTuple(key)) return false
  if (key.kind !== 'host' && key.kind !== 'pool' && mode === 'hosts') return false
  const isRepeat = before.entry !== undefined && before.entry.kind === after.entry?.kind
  // How often one was used shows in the addresses that became WHITE.
  if (key.kind === 'release') return cause.rule === 'release' && endOf(before) !== endOf(after)
  if (cause.rule === 'attempt' || cause.rule === 'sighting') return !isRepeat
  if (key.kind === 'tuple')
    return cause.rule !== 'expiry' && cause.rule !== 'limit' && cause.rule !== 'block-list'
  return true
}

function endOf({ entry }: Change['before']): number | undefined {
  return entry?.kind === 'RELEASE' ? entry.expire : undefined
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

/** What one event did. */
export interface EventSteps {
  steps: UndoStep[]
  /** False when it was too large to be kept entry by entry. */
  isWhole: boolean
  /** undefined: there is no such event. */
  rule: ChangeRule | undefined
  /** What it did and the commands that reverse it, where another command than undo does. */
  reversal?: { what: string; commands: readonly string[] } | undefined
}

/** What an event did to each key, in order, from its rows; `summary` rows are left out and told by `isWhole`. */
export function stepsOfRows(rows: readonly HistoryRow[]): EventSteps {
  const steps = new Map<string, UndoStep>()
  for (const { key, before, after } of rows) {
    // Events of releases cannot be undone; releases are cancelled instead.
    if (key === undefined || key.kind === 'release') continue
    if (before?.kind === 'RELEASE' || after?.kind === 'RELEASE') continue
    const text = keyText(key)
    const known = steps.get(text)
    if (known === undefined) steps.set(text, { key, before, after })
    else known.after = after
  }
  return {
    steps: [...steps.values()],
    isWhole: rows.every(({ key }) => key !== undefined),
    rule: rows[0]?.rule,
    reversal: reversalOf(rows),
  }
}

function reversalOf(rows: readonly HistoryRow[]): EventSteps['reversal'] {
  const [first] = rows
  if (first?.rule === 'allow') {
    const commands = rows.map(({ decision }) => reverseAllowEdit(decision))
    return { what: `an exception (${first.summary})`, commands }
  }
  const ended = rows.flatMap(({ rule, key, before, after }) =>
    rule === 'release' && key?.kind === 'release'
      ? [{ id: key.id, isNew: before === undefined && after !== undefined }]
      : [],
  )
  const [release] = ended
  if (release === undefined) return undefined
  const command = release.isNew
    ? `spamdctl release cancel ${release.id}`
    : 'spamdctl release, with the same terms'
  return { what: `a release (${release.id})`, commands: [command] }
}

/** Why an event is not undone, in words for people. */
export interface UndoRefusal {
  message: string
  hint: string
}

const WHAT_CAN_BE_UNDONE = 'list what can be undone with "spamdctl log --cause manual,import,undo"'

/** Nothing in the history can be undone. */
export const NOTHING_TO_UNDO: UndoRefusal = {
  message: 'nothing to undo: the history has no manual change or import',
  hint: WHAT_CAN_BE_UNDONE,
}

/** Why an event is not undone: there is none, another command takes it back, a daemon made it, or it was too large. */
export function refuseUndo(
  event: number,
  { rule, isWhole, reversal }: Omit<EventSteps, 'steps'>,
): UndoRefusal | undefined {
  if (rule === undefined) return { message: `no such event: ${event}`, hint: WHAT_CAN_BE_UNDONE }
  if (reversal !== undefined) {
    const [command = '', ...others] = reversal.commands
    const more = others.length === 0 ? '' : `, and ${others.length} more like it`
    return {
      message: `event ${event} is ${reversal.what}, which undo does not revert`,
      hint: `use ${command}${more}; to undo an earlier change, give its number (spamdctl log)`,
    }
  }
  if (!isUndoable(rule)) {
    return {
      message: `event ${event} was made by a daemon (${rule}): only manual changes and imports can be undone`,
      hint: WHAT_CAN_BE_UNDONE,
    }
  }
  if (isWhole) return undefined
  return {
    message: `event ${event} was too large to be kept entry by entry`,
    hint: 'restore a file made by "spamdctl backup"',
  }
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
