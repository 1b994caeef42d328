import type { Cause } from './change.js'
import { closePoolsAround } from './decide-pools.js'
import { type Draft, emptySelection, type Selection } from './draft.js'
import type { HostEntry } from './entry.js'
import { grantedMarks, refreshedMarks, resetMarks, trappedMarks } from './host-marks.js'
import { isPinned } from './host-state.js'
import type { GreyPolicy, SyncChange, SyncOutcome } from './requests.js'
import { applyPeerHost, canPeerDelete } from './sync-rules.js'

/** What must be loaded to decide messages of peers. */
export function selectSync(changes: readonly SyncChange[]): Selection {
  const selection = emptySelection()
  for (const { ip, type } of changes) {
    selection.hosts.add(ip)
    if (type === 'TRAPPED') selection.poolsAround.add(ip)
  }
  return selection
}

/** Lifetimes of entries created here. */
type LifeTimes = Pick<GreyPolicy, 'whiteExpireSec' | 'trapExpireSec'>

/**
 * Decides messages of version 2 from peers, in order: they become local events, stamped on receipt; see
 * sync-rules.ts.
 */
export function decideSync(draft: Draft, changes: readonly SyncChange[], policy: LifeTimes): SyncOutcome[] {
  return changes.map((change, index) => {
    draft.begin(index)
    return decideMessage(draft, change, policy)
  })
}

function decideMessage(draft: Draft, change: SyncChange, policy: LifeTimes): SyncOutcome {
  const { ip, peer } = change
  const cause: Cause = peer === undefined ? { rule: 'peer' } : { rule: 'peer', actor: peer }
  const { entry } = draft.host(ip)
  if (change.type === 'delete') {
    if (!canPeerDelete(entry)) return 'ignored'
    const stamp = draft.nextHostStamp(ip)
    draft.putHost(ip, { entry: undefined, marks: resetMarks(stamp) }, stamp, cause)
    return 'applied'
  }
  // A peer's entry lasts no longer than one of our own would, because its clock or its pins are not ours.
  const lifeSec = change.type === 'WHITE' ? policy.whiteExpireSec : policy.trapExpireSec
  const expire = Math.min(change.expire, draft.now + lifeSec)
  const host = applyPeerHost(entry, change.type, expire, draft.now)
  if (host === undefined) return 'ignored'
  const stamp = draft.nextHostStamp(ip)
  const after: HostEntry = { ...host, kind: change.type, ip }
  const marks = draft.marksOf(ip)
  let newMarks = marks
  if (entry === undefined || !isPinned(entry)) {
    if (change.type === 'TRAPPED') newMarks = trappedMarks(marks, stamp)
    else newMarks = entry === undefined ? grantedMarks(marks, stamp) : refreshedMarks(marks, stamp)
  }
  draft.putHost(ip, { entry: after, marks: newMarks }, stamp, cause)
  if (change.type === 'TRAPPED') closePoolsAround(draft, ip, cause)
  return entry === undefined ? 'created' : 'applied'
}
