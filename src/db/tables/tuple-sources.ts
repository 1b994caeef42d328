import type { Tuple } from '../../domain/entry.js'
import { isPoolTuple } from '../../domain/pool-key.js'
import { networkText, parseCidr } from '../../ip/cidr.js'
import type { Connection } from '../connection.js'
import { MadeUpNames, poolSourceOf } from './made-up-names.js'
import type { StoredTuple } from './stored-tuple.js'

/** What a tuple takes beside its texts, in bytes. */
const TUPLE_OVERHEAD = 100
/** A usual tuple with its texts. */
const USUAL_WEIGHT = 250
/** Tuples of usual size that every source may have: a thousandth of all, within bounds. */
const FAIR_SHARE = 1 / 1000
const LEAST_FAIR = 4
const MOST_FAIR = 32

/** The weight up to which a source does not count as a flood. */
export function fairWeight(maxTuples: number): number {
  return USUAL_WEIGHT * Math.min(MOST_FAIR, Math.max(LEAST_FAIR, maxTuples * FAIR_SHARE))
}

/** So many of the next tuples to go are looked up at once for one source: at most, and as a share of all it has. */
const MAX_QUEUE = 4096
const QUEUE_SHARE = 1 / 16
/** Examines this many times as many names of a domain as needed, so that retried tuples can be spared. */
const NAMES_LOOKED_AT = 4

const BYTES = 'octet_length(helo) + octet_length("from") + octet_length("to")'
const BY_ADDRESS = `SELECT CAST(ip AS BLOB), count(*), sum(${BYTES}), count(*) FILTER (WHERE helo = ''),
  coalesce(sum(${BYTES}) FILTER (WHERE helo = ''), 0) FROM tuples GROUP BY ip`
/** As `isPoolTuple` says. */
const IS_POOL = `(helo = '' AND (instr(ip, '/') > 0 OR substr(ip, 1, 4) = 'spf:' OR ip = 'learn'))`
const IN_RANGE = `SELECT CAST(ip AS BLOB) AS ip, CAST(helo AS BLOB) AS helo, CAST("from" AS BLOB) AS "from",
  CAST("to" AS BLOB) AS "to", first, bcount FROM tuples
  WHERE ip >= ? AND ip < ? AND ${IS_POOL} = ? ORDER BY bcount > 1, first LIMIT ?`
const DELETE = `DELETE FROM tuples WHERE ip = CAST(? AS TEXT) AND helo = CAST(? AS TEXT)
  AND "from" = CAST(? AS TEXT) AND "to" = CAST(? AS TEXT) AND first = ? AND bcount = ?`

/** Prefix of the sources of pool tuples: those of addresses are not counted there, nor the reverse. */
const OF_POOLS = 'pool '

/** A source and the size of its tuples in bytes. */
export interface SourceWeight {
  /** For only one kind of tuples: those of addresses, or those of pools. */
  source: string
  weight: number
}

/** A tuple that may go: it stays when it changed since it was looked up. */
type Candidate = StoredTuple & { bcount: number }

/**
 * How much space each source, the /24 or /64 of an address or a registered domain, uses among the tuples; separate
 * for addresses and pools, since each kind has its own limit: a source must not lose tuples of the other kind. Read
 * from the table when the limits are first reached and kept in memory from then on: below the limits it costs nothing.
 */
export class TupleSources {
  readonly #connection: Connection
  readonly #weights = new Map<string, number>()
  readonly #queues = new Map<string, Candidate[]>()
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
      this.#add(key, (count - poolCount) * TUPLE_OVERHEAD + bytes - poolBytes)
      if (poolCount > 0) this.#addOfPool(key, poolCount, poolBytes)
    }
  }

  /** Tells of a tuple that was added, or with `sign` -1 removed. */
  note(tuple: Tuple, textBytes: number, sign: 1 | -1): void {
    const key = sourceOf(tuple.ip)
    if (isPoolTuple(tuple)) this.#addOfPool(key, sign, sign * textBytes)
    else this.#add(key, sign * (TUPLE_OVERHEAD + textBytes))
  }

  /** Sources above their fair share, the heaviest last; `ofPools` as in `isOfPools`, undefined is both. */
  heavy(fair: number, ofPools: boolean | undefined): SourceWeight[] {
    const heavy: SourceWeight[] = []
    for (const [source, weight] of this.#weights) {
      if (weight > fair && (ofPools === undefined || isOfPools(source) === ofPools))
        heavy.push({ source, weight })
    }
    return heavy.sort((one, other) => one.weight - other.weight)
  }

  weightOf(source: string): number {
    return this.#weights.get(source) ?? 0
  }

  /**
   * Deletes the tuple of a source that is to be removed next: the oldest that was not retried, then the
   * oldest that was. undefined when it has none.
   */
  evictFrom(source: string): StoredTuple | undefined {
    for (let refills = 0; refills < 2; ) {
      const candidate = this.#queues.get(source)?.pop()
      if (candidate === undefined) {
        refills += 1
        this.#refill(source)
        continue
      }
      const { ip, helo, from, to, first, bcount } = candidate
      const result = this.#connection.prepare(DELETE).run(ip, helo, from, to, first, bcount)
      if (result.changes === 1) return candidate
    }
    this.#weights.delete(source)
    return undefined
  }

  #refill(source: string): void {
    const count = Math.ceil(this.weightOf(source) / TUPLE_OVERHEAD)
    const limit = Math.min(MAX_QUEUE, Math.max(16, Math.ceil(count * QUEUE_SHARE)))
    const found: Candidate[] = []
    const ofPools = isOfPools(source)
    const network = ofPools ? source.slice(OF_POOLS.length) : source
    this.#findOf(network, ofPools, limit, found)
    if (ofPools) this.#findOfNames(network, limit, found)
    // The next one to go is taken from the end.
    found.sort((one, other) => Number(other.bcount > 1) - Number(one.bcount > 1) || other.first - one.first)
    this.#queues.set(source, found.slice(-limit))
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
    this.#add(OF_POOLS + source, count * TUPLE_OVERHEAD + textBytes)
    this.#names.add(key, source, count)
  }

  #add(source: string, weight: number): void {
    const sum = (this.#weights.get(source) ?? 0) + weight
    if (sum <= 0) this.#weights.delete(source)
    else this.#weights.set(source, sum)
  }
}

/** True for the source of tuples that count for pools. */
function isOfPools(source: string): boolean {
  return source.startsWith(OF_POOLS)
}

/** The /24 or /64 of an address or network; what is neither stands for itself. */
export function sourceOf(ip: string): string {
  const lastDot = ip.lastIndexOf('.')
  if (lastDot > 0 && !ip.includes(':')) return ip.slice(0, lastDot + 1)
  const address = ip.split('/', 1)[0]!
  if (!address.includes(':') || parseCidr(`${address}/64`) === undefined) return ip
  return networkText(address, 64)
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
