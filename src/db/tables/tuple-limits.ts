import type { SqlValue } from '../sqlite-driver.js'
import { BEFORE_FIRST_TUPLE, type TupleTable } from './tuple-table.js'

/**
 * Share of all tuples that are candidates when the oldest are evicted. The larger it is, the fewer tuples a
 * search has to look at for each that it evicts; the smaller, the closer to the very oldest they are.
 */
const CANDIDATE_SHARE = 1 / 32
/** Up to this many tuples, the very oldest are found; also how many a search looks at in one step. */
const STRETCH_TUPLES = 4096

/**
 * Keeps the number of tuples within the limits by evicting the oldest, so that a flood cannot fill the disk.
 * The limit of an address is kept by the rules, exactly. For the total, the candidates are the oldest 1/32 of all tuples (all,
 * when there are few), and the search for them goes round the keys from where it left off: the cost of one
 * eviction does not grow with the database, and no index has to be kept for it.
 */
export class TupleLimits {
  readonly #tuples: TupleTable
  #sweepAfter: readonly SqlValue[] = BEFORE_FIRST_TUPLE

  constructor(tuples: TupleTable) {
    this.#tuples = tuples
  }

  /** Evicts what is over the total limit; how many. Call once a transaction, after its changes. */
  evictOverTotal(maxTuples: number): number {
    const excess = this.#tuples.ages.total() - maxTuples
    return excess > 0 ? this.#evictOldest(excess) : 0
  }

  #evictOldest(wantedCount: number): number {
    const { ages } = this.#tuples
    ages.flush()
    const total = ages.total()
    const isSmall = total <= STRETCH_TUPLES
    const candidateCount = isSmall ? wantedCount : Math.max(wantedCount, Math.ceil(total * CANDIDATE_SHARE))
    const createdBefore = isSmall ? Number.MAX_SAFE_INTEGER : ages.createdBefore(candidateCount)
    let evictedCount = 0
    let hasWrapped = false
    while (evictedCount < wantedCount) {
      const start = isSmall ? BEFORE_FIRST_TUPLE : this.#sweepAfter
      for (const tuple of this.#tuples.oldInStretch(start, STRETCH_TUPLES, createdBefore)) {
        if (evictedCount === wantedCount) break
        if (this.#tuples.deleteStored(tuple)) evictedCount += 1
      }
      if (evictedCount === wantedCount) break
      const next = this.#tuples.keyBehind(start, STRETCH_TUPLES)
      if (next === undefined && hasWrapped) break
      hasWrapped ||= next === undefined
      this.#sweepAfter = next ?? BEFORE_FIRST_TUPLE
    }
    ages.flush()
    return evictedCount
  }
}
