import type { SyncSenderCounters } from '../../app/sync/sync-sender.js'
import type { SyncApplierCounters } from './sync-applier.js'
import type { HeardPeer, SyncGateCounters } from './sync-gate.js'

/** Answer of the request `sync-status`. */
export interface SyncStatus {
  listening: string | undefined
  multicast: { interface: string; ttl: number; group: string; sends: boolean; receives: boolean } | undefined
  peers: readonly { name: string; address: string }[]
  keyFingerprint: string | undefined
  sent: SyncSenderCounters | undefined
  received: SyncGateCounters | undefined
  /** The last message of each peer that was believed. */
  heard: HeardPeer[] | undefined
  entries: SyncApplierCounters | undefined
}
