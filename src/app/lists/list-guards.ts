import type { ListSummary } from '../../codec/lists/list-lines.js'
import type { ListSource } from './list-source.js'

/** A list shorter than this part of the last good copy is refused until somebody has looked. */
const SHRINK_LIMIT = 0.5

/** Why content is refused, and what to do when it is genuine. */
export interface Refusal {
  reason: string
  hint?: string
}

/**
 * The reason to refuse what a source gave, or undefined. Damage shows in any list; that it is empty or has
 * shrunk says something only of downloads and commands, a local file that can be read is taken at its word.
 * `previousEntries`: of the last good copy of the very same source.
 */
export function findRefusal(
  source: ListSource,
  summary: ListSummary,
  previousEntries: number | undefined,
  canShrink: boolean,
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
      reason: `the list has ${entries} entries, fewer than min#${source.minEntries}`,
      hint: 'run once with --accept-shrink if that is right',
    }
  }
  if (previousEntries !== undefined && entries < previousEntries * SHRINK_LIMIT) {
    return {
      reason: `the list has shrunk from ${previousEntries} to ${entries} entries`,
      hint: 'run once with --accept-shrink if that is right',
    }
  }
  return undefined
}
