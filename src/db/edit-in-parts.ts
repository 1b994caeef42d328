import { type Cause, type Change, keyText } from '../domain/change.js'
import { decideEdits, selectEdits } from '../domain/decide-edits.js'
import type { EditOutcome, ManualEdit } from '../domain/requests.js'
import type { Changed, EditOptions } from './store.js'
import type { Transactions } from './transactions.js'

/**
 * What one part loads and decides is short-lived: for 50,000 edits at once, garbage collection took a fifth
 * of the time.
 */
const PART_EDITS = 2000
/** Bits of a sorted number that hold the place of its edit; what is left of 53 holds the beginning of its key. */
const PLACE_BITS = 20
const SORTED_CHARS = 4
const CHAR_BITS = 8

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
  if (edits.length <= PART_EDITS) {
    return transactions.decide('edit', now, selectEdits(edits), (draft) => decideEdits(draft, edits, cause))
  }
  const places = sortedPlaces(edits.map(textOf))
  const outcomes = Array<EditOutcome>(edits.length)
  const changes: Change[] = []
  transactions.write('edit', now, (journal) => {
    for (let start = 0; start < places.length; start += PART_EDITS) {
      const part = places.slice(start, start + PART_EDITS)
      const wanted = part.map((place) => edits[place]!)
      const decided = transactions.decideWithin(journal, now, selectEdits(wanted), (draft) =>
        decideEdits(draft, wanted, cause),
      )
      for (const [index, place] of part.entries()) outcomes[place] = decided.outcomes[index]!
      if (forgetsChanges !== true) for (const change of decided.changes) changes.push(change)
    }
  })
  return { outcomes, changes }
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

/** Places of texts in the order of the characters behind what all have in common. */
function sortedPlaces(texts: readonly string[]): number[] {
  if (texts.length >= 2 ** PLACE_BITS) return [...texts.keys()]
  const common = commonLength(texts)
  const numbers = new Float64Array(texts.length)
  for (const [place, text] of texts.entries()) {
    let number = 0
    for (let at = common; at < common + SORTED_CHARS; at += 1) {
      number = number * 2 ** CHAR_BITS + (at < text.length ? text.charCodeAt(at) & 0xff : 0)
    }
    numbers[place] = number * 2 ** PLACE_BITS + place
  }
  return Array.from(numbers.sort(), (number) => number % 2 ** PLACE_BITS)
}

function commonLength(texts: readonly string[]): number {
  const [first = ''] = texts
  let length = first.length
  for (const text of texts) while (!text.startsWith(first.slice(0, length))) length -= 1
  return length
}
