import { isPoolTuple } from '../../domain/pool-key.js'
import type { GreyPolicy } from '../../domain/requests.js'
import type { Connection } from '../connection.js'
import type { SqlValue } from '../sqlite-driver.js'
import type { StoredTuple } from './stored-tuple.js'
import { fairWeight, type SourceWeight, TupleSources } from './tuple-sources.js'
import { BEFORE_FIRST_TUPLE, type TupleTable } from './tuple-table.js'

/**
 * Share of all tuples that are candidates when the oldest are evicted. The larger it is, the fewer tuples a
 * search has to look at for each that it evicts; the smaller, the closer to the very oldest they are.
 */
const CANDIDATE_SHARE = 1 / 32
/** Up to this many tuples, the very oldest are found; also how many a search looks at in one step. */
const STRETCH_TUPLES = 4096

/** Texts of all tuples together unless the policy says otherwise: 1 GiB. */
const DEFAULT_MAX_TUPLE_BYTES = 2 ** 30
/** Other programs add and remove tuples too: what is known of the sources is read again after this. */
const SOURCES_LIFE_SEC = 600

/**
 * Keeps number and size of the tuples within the limits, so that a flood can neither fill the disk nor
 * displace the tuples of others. The excess is removed from the heaviest sources (a /24, a /64 or a registered
 * domain each) first, until none has more than its fair share; within a source those that were retried go last.
 * Only then, or when no source stands out, the oldest of all are removed: the candidates are the oldest 1/32 of all tuples
 * (all, if there are few), again those that were retried last, and the search for them rotates through the
 * keys, so that the cost of one eviction does not grow with the database and no index has to be kept for it.
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
    const maxBytes = policy.maxTupleBytes ?? DEFAULT_MAX_TUPLE_BYTES
    let count = ages.total()
    // Every attempt may have a tuple of its address and one of its pool: the limit applies to each kind
    // separately.
    let poolCount = ages.totalPools()
    let bytes = ages.totalBytes()
    const isOver = (): boolean => count > policy.maxTuples || poolCount > policy.maxTuples || bytes > maxBytes
    if (!isOver()) return 0
    const countBefore = count + poolCount
    const sources = this.#sourcesAt(now)
    // The heaviest is at the end, and goes back to where it belongs when it weighs less than the next.
    const fair = fairWeight(policy.maxTuples)
    const relieve = (ofPools: boolean | undefined, isTooMuch: () => boolean): void => {
      const heavy = isTooMuch() ? sources.heavy(fair, ofPools) : []
      for (let top = heavy.pop(); top !== undefined && isTooMuch(); top = heavy.pop()) {
        const level = Math.max(fair, heavy.at(-1)?.weight ?? 0)
        while (isTooMuch()) {
          const evicted = sources.evictFrom(top.source)
          if (evicted === undefined) break
          this.#tuples.noteRemoved(evicted)
          if (isOfPool(evicted)) poolCount -= 1
          else count -= 1
          bytes -= textBytesOf(evicted)
          if (sources.weightOf(top.source) <= level) break
        }
        const weight = sources.weightOf(top.source)
        if (weight > fair) insertByWeight(heavy, { source: top.source, weight })
      }
    }
    // Only tuples of the kind above its limit are evicted.
    relieve(false, () => count > policy.maxTuples)
    relieve(true, () => poolCount > policy.maxTuples)
    relieve(undefined, () => bytes > maxBytes)
    while (isOver()) {
      const excess = Math.max(count - policy.maxTuples, poolCount - policy.maxTuples, 1)
      const ofPools = count > policy.maxTuples ? false : poolCount > policy.maxTuples ? true : undefined
      if (this.#evictOldest(excess, ofPools) === 0) break
      count = ages.total()
      poolCount = ages.totalPools()
      bytes = ages.totalBytes()
    }
    return countBefore - count - poolCount
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

  /** `ofPools`: only tuples of pools, or only those of addresses; undefined is both. */
  #evictOldest(wantedCount: number, ofPools: boolean | undefined): number {
    const { ages } = this.#tuples
    ages.flush()
    const { isSmall, createdBefore } = this.#candidates(wantedCount)
    let evictedCount = 0
    let wrapCount = 0
    while (evictedCount < wantedCount) {
      const start = isSmall ? BEFORE_FIRST_TUPLE : this.#sweepAfter
      // Small ones are sorted as a whole; in the first round of a large one, retried ones are spared.
      const sparesRetried = !isSmall && wrapCount < 2
      for (const tuple of this.#tuples.oldInStretch(start, STRETCH_TUPLES, createdBefore)) {
        if (evictedCount === wantedCount) break
        if (sparesRetried && tuple.bcount > 1) continue
        if (isOfKind(tuple, ofPools) && this.#tuples.deleteStored(tuple)) evictedCount += 1
      }
      if (evictedCount === wantedCount) break
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

function textBytesOf({ helo, from, to }: StoredTuple): number {
  return helo.length + from.length + to.length
}

function insertByWeight(heavy: SourceWeight[], added: SourceWeight): void {
  let low = 0
  let high = heavy.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (heavy[middle]!.weight < added.weight) low = middle + 1
    else high = middle
  }
  heavy.splice(low, 0, added)
}
