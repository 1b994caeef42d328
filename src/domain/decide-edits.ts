/** Changes by hand, as values. Source of the rules: manual-host.ts. */
import { type Cause, tupleText } from './change.js'
import { closePool, closePoolsAround } from './decide-pools.js'
import { type Draft, emptySelection, type Selection } from './draft.js'
import type { EntryKey } from './entry.js'
import type { HeldTuple } from './held.js'
import { manualMarks, resetMarks } from './host-marks.js'
import { addHostByHand } from './manual-host.js'
import type { EditOutcome, ManualEdit } from './requests.js'
import { EXPIRE_NEVER } from './times.js'

/** What must be loaded to decide edits. */
export function selectEdits(edits: readonly ManualEdit[]): Selection {
  const selection = emptySelection()
  for (const edit of edits) {
    switch (edit.operation) {
      case 'add':
        if (edit.kind === 'SPAMTRAP') selection.spamtraps.add(edit.address)
        else {
          selection.hosts.add(edit.ip)
          if (edit.kind === 'TRAPPED') selection.poolsAround.add(edit.ip)
        }
        break
      case 'delete':
        selectKey(selection, edit.key)
        break
      case 'delete-tuples': {
        const wanted = edit.all ? Number.POSITIVE_INFINITY : 1
        selection.tuplesOf.set(edit.ip, (selection.tuplesOf.get(edit.ip) ?? 0) + wanted)
      }
    }
  }
  // A tuple that is deleted by its key may be the oldest of its address.
  for (const { ip } of selection.tuples.values()) {
    const wanted = selection.tuplesOf.get(ip)
    if (wanted !== undefined) selection.tuplesOf.set(ip, wanted + 1)
  }
  return selection
}

/** Adds a key to the selection. */
export function selectKey(selection: Selection, key: EntryKey): void {
  if (key.kind === 'host') selection.hosts.add(key.ip)
  else if (key.kind === 'spamtrap') selection.spamtraps.add(key.address)
  else if (key.kind === 'pool') selection.pools.add(key.ip)
  else selection.tuples.set(tupleText(key), key)
}

/** Decides edits in order; outcomes in the same order. */
export function decideEdits(draft: Draft, edits: readonly ManualEdit[], cause: Cause): EditOutcome[] {
  return edits.map((edit, index) => {
    draft.begin(index)
    return decideEdit(draft, edit, cause)
  })
}

function decideEdit(draft: Draft, edit: ManualEdit, cause: Cause): EditOutcome {
  switch (edit.operation) {
    case 'add':
      return edit.kind === 'SPAMTRAP' ? addSpamtrap(draft, edit, cause) : addHost(draft, edit, cause)
    case 'delete':
      return deleteKey(draft, edit.key, cause) ? 'deleted' : 'missing'
    case 'delete-tuples':
      return deleteTuples(draft, edit.ip, edit.all, cause) ? 'deleted' : 'missing'
  }
}

type AddEdit = Extract<ManualEdit, { operation: 'add' }>

function addHost(
  draft: Draft,
  { ip, kind, options = {} }: Extract<AddEdit, { kind: 'WHITE' | 'TRAPPED' }>,
  cause: Cause,
): EditOutcome {
  const { entry } = draft.host(ip)
  if (entry !== undefined && options.ifMissing === true) return 'skipped'
  const times = addHostByHand(entry, kind, options.expire, draft.now)
  const comment = options.comment ?? entry?.comment
  const stamp = draft.nextHostStamp(ip)
  const pinned = times.expire === EXPIRE_NEVER
  const isFixed = pinned || comment !== undefined || options.expire !== undefined
  const hand = isFixed ? { pinned, expire: options.expire } : undefined
  const { first, pass, expire, bcount, pcount } = times
  const after = {
    kind,
    ip,
    first,
    pass,
    expire,
    bcount,
    pcount,
    ...(comment === undefined ? {} : { comment }),
  }
  draft.putHost(ip, { entry: after, marks: manualMarks(kind, stamp, hand) }, stamp, cause)
  if (kind === 'TRAPPED') closePoolsAround(draft, ip, cause)
  return entry === undefined ? 'added' : 'updated'
}

function addSpamtrap(
  draft: Draft,
  { address, options }: Extract<AddEdit, { kind: 'SPAMTRAP' }>,
  cause: Cause,
): EditOutcome {
  const { entry, stamp: known } = draft.spamtrap(address)
  if (entry !== undefined && options?.ifMissing === true) return 'skipped'
  if (entry !== undefined && options?.comment === undefined) return 'updated'
  const comment = options?.comment
  const stamp = draft.nextStamp(known)
  const after = {
    kind: 'SPAMTRAP' as const,
    address,
    first: entry?.first ?? draft.now,
    ...(comment === undefined ? {} : { comment }),
  }
  draft.putSpamtrap(address, { entry: after, stamp }, stamp, cause)
  return entry === undefined ? 'added' : 'updated'
}

/** Deletes what is on record under a key; false when there is nothing. */
export function deleteKey(draft: Draft, key: EntryKey, cause: Cause): boolean {
  switch (key.kind) {
    case 'host': {
      if (draft.host(key.ip).entry === undefined) return false
      const stamp = draft.nextHostStamp(key.ip)
      draft.putHost(key.ip, { entry: undefined, marks: resetMarks(stamp) }, stamp, cause)
      return true
    }
    case 'spamtrap': {
      const { entry, stamp: known } = draft.spamtrap(key.address)
      if (entry === undefined) return false
      const stamp = draft.nextStamp(known)
      draft.putSpamtrap(key.address, { entry: undefined, stamp }, stamp, cause)
      return true
    }
    case 'pool':
      return closePool(draft, key.ip, cause)
    case 'tuple': {
      const text = tupleText(key)
      const held = draft.tuple(text)
      if (held.entry === undefined) return false
      draft.putTuple(text, key, deletedTuple(draft, held), cause)
      return true
    }
  }
}

function deleteTuples(draft: Draft, ip: string, isAll: boolean, cause: Cause): boolean {
  let hasDeleted = false
  do {
    if (draft.takeFirstTuple(ip, cause, (held) => deletedTuple(draft, held)) === undefined) break
    hasDeleted = true
  } while (isAll)
  return hasDeleted
}

/** Tells other gateways that a tuple was deleted by hand; see mergeTuples. */
function deletedTuple(draft: Draft, { marks }: HeldTuple): HeldTuple {
  return { entry: undefined, marks: { epoch: draft.nextStamp(marks?.epoch) } }
}
