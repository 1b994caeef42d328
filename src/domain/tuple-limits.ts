/**
 * Which tuples to evict when there are too many, so that a flood can neither fill the disk nor displace the tuples of
 * others. The excess is removed from the heaviest sources (a /24, a /64 or a registered domain each), until none has more
 * than its fair share; only then, or when no source stands out, the oldest of all are removed. Within each, retried tuples
 * go last (`compareToGo`). Every store follows these rules; how it finds the tuples is its own matter.
 */
import { networkText, parseCidr } from '../ip/cidr.js'
import { registeredDomain } from './registered-domain.js'
import type { GreyPolicy } from './requests.js'
import { DEFAULT_TUPLE_LIMITS } from './times.js'

/** What a tuple takes beside its texts, in bytes. */
const TUPLE_OVERHEAD = 100
/** A usual tuple with its texts. */
const USUAL_WEIGHT = 250
/** Tuples of usual size that every source may have: a thousandth of all, within bounds. */
const FAIR_SHARE = 1 / 1000
const LEAST_FAIR = 4
const MOST_FAIR = 32

const SPF_PREFIX = 'spf:'
/** Prefix of the sources of pool tuples: those of addresses are not counted there, nor the reverse. */
const OF_POOLS = 'pool '

/** The number of tuples, separate for addresses and pools, and the bytes of all their texts. */
export interface TupleTotals {
  count: number
  pools: number
  bytes: number
}

type TupleLimitPolicy = Pick<GreyPolicy, 'maxTuples' | 'maxTupleBytes'>

/** By how much a limit is exceeded: in tuples or in bytes, the other is 0. */
export interface Excess {
  count: number
  bytes: number
  /** Which tuples to evict: those of pools, those of addresses, or both if undefined. */
  ofPools: boolean | undefined
}

/**
 * Returns the first limit that is exceeded; undefined if none is. Every attempt may have a tuple of its address and one
 * of its pool: each kind has its own limit, and only tuples of the kind above its limit are evicted.
 */
export function excessOf({ count, pools, bytes }: TupleTotals, policy: TupleLimitPolicy): Excess | undefined {
  const { maxTuples, maxTupleBytes = DEFAULT_TUPLE_LIMITS.maxTupleBytes } = policy
  if (count > maxTuples) return { count: count - maxTuples, bytes: 0, ofPools: false }
  if (pools > maxTuples) return { count: pools - maxTuples, bytes: 0, ofPools: true }
  if (bytes > maxTupleBytes) return { count: 0, bytes: bytes - maxTupleBytes, ofPools: undefined }
  return undefined
}

/** Tuples of one kind that one source has. */
export interface SourceSize {
  readonly source: string
  readonly ofPools: boolean
  count: number
  /** Bytes of their texts. */
  bytes: number
}

/** The number and size of the tuples of each source, separate for addresses and pools. */
export class SourceSizes {
  readonly #sizes = new Map<string, SourceSize>()

  /** Records that tuples were added or, if `count` is negative, removed. */
  add({ source, ofPools, count, bytes }: Readonly<SourceSize>): void {
    const key = keyOf(source, ofPools)
    const size = this.#sizes.get(key)
    if (size === undefined) {
      if (count > 0) this.#sizes.set(key, { source, ofPools, count, bytes })
      return
    }
    size.count += count
    size.bytes += bytes
    if (size.count <= 0) this.#sizes.delete(key)
  }

  /** Removes a source that turned out to have no tuples. */
  forget({ source, ofPools }: Pick<SourceSize, 'source' | 'ofPools'>): void {
    this.#sizes.delete(keyOf(source, ofPools))
  }

  values(): Iterable<Readonly<SourceSize>> {
    return this.#sizes.values()
  }
}

/** A source, and how many tuples it must give up. */
export interface Victim {
  size: Readonly<SourceSize>
  count: number
}

/**
 * How many tuples to take from each source, the heaviest first: those above a level that is just low enough, but not
 * below the fair share. The bytes they free are estimated by the average tuple of each source: call it again while there
 * is an excess. Empty when no source stands out.
 */
export function victimsOf(
  sizes: Iterable<Readonly<SourceSize>>,
  { count, bytes, ofPools }: Excess,
  maxTuples: number,
): Victim[] {
  const fair = fairWeight(maxTuples)
  const heavy: { size: Readonly<SourceSize>; weight: number; each: number; gain: number }[] = []
  for (const size of sizes) {
    const weight = size.count * TUPLE_OVERHEAD + size.bytes
    if (weight <= fair || (ofPools !== undefined && size.ofPools !== ofPools)) continue
    const gain = count > 0 ? 1 : size.bytes / size.count
    if (gain > 0) heavy.push({ size, weight, each: weight / size.count, gain })
  }
  heavy.sort((one, other) => other.weight - one.weight)
  let left = Math.max(count, bytes)
  const level = Math.max(fair, levelFor(heavy, left, fair))
  const victims: Victim[] = []
  for (const { size, each, gain } of heavy) {
    const taken = Math.min(size.count, Math.ceil(size.count - level / each), Math.ceil(left / gain))
    if (taken <= 0) break
    victims.push({ size, count: taken })
    left -= taken * gain
  }
  return victims
}

/** The weight to which to reduce the heaviest, which come first, to free `wanted` tuples or bytes. */
function levelFor(
  heavy: readonly { weight: number; each: number; gain: number }[],
  wanted: number,
  fair: number,
): number {
  let room = 0
  let perWeight = 0
  for (const [index, { weight, each, gain }] of heavy.entries()) {
    room += (gain * weight) / each
    perWeight += gain / each
    const level = (room - wanted) / perWeight
    if (level >= (heavy[index + 1]?.weight ?? fair)) return level
  }
  return fair
}

/** The weight up to which a source does not count as a flood. */
function fairWeight(maxTuples: number): number {
  return USUAL_WEIGHT * Math.min(MOST_FAIR, Math.max(LEAST_FAIR, maxTuples * FAIR_SHARE))
}

/** About how many of the oldest tuples to evict for an excess when no source stands out. */
export function oldestToGo({ count, bytes }: Excess, totals: TupleTotals): number {
  const usualBytes = Math.max(1, totals.bytes / Math.max(1, totals.count + totals.pools))
  return Math.max(count, Math.ceil(bytes / usualBytes))
}

/** Orders tuples of one source by eviction: the oldest that was never retried first, retried ones last. */
export function compareToGo(one: ToGo, other: ToGo): number {
  return Number(one.bcount > 1) - Number(other.bcount > 1) || one.first - other.first
}

interface ToGo {
  first: number
  bcount: number
}

/** The source of a tuple: the /24 or /64 of an address or network; what is neither stands for itself. */
export function sourceOf(ip: string): string {
  const lastDot = ip.lastIndexOf('.')
  if (lastDot > 0 && !ip.includes(':')) return ip.slice(0, lastDot + 1)
  const address = ip.split('/', 1)[0]!
  if (!address.includes(':') || parseCidr(`${address}/64`) === undefined) return ip
  return networkText(address, 64)
}

/**
 * The source to which the tuples of a pool are counted: the owner of a domain can make up any number of names below it
 * that pass SPF, so all of them are one source. `source` is the result of `sourceOf` for its key.
 */
export function poolSourceOf(source: string): string {
  if (!source.startsWith(SPF_PREFIX)) return source
  return SPF_PREFIX + registeredDomain(source.slice(SPF_PREFIX.length))
}

function keyOf(source: string, ofPools: boolean): string {
  return ofPools ? OF_POOLS + source : source
}
