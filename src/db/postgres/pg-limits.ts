/**
 * Keeps the number of tuples on a server within the limits; domain/tuple-limits.ts says which go. Each gateway knows
 * for itself what each source has; the server keeps the total, and finds the tuples in the order of `compareToGo`.
 */
import type { Tuple } from '../../domain/entry.js'
import { isPoolTuple } from '../../domain/pool-key.js'
import type { GreyPolicy } from '../../domain/requests.js'
import {
  type Excess,
  excessOf,
  oldestToGo,
  poolSourceOf,
  SourceSizes,
  type Victim,
  victimsOf,
} from '../../domain/tuple-limits.js'
import { MadeUpNames } from '../tables/made-up-names.js'
import { rangesOf } from '../tables/tuple-sources.js'
import type { PgLink, Statements } from './pg-link.js'
import { netOf } from './pg-rows.js'
import { IS_POOL_TUPLE } from './pg-schema.js'
import { type TupleBalance, textBytes } from './pg-writes.js'

const TOTALS = `SELECT coalesce(sum(tuple_count), 0)::bigint, coalesce(sum(pool_count), 0)::bigint,
  coalesce(sum(text_bytes), 0)::bigint FROM spamd.totals`
const LENGTH = 'octet_length(helo) + octet_length(sender) + octet_length(recipient)'
const WEIGHTS = `SELECT net, ${IS_POOL_TUPLE}::int AS is_pool, count(*), sum(${LENGTH})::bigint FROM spamd.tuples
  WHERE NOT is_removed GROUP BY net, is_pool`
/** A source with several ranges or names gives up no more than requested in total. */
const EVICT_SOURCES = `WITH wanted AS MATERIALIZED (
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $6::text[], $7::bigint[])
      k(net, low, high, count, source, source_count)),
  found AS MATERIALIZED (
    SELECT x.*, w.source, w.source_count FROM wanted w CROSS JOIN LATERAL (
      SELECT ip, digest, net, bcount > 1 AS came_back, first FROM spamd.tuples c
      WHERE c.net = w.net AND ip >= w.low AND ip < w.high AND is_removed::int = 0 AND ${IS_POOL_TUPLE} = $5
      ORDER BY bcount > 1, first LIMIT w.count FOR UPDATE SKIP LOCKED) x),
  ranked AS (
    SELECT ip, digest, net, source_count, row_number() OVER (PARTITION BY source ORDER BY came_back, first) AS place
      FROM found),
  gone AS (
    DELETE FROM spamd.tuples WHERE (ip, digest, net) IN (SELECT ip, digest, net FROM ranked WHERE place <= source_count)
    RETURNING net, ${LENGTH} AS bytes)
  SELECT net, count(*), coalesce(sum(bytes), 0)::bigint FROM gone GROUP BY net`
/** Examines this many more than are to go, so that retried ones can be spared. */
const SPARE_STRETCH = 1024
const EVICT_OLDEST = `WITH oldest AS MATERIALIZED (
    SELECT ip, digest, net, bcount > 1 AS came_back, expire, first FROM spamd.tuples
      WHERE NOT is_removed AND ($2::boolean IS NULL OR $2 = ${IS_POOL_TUPLE}) ORDER BY expire, first LIMIT $1 + ${SPARE_STRETCH}),
  chosen AS (SELECT * FROM oldest ORDER BY came_back, expire, first LIMIT $1),
  gone AS (
    DELETE FROM spamd.tuples WHERE (ip, digest, net) IN (
      SELECT t.ip, t.digest, t.net FROM chosen JOIN spamd.tuples t USING (ip, digest, net)
        WHERE NOT t.is_removed FOR UPDATE OF t SKIP LOCKED)
    RETURNING ${IS_POOL_TUPLE} AS is_pool, ${LENGTH} AS bytes)
  SELECT count(*), count(*) FILTER (WHERE is_pool), coalesce(sum(bytes), 0)::bigint FROM gone`

/** Other gateways add tuples too: the total is read again after this, the weights after ten minutes. */
const TOTAL_LIFE_MS = 5000
const WEIGHTS_LIFE_MS = 600_000
/** Rounds in which networks give up tuples before the oldest of all go. */
const MAX_ROUNDS = 16
/** Names of a domain to examine for each tuple that it must give up, so that retried ones are spared. */
const NAMES_LOOKED_AT = 2
/** Maximum evictions per call, so that a batch does not pay for a flood from others. */
const MAX_EVICTED = 2000

/** Where a source has tuples, how many to look for there, and how many the whole source must give up. */
interface SourceRange {
  net: string
  low: string
  high: string
  count: number
  source: string
  sourceCount: number
}
/** The limits as one store keeps them. */
export class PgTupleLimits {
  readonly #link: PgLink
  #total: { balance: TupleBalance; readMs: number } | undefined
  #sources: { sizes: SourceSizes; readMs: number } | undefined
  #names = new MadeUpNames()

  constructor(link: PgLink) {
    this.#link = link
  }

  /** Tells of tuples that this store added and removed. */
  note(added: readonly Tuple[], removed: readonly Tuple[]): void {
    for (const [tuples, sign] of [
      [added, 1],
      [removed, -1],
    ] as const) {
      for (const tuple of tuples) {
        const bytes = sign * textBytes(tuple)
        const isPool = isPoolTuple(tuple)
        this.#add(netOf(tuple.ip), isPool, sign, bytes)
        const balance = this.#total?.balance
        if (balance === undefined) continue
        balance[isPool ? 'pools' : 'count'] += sign
        balance.bytes += bytes
      }
    }
  }

  /** Evicts what is over; how many. `settle` stores the change of the totals in the same transaction. */
  async evictOverLimits(
    policy: Pick<GreyPolicy, 'maxTuples' | 'maxTupleBytes'>,
    settle: (balance: TupleBalance, statements: Statements) => Promise<void>,
  ): Promise<number> {
    const known = this.#total
    if (
      known === undefined ||
      performance.now() - known.readMs > TOTAL_LIFE_MS ||
      excessOf(known.balance, policy) !== undefined
    ) {
      await this.#readTotal()
    }
    if (excessOf(this.#total!.balance, policy) === undefined) return 0
    await this.#readSources()
    return this.#link.write('evictTuples', async (statements, commit) => {
      const evicted: TupleBalance = { count: 0, pools: 0, bytes: 0 }
      const left = (): TupleBalance => ({
        count: this.#total!.balance.count - evicted.count,
        pools: this.#total!.balance.pools - evicted.pools,
        bytes: this.#total!.balance.bytes - evicted.bytes,
      })
      let excess = excessOf(left(), policy)
      for (let round = 0; round < MAX_ROUNDS && excess !== undefined; round += 1) {
        const victims = victimsOf(this.#sources!.sizes.values(), excess, policy.maxTuples)
        const before = evicted.count + evicted.pools
        await this.#evictSources(statements, victims, evicted)
        if (evicted.count + evicted.pools === before) break
        excess = excessOf(left(), policy)
      }
      if (excess !== undefined) {
        await this.#evictOldest(statements, excess, left(), evicted)
      }
      const change = { count: -evicted.count, pools: -evicted.pools, bytes: -evicted.bytes }
      const settled = settle(change, statements)
      commit()
      await settled
      const { balance } = this.#total!
      balance.count += change.count
      balance.pools += change.pools
      balance.bytes += change.bytes
      return evicted.count + evicted.pools
    })
  }

  async #evictSources(
    statements: Statements,
    victims: readonly Victim[],
    evicted: TupleBalance,
  ): Promise<void> {
    for (const ofPools of [false, true]) {
      const ranges = victims
        .filter(({ size }) => size.ofPools === ofPools)
        .flatMap((victim) => [...this.#rangesOf(victim)])
      if (ranges.length === 0) continue
      const rows = await statements.rows(EVICT_SOURCES, [
        ranges.map(({ net }) => net),
        ranges.map(({ low }) => low),
        ranges.map(({ high }) => high),
        ranges.map(({ count }) => count),
        ofPools,
        ranges.map(({ source }) => source),
        ranges.map(({ sourceCount }) => sourceCount),
      ])
      for (const [net, count, bytes] of rows as unknown as [string, number, number][]) {
        note(evicted, [count, ofPools ? count : 0, bytes])
        this.#add(net, ofPools, -count, -bytes)
      }
    }
  }

  async #evictOldest(
    statements: Statements,
    excess: Excess,
    totals: TupleBalance,
    evicted: TupleBalance,
  ): Promise<void> {
    const limit = Math.min(MAX_EVICTED, oldestToGo(excess, totals))
    const [row] = await statements.rows(EVICT_OLDEST, [limit, excess.ofPools ?? null])
    note(evicted, row as unknown as [number, number, number])
    this.#sources = undefined
  }

  /** Where a source that is to give up `count` tuples may have them. */
  *#rangesOf({ size: { source, ofPools }, count }: Victim): Generator<SourceRange> {
    const rangeOf = (net: string, most: number) =>
      rangesOf(net).map(([low, high]) => ({ net, low, high, count: most, source, sourceCount: count }))
    yield* rangeOf(source, count)
    const nameCount = !ofPools ? 0 : Math.min(this.#names.countOf(source), count * NAMES_LOOKED_AT)
    // A single name may have all that are wanted; of many names, each is asked for fewer.
    const most = Math.ceil((count * NAMES_LOOKED_AT) / nameCount)
    let left = nameCount
    for (const name of left > 0 ? this.#names.take(source) : []) {
      yield* rangeOf(name, most)
      left -= 1
      if (left === 0) break
    }
  }

  #add(net: string, ofPools: boolean, count: number, bytes: number): void {
    const sizes = this.#sources?.sizes
    if (sizes === undefined) return
    const source = ofPools ? poolSourceOf(net) : net
    if (ofPools) this.#names.add(net, source, count)
    sizes.add({ source, ofPools, count, bytes })
  }

  async #readTotal(): Promise<void> {
    const [row] = await this.#link.read('tupleCount', (statements) => statements.rows(TOTALS))
    const [count, pools, bytes] = row as [number, number, number]
    this.#total = { balance: { count, pools, bytes }, readMs: performance.now() }
  }

  async #readSources(): Promise<void> {
    if (this.#sources !== undefined && performance.now() - this.#sources.readMs < WEIGHTS_LIFE_MS) return
    const rows = await this.#link.read('evictTuples', (statements) => statements.rows(WEIGHTS))
    this.#sources = { sizes: new SourceSizes(), readMs: performance.now() }
    this.#names = new MadeUpNames()
    for (const [net, isPool, count, bytes] of rows as unknown as [string, 0 | 1, number, number][]) {
      this.#add(net, isPool === 1, count, bytes)
    }
  }
}

/** Subtracts removed tuples from the counts, in total and of pools. */
function note(evicted: TupleBalance, [all, pools, bytes]: readonly [number, number, number]): void {
  evicted.count += all - pools
  evicted.pools += pools
  evicted.bytes += bytes
}
