import type { ScanReport } from '../../app/control-protocol.js'
import type { PoolEntry } from '../../domain/entry.js'
import { type PoolKeyKind, parsePoolKey } from '../../domain/pool-key.js'

/** The initial report of a scan, times in seconds since the Epoch. */
export function newReport(atSec: number): ScanReport {
  return {
    atSec,
    isComplete: false,
    isWaiting: false,
    whiteCount: 0,
    trappedCount: 0,
    poolCount: 0,
    greyCount: 0,
    deletedCount: 0,
    promotedCount: 0,
    durationMs: 0,
  }
}

/**
 * True for the network of a key that is in use here. Networks of other keys stay in the database until they
 * expire: another gateway may use them.
 */
export function isPoolInUse({ pool }: PoolEntry, poolKinds: ReadonlySet<PoolKeyKind>): boolean {
  const kind = parsePoolKey(pool)?.kind
  return kind !== undefined && poolKinds.has(kind)
}
