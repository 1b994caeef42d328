/**
 * Keeps the number of tuples on a server within the limits: what exceeds the limit is removed from the
 * heaviest networks and domains first, as in tables/tuple-limits.ts. Each gateway knows the weights for itself; the
 * server keeps the total.
 */
import type { Tuple } from '../../domain/entry.js'
import { isPoolTuple } from '../../domain/pool-key.js'
import type { GreyPolicy } from '../../domain/requests.js'
import { MadeUpNames, poolSourceOf } from '../tables/made-up-names.js'
import { fairWeight, rangesOf } from '../tables/tuple-sources.js'
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

const TUPLE_OVERHEAD = 100
const DEFAULT_MAX_TUPLE_BYTES = 2 ** 30
/** Other gateways add tuples too: the total is read again after this, the weights after ten minutes. */
const TOTAL_LIFE_MS = 5000
const WEIGHTS_LIFE_MS = 600_000
/** Rounds in which networks give up tuples before the oldest of all go. */
const MAX_ROUNDS = 16
/** Names of a domain to examine for each tuple that it must give up, so that retried ones are spared. */
const NAMES_LOOKED_AT = 2
/** Halvings of the range in which the level is looked for. */
const LEVEL_STEPS = 48
/** Maximum evictions per call, so that a batch does not pay for a flood from others. */
const MAX_EVICTED = 2000

interface Source {
  count: number
  bytes: number
}

/** Usage of networks and domains, separate for tuples of addresses and of pools: neither makes room for the other. */
interface Sources {
  own: Map<string, Source>
  pools: Map<string, Source>
}
type Kind = keyof Sources

/** Where a source has tuples, how many to look for there, and how many the whole source must give up. */
interface SourceRange {
  net: string
  low: string
  high: string
  count: number
  source: string
  sourceCount: number
}
const KINDS: readonly Kind[] = ['own', 'pools']

/** The limits as one store keeps them. */
export class PgTupleLimits {
  readonly #link: PgLink
  #total: { balance: TupleBalance; readMs: number } | undefined
  #sources: (Sources & { readMs: number }) | undefined
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
        this.#add(isPool ? 'pools' : 'own', netOf(tuple.ip), sign, bytes)
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
    const maxBytes = policy.maxTupleBytes ?? DEFAULT_MAX_TUPLE_BYTES
    const known = this.#total
    if (
      known === undefined ||
      performance.now() - known.readMs > TOTAL_LIFE_MS ||
      isOver(known.balance, policy.maxTuples, maxBytes)
    ) {
      await this.#readTotal()
    }
    if (!isOver(this.#total!.balance, policy.maxTuples, maxBytes)) return 0
    await this.#readSources()
    return this.#link.write('evictTuples', async (statements, commit) => {
      const evicted: TupleBalance = { count: 0, pools: 0, bytes: 0 }
      const over = (): TupleBalance => ({
        count: this.#total!.balance.count - policy.maxTuples - evicted.count,
        pools: this.#total!.balance.pools - policy.maxTuples - evicted.pools,
        bytes: this.#total!.balance.bytes - maxBytes - evicted.bytes,
      })
      // Every attempt may have a tuple of its address and one of its pool: each kind has its own limit, and only
      // tuples of the kind above its limit are evicted.
      const fair = fairWeight(policy.maxTuples)
      for (let round = 0; round < MAX_ROUNDS; round += 1) {
        const { count, pools, bytes } = over()
        const wanted =
          count > 0
            ? { own: this.#choose({ count, bytes: 0 }, fair, ['own']).own }
            : pools > 0
              ? { pools: this.#choose({ count: pools, bytes: 0 }, fair, ['pools']).pools }
              : bytes > 0
                ? this.#choose({ count: 0, bytes }, fair, KINDS)
                : {}
        const before = evicted.count + evicted.pools
        for (const kind of KINDS) {
          const ofKind = wanted[kind]
          if (ofKind !== undefined && ofKind.size > 0)
            await this.#evictSources(statements, kind, ofKind, evicted)
        }
        if (evicted.count + evicted.pools === before) break
      }
      const left = over()
      if (left.count > 0 || left.pools > 0 || left.bytes > 0) {
        const { count, pools, bytes } = this.#total!.balance
        const perTuple = Math.max(1, bytes / Math.max(1, count + pools))
        const limit = Math.min(
          MAX_EVICTED,
          Math.max(left.count, left.pools, Math.ceil(left.bytes / perTuple)),
        )
        const ofPools = left.count > 0 ? false : left.pools > 0 ? true : null
        const [row] = await statements.rows(EVICT_OLDEST, [limit, ofPools])
        note(evicted, row as unknown as [number, number, number])
        this.#sources = undefined
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
    kind: Kind,
    wanted: ReadonlyMap<string, number>,
    evicted: TupleBalance,
  ): Promise<void> {
    const ranges = [...wanted].flatMap(([source, count]) => [...this.#rangesOf(source, count, kind)])
    const rows = await statements.rows(EVICT_SOURCES, [
      ranges.map(({ net }) => net),
      ranges.map(({ low }) => low),
      ranges.map(({ high }) => high),
      ranges.map(({ count }) => count),
      kind === 'pools',
      ranges.map(({ source }) => source),
      ranges.map(({ sourceCount }) => sourceCount),
    ])
    for (const [net, count, bytes] of rows as unknown as [string, number, number][]) {
      note(evicted, [count, kind === 'pools' ? count : 0, bytes])
      this.#add(kind, net, -count, -bytes)
    }
  }

  /** Where a source that is to give up `count` tuples may have them. */
  *#rangesOf(source: string, count: number, kind: Kind): Generator<SourceRange> {
    const rangeOf = (net: string, most: number) =>
      rangesOf(net).map(([low, high]) => ({ net, low, high, count: most, source, sourceCount: count }))
    yield* rangeOf(source, count)
    const nameCount = kind === 'own' ? 0 : Math.min(this.#names.countOf(source), count * NAMES_LOOKED_AT)
    // A single name may have all that are wanted; of many names, each is asked for fewer.
    const most = Math.ceil((count * NAMES_LOOKED_AT) / nameCount)
    let left = nameCount
    for (const name of left > 0 ? this.#names.take(source) : []) {
      yield* rangeOf(name, most)
      left -= 1
      if (left === 0) break
    }
  }

  /**
   * How many tuples to take from each network: those above a level that is low enough, but not below the fair
   * share.
   */
  #choose(
    over: { count: number; bytes: number },
    fair: number,
    kinds: readonly Kind[],
  ): Record<Kind, Map<string, number>> {
    const heavy = kinds
      .flatMap((kind) => [...this.#sources![kind]].map(([net, source]) => ({ kind, net, ...source })))
      .map((source) => ({
        ...source,
        bytesEach: source.bytes / source.count,
        each: TUPLE_OVERHEAD + source.bytes / source.count,
      }))
      .filter(({ count, each }) => count * each > fair)
    const above = (level: number, { count, each }: { count: number; each: number }): number =>
      Math.min(count, Math.max(0, Math.ceil(count - level / each)))
    const isEnough = (level: number): boolean => {
      let [count, bytes] = [0, 0]
      for (const source of heavy) {
        const taken = above(level, source)
        count += taken
        bytes += taken * source.bytesEach
      }
      return count >= over.count && bytes >= over.bytes
    }
    let [low, high] = [fair, heavy.reduce((most, { count, each }) => Math.max(most, count * each), fair)]
    for (let step = 0; step < LEVEL_STEPS && high - low > 1; step += 1) {
      const middle = (low + high) / 2
      if (isEnough(middle)) low = middle
      else high = middle
    }
    const wanted = { own: new Map<string, number>(), pools: new Map<string, number>() }
    let [count, bytes] = [over.count, over.bytes]
    for (const source of heavy) {
      if (count <= 0 && bytes <= 0) break
      const needed = Math.max(count, bytes > 0 ? Math.ceil(bytes / Math.max(1, source.bytesEach)) : 0)
      const taken = Math.min(above(low, source), needed)
      if (taken === 0) continue
      wanted[source.kind].set(source.net, taken)
      count -= taken
      bytes -= taken * source.bytesEach
    }
    return wanted
  }

  #add(kind: Kind, net: string, count: number, bytes: number): void {
    const weights = this.#sources?.[kind]
    if (weights === undefined) return
    const name = kind === 'pools' ? poolSourceOf(net) : net
    if (kind === 'pools') this.#names.add(net, name, count)
    const source = weights.get(name) ?? { count: 0, bytes: 0 }
    source.count += count
    source.bytes += bytes
    if (source.count <= 0) weights.delete(name)
    else weights.set(name, source)
  }

  async #readTotal(): Promise<void> {
    const [row] = await this.#link.read('tupleCount', (statements) => statements.rows(TOTALS))
    const [count, pools, bytes] = row as [number, number, number]
    this.#total = { balance: { count, pools, bytes }, readMs: performance.now() }
  }

  async #readSources(): Promise<void> {
    if (this.#sources !== undefined && performance.now() - this.#sources.readMs < WEIGHTS_LIFE_MS) return
    const rows = await this.#link.read('evictTuples', (statements) => statements.rows(WEIGHTS))
    this.#sources = { own: new Map(), pools: new Map(), readMs: performance.now() }
    this.#names = new MadeUpNames()
    for (const [net, isPool, count, bytes] of rows as unknown as [string, 0 | 1, number, number][]) {
      this.#add(isPool === 1 ? 'pools' : 'own', net, count, bytes)
    }
  }
}

/** Subtracts removed tuples from the counts, in total and of pools. */
function note(evicted: TupleBalance, [all, pools, bytes]: readonly [number, number, number]): void {
  evicted.count += all - pools
  evicted.pools += pools
  evicted.bytes += bytes
}

function isOver({ count, pools, bytes }: TupleBalance, maxTuples: number, maxBytes: number): boolean {
  return count > maxTuples || pools > maxTuples || bytes > maxBytes
}
