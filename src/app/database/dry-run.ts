/** `spamdb --dry-run`: the same decisions as for an edit, printed instead of stored. */
import { escapeField } from '../../codec/database/spamdb-text.js'
import type { Changed, EditOutcome, ManualEdit, Store } from '../../db/store.js'
import { type Change, isHostChange } from '../../domain/change.js'
import { decideEdits, selectEdits } from '../../domain/decide-edits.js'
import { Draft } from '../../domain/draft.js'
import type { EntryKind, WireText } from '../../domain/entry.js'
import { HybridClock } from '../../domain/stamp.js'

/**
 * Accepts edits like a store and prints a line for each planned change: `add WHITE 192.0.2.1`,
 * `update WHITE 192.0.2.1`, `change WHITE 192.0.2.1 to TRAPPED`, `skip ...`, `delete ...`. A key that appears
 * twice, even in another batch, is handled as if the first change had been made.
 */
export function openDryRun(
  store: Pick<Store, 'load'>,
  now: number,
  print: (line: WireText) => void,
): Pick<Store, 'edit'> {
  const draft = new Draft(new HybridClock(0, { time: 0, counter: 0 }), now)
  return {
    async edit(edits: readonly ManualEdit[]): Promise<Changed<EditOutcome>> {
      await store.load(selectEdits(edits), draft)
      const start = draft.changes.length
      const outcomes = decideEdits(draft, edits, { rule: 'manual' })
      const changes = draft.changes.slice(start)
      let next = 0
      for (const [index, edit] of edits.entries()) {
        const first = next
        while (changes[next]?.request === index) next += 1
        for (const change of changes.slice(first, next)) print(describeChange(change))
        if (first === next && outcomes[index] !== 'missing')
          print(describeUnchanged(draft, edit, outcomes[index]!))
      }
      return { outcomes, changes }
    },
  }
}

function describeChange(change: Change): WireText {
  const { key, before, after } = change
  if (key.kind === 'tuple') {
    return `delete GREY ${[key.ip, key.helo, key.from, key.to].map(escapeField).join('|')}`
  }
  const name = escapeField(key.kind === 'spamtrap' ? key.address : key.kind === 'release' ? key.id : key.ip)
  const was = before.entry?.kind
  const is = after.entry?.kind
  if (is === undefined) return `delete ${was} ${name}`
  if (was === undefined) return `add ${is} ${name}`
  return isHostChange(change) && was !== is ? `change ${was} ${name} to ${is}` : `update ${was} ${name}`
}

/** An addition whose entry exists already. */
function describeUnchanged(draft: Draft, edit: ManualEdit, outcome: EditOutcome): WireText {
  const verb = outcome === 'skipped' ? 'skip' : 'update'
  let kind: EntryKind | undefined
  let name = ''
  if (edit.operation === 'add') {
    name = edit.kind === 'SPAMTRAP' ? edit.address : edit.ip
    kind = edit.kind === 'SPAMTRAP' ? edit.kind : draft.host(edit.ip).entry?.kind
  }
  return `${verb} ${kind} ${escapeField(name)}`
}
