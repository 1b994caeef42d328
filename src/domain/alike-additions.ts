/** Many alike additions as one value: deciding and storing each separately would cost more than its row. */
import type { Cause, HostChange } from './change.js'
import { decideEdits } from './decide-edits.js'
import { Draft } from './draft.js'
import type { ManualEdit } from './requests.js'
import type { HybridClock } from './stamp.js'

/** An addition of an address. */
export type HostAddition = Extract<ManualEdit, { operation: 'add'; ip: string }>

/** Additions of different addresses, none of which had anything on record. */
export interface AlikeAdditions {
  ips: readonly string[]
  /** The change of the first. The others differ only in the address and in the stamp; stamps are consecutive. */
  first: HostChange
  /** See `Draft.changedSec`. */
  changedSec: number
}

/** True for the addition of an address without an expiry or comment of its own. */
export function isPlainAddition(edit: ManualEdit): edit is HostAddition {
  if (edit.operation !== 'add' || edit.kind === 'SPAMTRAP') return false
  return edit.options?.comment === undefined && edit.options?.expire === undefined
}

/**
 * Decides plain additions of one kind, of different addresses without any stored state, while no network of a pool
 * is open: the decision for the first applies to all, since the rules depend on nothing else.
 */
export function decideAlike(
  clock: HybridClock,
  now: number,
  { kind, options }: HostAddition,
  ips: readonly string[],
  cause: Cause,
): AlikeAdditions {
  const draft = new Draft(clock, now)
  const first: ManualEdit = {
    operation: 'add',
    kind,
    ip: ips[0]!,
    ...(options === undefined ? {} : { options }),
  }
  decideEdits(draft, [first], cause)
  clock.skip(ips.length - 1)
  return { ips, first: draft.changes[0] as HostChange, changedSec: draft.changedSec }
}
