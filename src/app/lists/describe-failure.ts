import type { UnixSec } from '../../platform/clock.js'
import { toDisplayText } from '../wire-text.js'
import type { Problem } from './configured-list.js'
import type { ListSource } from './list-source.js'
import type { SettledSource } from './settled-source.js'

/**
 * The message for a source that failed, in the original's words where it has any, and what that means for the
 * lists in use. `heldList`: the black list that stays unchanged because this white list failed.
 */
export function describeFailure(
  settled: SettledSource,
  nowSec: UnixSec,
  heldList: string | undefined,
): Problem | undefined {
  const { source, failure } = settled
  if (failure === undefined) return undefined
  let message =
    failure.code === 'ERR_FEED_OPEN'
      ? `Can't open ${source.location} by file method: ${failure.reason}`
      : `Could not add ${nameOf(source)}: ${failure.reason}`
  if (settled.status === 'kept' && settled.currentSec !== undefined) {
    message += `; kept the last good copy, ${describeAge(nowSec - settled.currentSec)} old`
  } else if (heldList !== undefined) {
    message += `; blacklist ${toDisplayText(heldList)} stays as it was`
  }
  return { message, hint: failure.hint, isError: true }
}

/** The message when valid content could not be stored. */
export function describeStoreFailure(settled: SettledSource): Problem | undefined {
  const { source, storeFailure } = settled
  if (storeFailure === undefined) return undefined
  return {
    message: `Could not store ${nameOf(source)}: ${storeFailure.reason}; it is loaded, and the last good copy is kept`,
    hint: storeFailure.hint,
    isError: true,
  }
}

/** The message for a list that shrank in small steps. */
export function describeShrinking(settled: SettledSource): Problem | undefined {
  const { source, shrunkFrom, summary } = settled
  if (shrunkFrom === undefined) return undefined
  return {
    message: `warning: ${nameOf(source)} shrank within 30 days from ${shrunkFrom} entries to ${summary?.accepted ?? 0}`,
    hint: 'check its source; --accept-shrink makes the current size the reference',
    isError: false,
  }
}

/** `blacklist NAME` or `whitelist NAME`, as the original calls them. */
export function nameOf(list: Pick<ListSource, 'colour' | 'name'>): string {
  return `${list.colour}list ${toDisplayText(list.name)}`
}

/** An age in its two largest units: `2 d 3 h`, `4 min`, `under 1 min`. */
export function describeAge(ageSec: number): string {
  const units = [
    { name: 'd', lengthSec: 86_400 },
    { name: 'h', lengthSec: 3_600 },
    { name: 'min', lengthSec: 60 },
  ]
  const first = units.findIndex((unit) => ageSec >= unit.lengthSec)
  if (first < 0) return 'under 1 min'
  const large = units[first]!
  const small = units[first + 1]
  const count = Math.floor(ageSec / large.lengthSec)
  const rest = small === undefined ? 0 : Math.floor((ageSec % large.lengthSec) / small.lengthSec)
  return rest === 0 ? `${count} ${large.name}` : `${count} ${large.name} ${rest} ${small!.name}`
}
