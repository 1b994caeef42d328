import type { Tuple } from '../../domain/entry.js'
import { isPoolTuple } from '../../domain/pool-key.js'
import {
  compareToGo,
  poolSourceOf,
  type SourceSize,
  SourceSizes,
  sourceOf,
} from '../../domain/tuple-limits.js'
import type { Connection } from '../connection.js'
import { IS_POOL_TUPLE } from '../schema.js'
import { MadeUpNames } from './made-up-names.js'
import type { StoredTuple } from './stored-tuple.js'

/** So many of the next tuples to go are looked up at once for one source: at most, and as a share of all it has. */
const MAX_QUEUE = 4096
const QUEUE_SHARE = 1 / 16
/** Examines this many times as many names of a domain as needed, so that retried tuples can be spared. */
const NAMES_LOOKED_AT = 4

const BYTES = 'octet_length(helo) + octet_length("from") + octet_length("to")'
const BY_ADDRESS = `SELECT CAST(ip AS BLOB), count(*), sum(${BYTES}), count(*) FILTER (WHERE helo = ''),
  coalesce(sum(${BYTES}) FILTER (WHERE helo = ''), 0) FROM tuples GROUP BY ip`
const IN_RANGE = `SELECT CAST(ip AS BLOB) AS ip, CAST(helo AS BLOB) AS helo, CAST("from" AS BLOB) AS "from",
  CAST("to" AS BLOB) AS "to", first, bcount FROM tuples
  WHERE ip >= ? AND ip < ? AND ${IS_POOL_TUPLE} = ? ORDER BY bcount > 1, first LIMIT ?`
const DELETE = `DELETE FROM tuples WHERE ip = CAST(? AS TEXT) AND helo = CAST(? AS TEXT)
  AND "from" = CAST(? AS TEXT) AND "to" = CAST(? AS TEXT) AND first = ? AND bcount = ?`

/** A tuple that may go: it stays when it changed since it was looked up. */
type Candidate = StoredTuple & { bcount: number }

/**
 * How much space each source, the /24 or /64 of an address or a registered domain, uses among the tuples; separate
 * for addresses and pools, since each kind has its own limit: a source must not lose tuples of the other kind. Read
 * from the table when the limits are first reached and kept in memory from then on: below the limits it costs nothing.
 */
export class TupleSources {
  readonly #connection: Connection
  readonly #sizes = new SourceSizes()
  readonly #queues = { own: new Map<string, Candidate[]>(), pools: new Map<string, Candidate[]>() }
  readonly #names = new MadeUpNames()

  constructor(connection: Connection) {
    this.#connection = connection
    for (const [ip, count, bytes, bareCount, bareBytes] of connection
      .prepareRaw(BY_ADDRESS)
      .iterate() as Iterable<[Buffer, number, number, number, number]>) {
      const address = ip.toString('latin1')
      const isPool = isPoolTuple({ ip: address, helo: '' })
      const [poolCount, poolBytes] = isPool ? [bareCount, bareBytes] : [0, 0]
      const key = sourceOf(address)
      this.#sizes.add({ source: key, ofPools: false, count: count - poolCount, bytes: bytes - poolBytes })
      if (poolCount > 0) this.#addOfPool(key, poolCount, poolBytes)
    }
  }

  /** Tells of a tuple that was added, or with `sign` -1 removed. */
  note(tuple: Tuple, textBytes: number, sign: 1 | -1): void {
    const key = sourceOf(tuple.ip)
    if (isPoolTuple(tuple)) this.#addOfPool(key, sign, sign * textBytes)
    else this.#sizes.add({ source: key, ofPools: false, count: sign, bytes: sign * textBytes })
  }

  /** What each source has. */
  sizes(): Iterable<Readonly<SourceSize>> {
    return this.#sizes.values()
  }

  /**
   * Deletes the tuple of a source that is to be removed next, as `compareToGo` says; undefined when it has none.
   */
  evictFrom(size: Readonly<SourceSize>): StoredTuple | undefined {
    const queues = size.ofPools ? this.#queues.pools : this.#queues.own
    for (let refills = 0; refills < 2; ) {
      const candidate = queues.get(size.source)?.pop()
      if (candidate === undefined) {
        refills += 1
        queues.set(size.source, this.#nextOf(size))
        continue
      }
      const { ip, helo, from, to, first, bcount } = candidate
      const result = this.#connection.prepare(DELETE).run(ip, helo, from, to, first, bcount)
      if (result.changes === 1) return candidate
    }
    this.#sizes.forget(size)
    return undefined
  }

  /** The next ones to go, the first of them at the end. */
  #nextOf({ source, ofPools, count }: Readonly<SourceSize>): Candidate[] {
    const limit = Math.min(MAX_QUEUE, Math.max(16, Math.ceil(count * QUEUE_SHARE)))
    const found: Candidate[] = []
    this.#findOf(source, ofPools, limit, found)
    if (ofPools) this.#findOfNames(source, limit, found)
    found.sort((one, other) => compareToGo(other, one))
    return found.slice(-limit)
  }

  /** Adds the tuples of a network or a single name; returns how many of them were never retried. */
  #findOf(network: string, ofPools: boolean, limit: number, found: Candidate[]): number {
    let freshCount = 0
    for (const [from, to] of rangesOf(network)) {
      const rows = this.#connection.prepare(IN_RANGE).all(from, to, Number(ofPools), limit) as Candidate[]
      for (const row of rows) {
        if (sourceOf(row.ip.toString('latin1')) !== network) continue
        found.push(row)
        if (row.bcount <= 1) freshCount += 1
      }
    }
    return freshCount
  }

  #findOfNames(source: string, limit: number, found: Candidate[]): void {
    let freshCount = 0
    let lookedAt = 0
    for (const name of this.#names.take(source)) {
      const countBefore = found.length
      freshCount += this.#findOf(name, true, limit - freshCount, found)
      // Other programs remove tuples too.
      if (found.length === countBefore) this.#names.forget(name, source)
      else lookedAt += 1
      if (freshCount >= limit || lookedAt >= limit * NAMES_LOOKED_AT) break
    }
  }

  #addOfPool(key: string, count: number, textBytes: number): void {
    const source = poolSourceOf(key)
    this.#sizes.add({ source, ofPools: true, count, bytes: textBytes })
    this.#names.add(key, source, count)
  }
}

/** Where the addresses of a source are in the order of the texts; others may be among them. */
export function rangesOf(source: string): [string, string][] {
  if (source.endsWith('.')) return [[source, `${source.slice(0, -1)}/`]]
  // Not NUL, which a server accepts in no text; no name contains a control character.
  if (!source.endsWith('/64')) return [[source, `${source} `]]
  const groups = groupsOf(source.slice(0, -3))
  const prefixes = [`${groups.join(':')}:`]
  // Zeros at the end of the network's part may be left out of the text.
  for (let length = 3; length >= 0 && groups[length] === '0'; length -= 1) {
    prefixes.push(`${groups.slice(0, length).join(':')}::`)
  }
  return prefixes.map((prefix) => [prefix, `${prefix.slice(0, -1)};`])
}

/** The first four groups of a network's address without leading zeros. */
function groupsOf(address: string): string[] {
  const [head = '', tail = ''] = address.split('::')
  const before = head === '' ? [] : head.split(':')
  const behind = tail === '' ? [] : tail.split(':')
  const zeros = address.includes('::') ? Array<string>(8 - before.length - behind.length).fill('0') : []
  return [...before, ...zeros, ...behind].slice(0, 4)
}
