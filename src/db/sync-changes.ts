import { applyPeerHost, canPeerDelete } from '../domain/sync-rules.js'
import { type AttemptRun, applyAttempt, finishAttempts } from './attempts.js'
import type { SyncChange } from './store.js'

/** Applies the entries of a peer in order, within the caller's transaction; see `Store.applySync`. */
export function applySyncChanges(run: AttemptRun, changes: readonly SyncChange[]): ('applied' | 'ignored')[] {
  const outcomes = changes.map((change) => (applySyncChange(run, change) ? 'applied' : 'ignored'))
  finishAttempts(run)
  return outcomes
}

function applySyncChange(run: AttemptRun, change: SyncChange): boolean {
  const { hosts } = run.tables
  switch (change.type) {
    case 'GREY':
      // One -M test is enough for a cluster: the peer that spoke to the client made it.
      applyAttempt(run, { ...change.attempt, isLowPriorityMx: false })
      return true
    case 'WHITE':
    case 'TRAPPED': {
      const existing = hosts.get(change.ip)
      const host = applyPeerHost(existing, change.type, change.expire, run.now)
      if (host !== undefined) hosts.put(change.ip, existing, host)
      return host !== undefined
    }
    case 'delete':
      return canPeerDelete(hosts.get(change.ip)) && hosts.delete(change.ip)
  }
}
