import { COMMENT_LINE_PREFIX, escapeField, formatExactLine } from '../../codec/database/spamdb-text.js'
import type { Store } from '../../db/store.js'
import type { EntryQuery } from '../../domain/query.js'
import { toWireText } from '../wire-text.js'

/**
 * The database as text that `importEntries` reads back to the same entries, in pieces of latin-1: spamdb's
 * lines, and a comment line behind each entry that has a comment. Only what those lines have no field for
 * is lost: creation and counters of TRAPPED, creation of SPAMTRAP.
 */
export async function* exportEntries(store: Store, query: EntryQuery = {}): AsyncGenerator<string> {
  for await (const chunk of store.list(query)) {
    let text = ''
    for (const entry of chunk) {
      text += `${formatExactLine(entry)}\n`
      if (entry.kind !== 'GREY' && entry.comment !== undefined) {
        text += `${COMMENT_LINE_PREFIX}${escapeField(toWireText(entry.comment))}\n`
      }
    }
    yield text
  }
}
