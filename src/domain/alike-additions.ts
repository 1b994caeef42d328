/** Many additions by hand as one value; see alike-changes.ts. */
import type { AlikeChanges, KnownHost } from './alike-changes.js'
import type { Cause, HostChange } from './change.js'
import { decideEdits } from './decide-edits.js'
import { Draft } from './draft.js'
import { isPinned } from './host-state.js'
import { repeatedAddition } from './manual-host.js'
import type { ManualEdit } from './requests.js'
import type { HybridClock } from './stamp.js'

/** An addition of an address. */
export type HostAddition = Extract<ManualEdit, { operation: 'add'; ip: string }>

/** True for the addition of an address without an expiry or comment of its own. */
export function isPlainAddition(edit: ManualEdit): edit is HostAddition {
  if (edit.operation !== 'add' || edit.kind === 'SPAMTRAP') return false
  return edit.options?.comment === undefined && edit.options?.expire === undefined
}

/** True when a plain addition changes this record as it changes others: see `repeatedAddition`. */
export function isPlainRepeat(
  { kind, options }: HostAddition,
  known: KnownHost,
  clock: HybridClock,
): boolean {
  if (options?.ifMissing === true || known.kind !== kind || known.comment !== null) return false
  return !isPinned(known) && clock.isAfter(known.latest)
}

/**
 * Decides plain additions of one kind, of different addresses without any stored state or, where `isKnown`, with a
 * record that fits `isPlainRepeat`, while no network of a pool is open: the decision for the first applies to all,
 * since the rules depend on nothing else. Their stamps are consecutive.
 */
export function decideAlike(
  { clock, now }: { clock: HybridClock; now: number },
  { kind, options }: HostAddition,
  ips: readonly string[],
  isKnown: readonly boolean[],
  cause: Cause,
): AlikeChanges {
  const draft = new Draft(clock, now)
  const first: ManualEdit = {
    operation: 'add',
    kind,
    ip: ips[0]!,
    ...(options === undefined ? {} : { options }),
  }
  decideEdits(draft, [first], cause)
  clock.skip(ips.length - 1)
  return {
    ips,
    first: draft.changes[0] as HostChange,
    again: isKnown.includes(true)
      ? { ...repeatedAddition(kind, now), isKnown, keepsGrant: false }
      : undefined,
    changedSec: draft.changedSec,
  }
}
