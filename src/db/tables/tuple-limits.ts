import { isPoolTuple } from '../../domain/pool-key.js'
import type { GreyPolicy } from '../../domain/requests.js'
import { type Excess, excessOf, oldestToGo, type TupleTotals, victimsOf } from '../../domain/tuple-limits.js'
import type { Connection } from '../connection.js'
import type { SqlValue } from '../sqlite-driver.js'
import type { StoredTuple } from './stored-tuple.js'
import { TupleSources } from './tuple-sources.js'
import { BEFORE_FIRST_TUPLE, type TupleTable } from './tuple-table.js'

/**
 * Share of all tuples that are candidates when the oldest are evicted. The larger it is, the fewer tuples a
 * search has to look at for each that it evicts; the smaller, the closer to the very oldest they are.
 */
const CANDIDATE_SHARE = 1 / 32
/** Up to this many tuples, the very oldest are found; also how many a search looks at in one step. */
const STRETCH_TUPLES = 4096

/** Other programs add and remove tuples too: what is known of the sources is read again after this. */
const SOURCES_LIFE_SEC = 600

/**
 * Keeps number and size of the tuples within the limits; domain/tuple-limits.ts says which go. Of all, the oldest are
 * found without an index, which every tuple would pay for: the candidates are the oldest 1/32 (all, if there are few),
 * and the search for them rotates through the keys, so that the cost of one eviction does not grow with the database.
 *
 * The limit of a single address is kept by the rules, exactly.
 */
export class TupleLimits {
  readonly #tuples: TupleTable
  readonly #connection: Connection
  #sweepAfter: readonly SqlValue[] = BEFORE_FIRST_TUPLE
  #sourcesReadAt = 0

  constructor(connection: Connection, tuples: TupleTable) {
    this.#connection = connection
    this.#tuples = tuples
  }

  /**
   * Evicts what exceeds the limits on all tuples; returns how many. Call once per transaction, after its
   * changes.
   */
  evictOverLimits(policy: Pick<GreyPolicy, 'maxTuples' | 'maxTupleBytes'>, now: number): number {
    const { ages } = this.#tuples
    const totals = { count: ages.total(), pools: ages.totalPools(), bytes: ages.totalBytes() }
    let evictedCount = 0
    for (let excess = excessOf(totals, policy); excess !== undefined; excess = excessOf(totals, policy)) {
      const count =
        this.#relieve(this.#sourcesAt(now), excess, policy.maxTuples, totals) ||
        this.#evictOldest(excess, totals)
      if (count === 0) break
      evictedCount += count
    }
    return evictedCount
  }

  /** Evicts tuples of heavy sources; returns how many, and subtracts them from the totals. */
  #relieve(sources: TupleSources, excess: Excess, maxTuples: number, totals: TupleTotals): number {
    const isEnough = beyond(excess, totals)
    let evictedCount = 0
    // Other programs may have removed the tuples of a source: others take its place.
    while (evictedCount === 0) {
      const victims = victimsOf(sources.sizes(), excess, maxTuples)
      if (victims.length === 0) break
      for (const { size, count } of victims) {
        for (let left = count; left > 0 && !isEnough(); left -= 1) {
          const evicted = sources.evictFrom(size)
          if (evicted === undefined) break
          this.#tuples.noteRemoved(evicted)
          takeFrom(totals, evicted)
          evictedCount += 1
        }
      }
    }
    return evictedCount
  }

  #sourcesAt(now: number): TupleSources {
    const known = this.#tuples.sources
    if (known !== undefined && Math.abs(now - this.#sourcesReadAt) < SOURCES_LIFE_SEC) return known
    this.#sourcesReadAt = now
    this.#tuples.sources = new TupleSources(this.#connection)
    return this.#tuples.sources
  }

  /** Which tuples may be evicted: those created before this time, which are all if there are few. */
  #candidates(wantedCount: number): { isSmall: boolean; createdBefore: number } {
    const { ages } = this.#tuples
    const total = ages.total() + ages.totalPools()
    if (total <= STRETCH_TUPLES) return { isSmall: true, createdBefore: Number.MAX_SAFE_INTEGER }
    const count = Math.max(wantedCount, Math.ceil(total * CANDIDATE_SHARE))
    return { isSmall: false, createdBefore: ages.createdBefore(count) }
  }

  /** Evicts the oldest of all; returns how many, and subtracts them from the totals. */
  #evictOldest(excess: Excess, totals: TupleTotals): number {
    const { ages } = this.#tuples
    const wantedCount = oldestToGo(excess, totals)
    const isEnough = beyond(excess, totals)
    ages.flush()
    const { isSmall, createdBefore } = this.#candidates(wantedCount)
    let evictedCount = 0
    let wrapCount = 0
    while (!isEnough()) {
      const start = isSmall ? BEFORE_FIRST_TUPLE : this.#sweepAfter
      // Small ones are sorted as a whole; in the first round of a large one, retried ones are spared.
      const sparesRetried = !isSmall && wrapCount < 2
      for (const tuple of this.#tuples.oldInStretch(start, STRETCH_TUPLES, createdBefore)) {
        if (isEnough()) break
        if (sparesRetried && tuple.bcount > 1) continue
        if (!isOfKind(tuple, excess.ofPools) || !this.#tuples.deleteStored(tuple)) continue
        takeFrom(totals, tuple)
        evictedCount += 1
      }
      if (isEnough()) break
      const next = this.#tuples.keyBehind(start, STRETCH_TUPLES)
      if (next === undefined) wrapCount += 1
      if (wrapCount > 3) break
      this.#sweepAfter = next ?? BEFORE_FIRST_TUPLE
    }
    ages.flush()
    return evictedCount
  }
}

function isOfKind(tuple: StoredTuple, ofPools: boolean | undefined): boolean {
  return ofPools === undefined || isOfPool(tuple) === ofPools
}

function isOfPool({ ip, helo }: StoredTuple): boolean {
  return helo.length === 0 && isPoolTuple({ ip: ip.toString('latin1'), helo: '' })
}

function takeFrom(totals: TupleTotals, tuple: StoredTuple): void {
  totals[isOfPool(tuple) ? 'pools' : 'count'] -= 1
  totals.bytes -= tuple.helo.length + tuple.from.length + tuple.to.length
}

/** Returns a test that is true once the totals have fallen by an excess. */
function beyond({ count, bytes, ofPools }: Excess, totals: TupleTotals): () => boolean {
  const kind = ofPools === true ? 'pools' : 'count'
  const most = count > 0 ? totals[kind] - count : totals.bytes - bytes
  return count > 0 ? () => totals[kind] <= most : () => totals.bytes <= most
}
