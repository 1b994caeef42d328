/** `spamdb -d` with filters: shows how many entries match, asks, and deletes them. */
import { actorOf } from '../../app/actor.js'
import { type DeletionStore, deleteMatching } from '../../app/database/delete-matching.js'
import { openDryRun } from '../../app/database/dry-run.js'
import type { Change } from '../../domain/change.js'
import { CLASSIC_KINDS, ENTRY_KINDS } from '../../domain/entry.js'
import type { EntryQuery } from '../../domain/query.js'
import type { Environment } from '../../platform/settings.js'
import { OptionProblem } from '../option-reader.js'

export interface FilterDeletion {
  query: EntryQuery
  isDryRun: boolean
  /** --yes: without confirmation. */
  isAgreed: boolean
}

/** Those parts of spamdb that it needs. */
interface DeletionParts {
  writeOut(bytes: Uint8Array): void
  writeError(text: string): void
  environment: Environment
  /** Undefined without a terminal. */
  ask?: ((question: string) => Promise<string>) | undefined
}

/**
 * Runs it on an open store; `announce` receives what was deleted. Returns the exit code, 1 when nothing
 * matched.
 */
export async function deleteByFilter(
  store: DeletionStore,
  { query, isDryRun, isAgreed }: FilterDeletion,
  parts: DeletionParts,
  now: number,
  announce?: (changes: readonly Change[]) => void | Promise<void>,
): Promise<number> {
  const kinds = query.kinds ?? CLASSIC_KINDS
  const counts = await store.count({ ...query, kinds: [...kinds] })
  const total = kinds.reduce((sum, kind) => sum + counts[kind], 0)
  const found = `${total} ${total === 1 ? 'entry' : 'entries'}`
  if (total === 0) {
    parts.writeError('spamdb: no entries match\n')
    return 1
  }
  const each = ENTRY_KINDS.filter((kind) => kinds.includes(kind) && counts[kind] > 0)
  const shown = `${found} (${each.map((kind) => `${counts[kind]} ${kind}`).join(', ')})`
  if (isDryRun) {
    const print = (line: string): void => parts.writeOut(Buffer.from(`${line}\n`, 'latin1'))
    await deleteMatching(store, openDryRun(store, now, print), query, now)
    parts.writeError(`spamdb: ${shown} would be deleted\n`)
    return 0
  }
  if (!isAgreed) {
    if (parts.ask === undefined) {
      throw new OptionProblem(
        `${shown} would be deleted, but there is no terminal to ask for confirmation on`,
        {
          hint: 'nothing was changed; use --yes to delete them, --dry-run to see them',
        },
      )
    }
    const answer = await parts.ask(`delete ${shown}? [y/N] `)
    if (!/^y(es)?$/i.test(answer.trim())) {
      parts.writeError('spamdb: nothing was deleted\n')
      return 1
    }
  }
  const actor = actorOf(parts.environment)
  const deleted = await deleteMatching(store, store, query, now, { actor, onChanged: announce })
  parts.writeOut(Buffer.from(`${deleted} ${deleted === 1 ? 'entry' : 'entries'} deleted\n`))
  parts.writeError('spamdb: hint: to restore them, run spamdctl undo\n')
  return 0
}
