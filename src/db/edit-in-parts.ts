import { decideAlike, type HostAddition, isPlainAddition, isPlainRepeat } from '../domain/alike-additions.js'
import { type Cause, type Change, keyText } from '../domain/change.js'
import { decideEdits, selectEdits } from '../domain/decide-edits.js'
import type { EditOutcome, ManualEdit } from '../domain/requests.js'
import type { JournalWriter } from './journal.js'
import { sortedPlaces } from './sorted-places.js'
import type { Changed, EditOptions } from './store.js'
import { keyListOf } from './tables/key-list.js'
import type { Decided, Transactions } from './transactions.js'

/**
 * What one part loads and decides is short-lived: for 50,000 edits at once, garbage collection took a fifth
 * of the time.
 */
const PART_EDITS = 2000
/** Minimum number of alike changes that are worth a separate statement. */
export const LEAST_ALIKE = 32

/**
 * Edits in one transaction. Large numbers of them are processed in key order, by their first characters, so
 * that a page of the table is read and written once; edits of one key stay in the order in which they came.
 */
export function editInParts(
  transactions: Transactions,
  edits: readonly ManualEdit[],
  now: number,
  { actor, forgetsChanges }: EditOptions,
): Changed<EditOutcome> {
  const cause: Cause = { rule: 'manual', actor }
  if (edits.length <= LEAST_ALIKE) {
    return transactions.decide('edit', now, selectEdits(edits), (draft) => decideEdits(draft, edits, cause))
  }
  const outcomes = Array<EditOutcome>(edits.length)
  const changes: Change[] = []
  transactions.write('edit', now, (journal) => {
    const editor = new PartEditor(transactions, journal, now, cause)
    const texts = edits.map(textOf)
    const places = edits.length <= PART_EDITS ? Uint32Array.from(edits.keys()) : sortedPlaces(texts)
    for (let start = 0; start < places.length; start += PART_EDITS) {
      const part = places.subarray(start, start + PART_EDITS)
      const decided =
        forgetsChanges === true ? editor.editAlike(edits, texts, part) : editor.editEach(edits, part)
      for (let index = 0; index < part.length; index += 1) outcomes[part[index]!] = decided.outcomes[index]!
      if (forgetsChanges !== true) for (const change of decided.changes) changes.push(change)
    }
  })
  return { outcomes, changes }
}

/** Edits the parts of one transaction: those at some `places` among all. */
class PartEditor {
  readonly #transactions: Transactions
  readonly #journal: JournalWriter
  readonly #now: number
  readonly #cause: Cause

  constructor(transactions: Transactions, journal: JournalWriter, now: number, cause: Cause) {
    this.#transactions = transactions
    this.#journal = journal
    this.#now = now
    this.#cause = cause
  }

  editEach(edits: readonly ManualEdit[], places: Uint32Array): Decided<EditOutcome[]> {
    const wanted = Array.from(places, (place) => edits[place]!)
    return this.#transactions.decideWithin(this.#journal, this.#now, selectEdits(wanted), (draft) =>
      decideEdits(draft, wanted, this.#cause),
    )
  }

  /** The same, but alike additions are stored together, and their changes are not in the result. */
  editAlike(
    edits: readonly ManualEdit[],
    allTexts: readonly string[],
    places: Uint32Array,
  ): Decided<EditOutcome[]> {
    const outcomes = Array<EditOutcome>(places.length).fill('added')
    const texts = Array.from(places, (place) => allTexts[place]!)
    const plain = this.#findPlain(edits, texts, places)
    for (const { start, end, isAlike } of runsOf(plain)) {
      if (isAlike) {
        const isKnown = Array.from(plain.subarray(start, end), hasRecord)
        this.#addAlike(edits[places[start]!] as HostAddition, texts.slice(start, end), isKnown)
        for (let index = start; index < end; index += 1) {
          if (isKnown[index - start] === true) outcomes[index] = 'updated'
        }
      } else {
        const each = this.editEach(edits, places.subarray(start, end))
        for (const [index, outcome] of each.outcomes.entries()) outcomes[start + index] = outcome
      }
    }
    return { outcomes, changes: [] }
  }

  #addAlike(addition: HostAddition, ips: readonly string[], isKnown: readonly boolean[]): void {
    const { clock } = this.#journal
    const at = { clock, now: this.#now }
    this.#transactions.storeAlike(this.#journal, decideAlike(at, addition, ips, isKnown, this.#cause))
  }

  /** A code for each edit: that of a plain addition, the first edit of its address, that changes its record as others do. */
  #findPlain(edits: readonly ManualEdit[], texts: readonly string[], places: Uint32Array): Uint8Array {
    const { hosts, removed, pools } = this.#transactions
    const plain = new Uint8Array(places.length)
    const list = keyListOf(texts)
    if (list === undefined) return plain
    const hasPools = !pools.isEmpty
    const seen = new Set<string>()
    for (let index = 0; index < plain.length; index += 1) {
      const edit = edits[places[index]!]!
      const isFirst = seen.size < seen.add(texts[index]!).size
      if (!isFirst || !isPlainAddition(edit) || (hasPools && edit.kind === 'TRAPPED')) continue
      plain[index] = edit.kind === 'WHITE' ? WHITE : TRAPPED
    }
    const { clock } = this.#journal
    for (const known of hosts.knownOf(list, clock.node)) {
      const { place } = known
      if (plain[place] === NOT_PLAIN) continue
      if (isPlainRepeat(edits[places[place]!] as HostAddition, known, clock)) plain[place]! += HAS_RECORD
      else plain[place] = NOT_PLAIN
    }
    if (!removed.isEmpty) for (const place of removed.placesOf(list)) plain[place] = NOT_PLAIN
    return plain
  }
}

/** Codes of edits, in bytes because there may be a million: the kind of a plain addition, and whether its address has a record. */
const NOT_PLAIN = 0
const WHITE = 2
const TRAPPED = 4
const HAS_RECORD = 1

function hasRecord(code: number): boolean {
  return code % 2 === HAS_RECORD
}

interface Run {
  start: number
  end: number
  /** Stored together. */
  isAlike: boolean
}

/**
 * Splits a part, in order, into additions that are stored together and others. Long runs of new addresses are kept apart
 * from those with a record, because the history stores them as one.
 */
function runsOf(plain: Uint8Array): Run[] {
  const whole = { start: 0, end: plain.length }
  const fresh = splitRuns(plain, whole, (code) => (hasRecord(code) ? NOT_PLAIN : code))
  return fresh.flatMap((run) => (run.isAlike ? [run] : splitRuns(plain, run, (code) => code - (code % 2))))
}

/** Runs of equal kinds that are long enough to be stored together, and what lies between them. */
function splitRuns(
  plain: Uint8Array,
  range: { start: number; end: number },
  kindOf: (code: number) => number,
): Run[] {
  const runs: Run[] = []
  let others = range.start
  for (let start = range.start, end = start; start < range.end; start = end) {
    const kind = kindOf(plain[start]!)
    do end += 1
    while (end < range.end && kindOf(plain[end]!) === kind)
    if (kind === NOT_PLAIN || end - start < LEAST_ALIKE) continue
    if (others < start) runs.push({ start: others, end: start, isAlike: false })
    runs.push({ start, end, isAlike: true })
    others = end
  }
  if (others < range.end) runs.push({ start: others, end: range.end, isAlike: false })
  return runs
}

function textOf(edit: ManualEdit): string {
  switch (edit.operation) {
    case 'add':
      return edit.kind === 'SPAMTRAP' ? edit.address : edit.ip
    case 'delete':
      return keyText(edit.key)
    case 'delete-tuples':
      return edit.ip
  }
}
