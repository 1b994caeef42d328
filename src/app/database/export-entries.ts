import { EXACT_LINE, hasBrackets, lacksBrackets } from '../../codec/database/import-text.js'
import { COMMENT_LINE_PREFIX, escapeField, formatExactLine } from '../../codec/database/spamdb-text.js'
import type { DamagedGap, ExactForm, Store } from '../../db/store.js'
import { CLASSIC_KINDS, type Entry, type EntryKind, type WireText } from '../../domain/entry.js'
import { isPoolTuple } from '../../domain/pool-key.js'
import { toWireText } from '../wire-text.js'

/**
 * The database as text that `importEntries` reads back to the same entries, in parts of latin-1 bytes:
 * spamdb's lines, and a comment line after each entry that has a comment. Pools are left out: the original
 * has none, and they are soon opened again. Only what those lines have no field for is lost: creation and
 * counters of TRAPPED, creation of SPAMTRAP. From a damaged database everything readable is exported; each
 * unreadable range is reported to `onGap`.
 */
export function exportEntries(
  store: Store,
  onGap: (description: WireText) => void,
  kinds: readonly Exclude<EntryKind, 'POOL'>[] = CLASSIC_KINDS,
): AsyncIterable<Uint8Array> {
  return store.listReadable(kinds, (gap) => onGap(describeGap(gap)), exportForm())
}

/**
 * The lines of one export.
 * @internal A test compares the lines that SQLite makes with those that it makes.
 */
export function exportForm(): ExactForm {
  let isTupleFormTold = false
  const linesOf = (entry: Entry): string => {
    if (entry.kind === 'POOL' || (entry.kind === 'GREY' && isPoolTuple(entry))) return ''
    let text = ''
    if (entry.kind === 'GREY' && !isTupleFormTold) {
      if (lacksBrackets(entry)) text = `${EXACT_LINE}\n`
      isTupleFormTold = lacksBrackets(entry) || hasBrackets(entry)
    }
    text += `${formatExactLine(entry)}\n`
    if (entry.kind !== 'GREY' && entry.comment !== undefined) {
      text += `${COMMENT_LINE_PREFIX}${escapeField(toWireText(entry.comment))}\n`
    }
    return text
  }
  return {
    render: (entries) => entries.map(linesOf).join(''),
    needsEntries: (kind) => kind === 'GREY' && !isTupleFormTold,
  }
}

function describeGap({ kind, after, before }: DamagedGap): WireText {
  const from = after === undefined ? 'from the first' : `after ${describeKey(after)}`
  const upTo = before === undefined ? 'up to the last' : `before ${describeKey(before)}`
  return `${kind} entries ${from} and ${upTo}`
}

function describeKey(entry: Entry): WireText {
  if (entry.kind === 'SPAMTRAP') return entry.address
  if (entry.kind !== 'GREY') return entry.ip
  return [entry.ip, entry.helo, entry.from, entry.to].join('|')
}
