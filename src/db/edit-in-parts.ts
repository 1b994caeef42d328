import { decideAlike, type HostAddition, isPlainAddition } from '../domain/alike-additions.js'
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
/** Minimum number of alike additions that are worth a separate statement. */
const LEAST_ALIKE = 32

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
    const kinds = this.#findFresh(edits, texts, places)
    const editUpTo = (start: number, end: number): void => {
      if (start === end) return
      const each = this.editEach(edits, places.subarray(start, end))
      for (const [index, outcome] of each.outcomes.entries()) outcomes[start + index] = outcome
    }
    let start = 0
    for (let at = 0; at < kinds.length; ) {
      const end = endOfAlike(kinds, at)
      if (end - at >= LEAST_ALIKE) {
        editUpTo(start, at)
        this.#addAlike(edits[places[at]!] as HostAddition, texts.slice(at, end))
        start = end
      }
      at = end
    }
    editUpTo(start, kinds.length)
    return { outcomes, changes: [] }
  }

  #addAlike(addition: HostAddition, ips: readonly string[]): void {
    const { clock } = this.#journal
    this.#transactions.addAlike(this.#journal, decideAlike(clock, this.#now, addition, ips, this.#cause))
  }

  /** The kinds of edits that are plain additions, the first of their address, with nothing on record. */
  #findFresh(
    edits: readonly ManualEdit[],
    texts: readonly string[],
    places: Uint32Array,
  ): (HostAddition['kind'] | undefined)[] {
    const { hosts, removed, pools } = this.#transactions
    const list = keyListOf(texts)
    if (list === undefined) return Array<undefined>(places.length).fill(undefined)
    const hasPools = !pools.isEmpty
    const seen = new Set<string>()
    const kinds = texts.map((text, index) => {
      const edit = edits[places[index]!]!
      if (!isPlainAddition(edit) || (hasPools && edit.kind === 'TRAPPED')) return undefined
      return seen.size < seen.add(text).size ? edit.kind : undefined
    })
    for (const place of hosts.placesOf(list)) kinds[place] = undefined
    if (!removed.isEmpty) for (const place of removed.placesOf(list)) kinds[place] = undefined
    return kinds
  }
}

/** The end of the edits that can be stored together, from a place on; the next place if that edit cannot. */
function endOfAlike(kinds: readonly (HostAddition['kind'] | undefined)[], start: number): number {
  const kind = kinds[start]
  let end = start + 1
  while (kind !== undefined && end < kinds.length && kinds[end] === kind) end += 1
  return end
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
