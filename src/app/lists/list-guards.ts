import { countText } from '../../codec/count-text.js'
import type { ListSummary } from '../../codec/lists/list-lines.js'
import type { ListSource } from './list-source.js'

/**
 * A list shorter than this fraction of the last good copy is refused until an administrator has checked it.
 */
const SHRINK_LIMIT = 0.5

/** Why content is refused, and what to do if it is correct. */
export interface Refusal {
  reason: string
  hint?: string
}

/**
 * The reason to refuse what a source gave, or undefined. Damage is checked in any list; empty or shrunken
 * content only in downloads and commands, not in local files. `previousEntries`: of the last good copy of the
 * very same source.
 */
export function findRefusal(
  source: ListSource,
  summary: ListSummary,
  previousEntries: number | undefined,
  { canShrink }: { canShrink: boolean },
): Refusal | undefined {
  if (summary.failure !== undefined) return { reason: summary.failure.message }
  if (source.method === 'file' || source.isEmptyOk) return undefined
  const entries = summary.accepted
  if (entries === 0) {
    return { reason: 'the list has no entry', hint: `add :empty_ok: to ${source.name} if that can be right` }
  }
  if (canShrink) return undefined
  if (source.minEntries !== undefined && entries < source.minEntries) {
    return {
      reason: `the list has ${countText(entries, 'entry', 'entries')}, fewer than min#${source.minEntries}`,
      hint: 'run once with --accept-shrink if that is right',
    }
  }
  if (previousEntries !== undefined && entries < previousEntries * SHRINK_LIMIT) {
    return {
      reason: `the list has shrunk from ${previousEntries} to ${countText(entries, 'entry', 'entries')}`,
      hint: 'run once with --accept-shrink if that is right',
    }
  }
  return undefined
}
