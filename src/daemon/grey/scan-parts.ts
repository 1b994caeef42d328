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

/** Networks of pools to close: barred ones, and those of keys that are no longer in use. */
export function unfitPools(
  entries: readonly PoolEntry[],
  poolKinds: ReadonlySet<PoolKeyKind>,
  isBarred: (network: string) => boolean,
): string[] {
  const isUnfit = ({ ip, pool }: PoolEntry): boolean => {
    const kind = parsePoolKey(pool)?.kind
    return kind === undefined || !poolKinds.has(kind) || isBarred(ip)
  }
  return entries.filter(isUnfit).map(({ ip }) => ip)
}
