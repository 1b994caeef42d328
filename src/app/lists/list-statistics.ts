/** The effect of each block list in a period, and its content: `spamdctl stats` and `report`. */
import type { HourlyCount } from '../../domain/hourly-counts.js'
import { countAddresses, intersectSet } from '../../ip/set-size.js'
import { AppError } from '../../platform/app-error.js'
import type { UnixSec } from '../../platform/clock.js'
import { type DeliveredList, readDeliveredLists } from './delivered-lists.js'
import type { ListState } from './list-states.js'

export interface ListStatistics {
  name: string
  /** Connections of clients on the list. */
  hits: number
  /** Time that these clients waited for single bytes. */
  tarpitSec: number
  /** Addresses of IPv4 as delivered to spamd; undefined when it was not delivered. */
  addresses: number | undefined
  /** Seconds since its content was known to be current; undefined for local files and where nothing is known. */
  ageSec: number | undefined
  lastError: string | undefined
  /** Shares of its IPv4 addresses, from 0 to 1, that other lists hold too, the largest first. */
  overlaps: { name: string; share: number }[]
}

/** Maximum number of overlaps reported per list. */
const MAX_OVERLAPS = 3
/** Of more lists than this, overlaps are left out: each is compared with each. */
const MAX_COMPARED = 60

/**
 * Statistics by list, those with most hits first. Lists that spamd.conf does not name, such as that of trapped hosts, are
 * there when they had hits.
 */
export function computeListStatistics(
  counts: readonly HourlyCount[],
  states: readonly ListState[],
  delivered: readonly DeliveredList[],
  nowSec: UnixSec,
): ListStatistics[] {
  const sums = { listed: new Map<string, number>(), 'tarpit-seconds': new Map<string, number>() }
  for (const { name, label, count } of counts) {
    if (name !== 'listed' && name !== 'tarpit-seconds') continue
    if (label !== '') sums[name].set(label, (sums[name].get(label) ?? 0) + count)
  }
  const overlaps = computeOverlaps(delivered)
  const sets = new Map(delivered.map((list) => [list.name, list.set]))
  const byName = new Map(
    states.filter(({ colour }) => colour !== 'white').map((state) => [state.name, state] as const),
  )
  const names = new Set([
    ...byName.keys(),
    ...sets.keys(),
    ...sums.listed.keys(),
    ...sums['tarpit-seconds'].keys(),
  ])
  const result = [...names].map((name): ListStatistics => {
    const state = byName.get(name)
    const set = sets.get(name)
    const isFetched = state?.source !== undefined && state.source.method !== 'file'
    return {
      name,
      hits: sums.listed.get(name) ?? 0,
      tarpitSec: sums['tarpit-seconds'].get(name) ?? 0,
      addresses: set && countAddresses(set).ipv4,
      ageSec:
        !isFetched || state.lastSuccessSec === undefined
          ? undefined
          : Math.max(0, nowSec - state.lastSuccessSec),
      lastError: state?.lastError,
      overlaps: overlaps.get(name) ?? [],
    }
  })
  return result.sort((one, other) => other.hits - one.hits || (one.name < other.name ? -1 : 1))
}

function computeOverlaps(delivered: readonly DeliveredList[]): Map<string, ListStatistics['overlaps']> {
  const result = new Map<string, ListStatistics['overlaps']>(delivered.map(({ name }) => [name, []]))
  if (delivered.length > MAX_COMPARED) return result
  const sizes = delivered.map(({ set }) => countAddresses(set).ipv4)
  for (let left = 0; left < delivered.length; left += 1) {
    for (let right = left + 1; right < delivered.length; right += 1) {
      const common = countAddresses(intersectSet(delivered[left]!.set, delivered[right]!.set)).ipv4
      if (common === 0) continue
      const one = delivered[left]!.name
      const other = delivered[right]!.name
      result.get(one)?.push({ name: other, share: common / sizes[left]! })
      result.get(other)?.push({ name: one, share: common / sizes[right]! })
    }
  }
  for (const list of result.values()) {
    list.sort((one, other) => other.share - one.share)
    list.length = Math.min(list.length, MAX_OVERLAPS)
  }
  return result
}

/** The lists as delivered; none if they cannot be read, which `doctor` reports. */
export async function readDeliveredOrNone(stateDir: string): Promise<DeliveredList[]> {
  try {
    return await readDeliveredLists(stateDir)
  } catch (error) {
    if (error instanceof AppError) return []
    throw error
  }
}
