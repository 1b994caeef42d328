import { applyPeerHost, canPeerDelete } from '../domain/sync-rules.js'
import { type AttemptRun, applyAttempt, finishAttempts } from './attempts.js'
import type { SyncChange, SyncOutcome } from './store.js'

/** Applies the entries of a peer in order, within the caller's transaction; see `Store.applySync`. */
export function applySyncChanges(run: AttemptRun, changes: readonly SyncChange[]): SyncOutcome[] {
  const outcomes = changes.map((change) => applySyncChange(run, change))
  finishAttempts(run)
  return outcomes
}

function applySyncChange(run: AttemptRun, change: SyncChange): SyncOutcome {
  const { hosts } = run.tables
  switch (change.type) {
    case 'GREY':
      // One -M test is enough for a cluster: the peer that spoke to the client made it.
      applyAttempt(run, { ...change.attempt, isLowPriorityMx: false })
      return 'applied'
    case 'WHITE':
    case 'TRAPPED': {
      const existing = hosts.get(change.ip)
      const host = applyPeerHost(existing, change.type, change.expire, run.now)
      if (host === undefined) return 'ignored'
      hosts.put(change.ip, existing, host)
      return existing === undefined ? 'created' : 'applied'
    }
    case 'delete':
      return canPeerDelete(hosts.get(change.ip)) && hosts.delete(change.ip) ? 'applied' : 'ignored'
  }
}
