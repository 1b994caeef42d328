/** What a scan finds due among the entries of one slice. Source: greyscanner of spamd's grey.c. */
import type { Entry, GreyEntry, HostEntry, PoolEntry, Tuple } from './entry.js'
import { isExpired } from './greylist-rules.js'
import { isPinned } from './host-state.js'
import { namesNoAddress } from './pool-key.js'
import type { ScanChanges } from './requests.js'

/** The time of a scan, in seconds since the Epoch. */
export interface ScanTime {
  nowSec: number
  /** Compare `pass` of WHITE entries with this: the latest time this daemon has seen. */
  passedSec: number
  /** False shortly after a step of the clock: delete nothing. */
  mayExpire: boolean
}

export interface ScanDecisions {
  changes: ScanChanges
  /** Canonical addresses for the table of WHITE hosts. */
  white: string[]
  /** Canonical addresses for the trap list. */
  trapped: string[]
  /** Tuples that have waited, of addresses that may be on a DNS list: they wait for its answer. */
  heldTuples: Tuple[]
  /** Open networks of pools. */
  pools: PoolEntry[]
}

/**
 * The first matching rule applies to each entry: expired ones are removed; TRAPPED addresses are trapped;
 * tuples that have waited are promoted; WHITE addresses that passed are white; the latter two are removed
 * instead when `isListed` (a pinned WHITE entry stays). Tuples keep waiting while `mayPromote` is false.
 * Nothing expires while `time.mayExpire` is false, and an expired tuple is never promoted. Tuples of pools
 * (`192.0.2.0/24`) are left to the retry that names the address.
 */
export function decideSlice(
  entries: readonly Entry[],
  time: ScanTime,
  isListed: (ip: string) => boolean,
  mayPromote: (ip: string) => boolean = () => true,
): ScanDecisions {
  const decisions: ScanDecisions = {
    changes: { expired: [], promoted: [], blocked: [], blockedTuples: [] },
    white: [],
    trapped: [],
    heldTuples: [],
    pools: [],
  }
  for (const entry of entries) {
    if (entry.kind === 'SPAMTRAP') continue
    if (entry.kind === 'POOL') decidePool(entry, time, decisions)
    else if (entry.kind === 'GREY') decideTuple(entry, time, isListed, mayPromote, decisions)
    else decideHost(entry, time, isListed, decisions)
  }
  return decisions
}

function decideTuple(
  entry: GreyEntry,
  time: ScanTime,
  isListed: (ip: string) => boolean,
  mayPromote: (ip: string) => boolean,
  { changes, heldTuples }: ScanDecisions,
): void {
  const { ip, helo, from, to } = entry
  if (isExpired(entry, time.nowSec)) {
    if (time.mayExpire) changes.expired.push({ kind: 'tuple', ip, helo, from, to })
  } else if (entry.pass <= time.nowSec && !namesNoAddress(ip)) {
    if (isListed(ip)) changes.blockedTuples.push({ ip, helo, from, to })
    else if (!mayPromote(ip)) heldTuples.push({ ip, helo, from, to })
    else changes.promoted.push({ ip, helo, from, to })
  }
}

function decidePool(entry: PoolEntry, time: ScanTime, { changes, pools }: ScanDecisions): void {
  if (isExpired(entry, time.nowSec) && time.mayExpire) changes.expired.push({ kind: 'pool', ip: entry.ip })
  else pools.push(entry)
}

function decideHost(
  entry: HostEntry,
  time: ScanTime,
  isListed: (ip: string) => boolean,
  { changes, white, trapped }: ScanDecisions,
): void {
  if (isExpired(entry, time.nowSec) && time.mayExpire) {
    changes.expired.push({ kind: 'host', ip: entry.ip })
  } else if (entry.kind === 'TRAPPED') trapped.push(entry.ip)
  else if (entry.pass <= time.passedSec) {
    if (!isPinned(entry) && isListed(entry.ip)) changes.blocked.push(entry.ip)
    else white.push(entry.ip)
  }
}
