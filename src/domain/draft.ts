import { isInNetwork, parseCidr } from '../ip/cidr.js'
import { type Cause, type Change, tupleText } from './change.js'
import type { Tuple, WireText } from './entry.js'
import {
  type HeldHost,
  type HeldPool,
  type HeldSpamtrap,
  type HeldTuple,
  type HostMarks,
  NO_HOST,
  NO_POOL,
  NO_SPAMTRAP,
  NO_TUPLE,
} from './held.js'
import { latestMark, mapMarks } from './host-marks.js'
import { networksAround } from './pool-key.js'
import { type HeldRelease, NO_RELEASE, type Release } from './release.js'
import { compareStamps, type HybridClock, isAheadOf, nearStamp, type Stamp, stampBehind } from './stamp.js'

/** Which entries must be loaded before a decision. */
export interface Selection {
  hosts: Set<string>
  spamtraps: Set<WireText>
  /** By their `tupleText`. */
  tuples: Map<string, Tuple>
  /** Addresses of which this many of the oldest tuples are needed; Infinity for all. */
  tuplesOf: Map<string, number>
  /** Maximum number of tuples per address; the tuples that would be evicted are then needed too. */
  maxTuplesPerAddress?: number | undefined
  /** All releases. */
  releases?: boolean | undefined
  /** Networks of pools by their text. */
  pools: Set<string>
  /** Addresses for which the networks of pools that contain them are needed. */
  poolsAround: Set<string>
  /** Networks for which it must be known whether they contain a TRAPPED address. */
  trapsIn: Set<string>
  /** Texts of keys for which it must be known what they have opened. */
  poolCounts: Set<string>
}

/** An empty selection, to be filled. */
export function emptySelection(): Selection {
  return {
    hosts: new Set(),
    spamtraps: new Set(),
    tuples: new Map(),
    tuplesOf: new Map(),
    pools: new Set(),
    poolsAround: new Set(),
    trapsIn: new Set(),
    poolCounts: new Set(),
  }
}

/** Tuples of one address, as far as a decision needs them. */
interface AddressTuples {
  /** How many there are. */
  count: number
  /** The first of them in the order in which they are to go. */
  queue: HeldTuple[]
  /** Made or started again since, in no order: most batches evict nothing, and a flood makes thousands at once. */
  fresh: HeldTuple[]
}

/**
 * What is on record for a selection, with what was decided since laid over it. The rules read and change entries
 * here and know no database; the caller that loaded the draft stores its `changes`, or does not (a dry run).
 */
export class Draft {
  /** Everything decided, in order. */
  readonly changes: Change[] = []
  /** Each entry that changed, once: its first change, with its final state. */
  readonly touched: Touched[] = []
  /** Wall clock, seconds since the Epoch. */
  readonly now: number
  /** Number of the database that decides. */
  readonly node: number
  readonly #clock: HybridClock
  readonly #hosts = new Map<string, Slot<HeldHost>>()
  readonly #spamtraps = new Map<WireText, Slot<HeldSpamtrap>>()
  readonly #tuples = new Map<string, Slot<HeldTuple>>()
  readonly #releases = new Map<string, Slot<HeldRelease>>()
  /** The entries of `#releases`, until one changes. */
  #releaseEntries: readonly Release[] | undefined
  readonly #pools = new Map<string, Slot<HeldPool>>()
  readonly #poolKeys = new Map<string, OpenedByKey>()
  /** TRAPPED addresses on record, by network. */
  readonly #trapsIn = new Map<string, string[]>()
  readonly #byAddress = new Map<string, AddressTuples>()
  readonly #takenCounts = new Map<string, number>()
  #request = 0

  /** `node` is the number of the database, where its clock gives stamps of another one. */
  constructor(clock: HybridClock, now: number, node = clock.node) {
    this.#clock = clock
    this.now = now
    this.node = node
  }

  /** Sets the index of the request that is decided now. */
  begin(request: number): void {
    this.#request = request
  }

  /**
   * When the changes are made, seconds since the Epoch. Stamps cannot serve as a clock, because they stay
   * ahead if the clock once was. For a draft without a time, that of its first stamp.
   */
  get changedSec(): number {
    return this.now > 0 ? this.now : Math.floor((this.changes[0]?.stamp.time ?? 0) / 1000)
  }

  /** The stamp of a change, later than `known`, the latest one of its key. */
  nextStamp(known?: Stamp): Stamp {
    const stamp = this.#clock.next(this.now)
    const last = this.#accepted(known)
    if (last === undefined || compareStamps(stamp, last) > 0) return stamp
    return { ...stampBehind(last, 1), node: stamp.node }
  }

  /** The same for a change of an address. */
  nextHostStamp(ip: string): Stamp {
    return this.nextStamp(latestMark(this.host(ip).marks))
  }

  /** The stamps of an address, for a change that keeps some of them. */
  marksOf(ip: string): HostMarks | undefined {
    return mapMarks(this.host(ip).marks, (stamp) => this.#accepted(stamp))
  }

  /**
   * Replaces a stamp made while the clock was far ahead by one that others accept: they would refuse later changes based
   * on it until their clocks show that time.
   */
  #accepted<Known extends Stamp | undefined>(stamp: Known): Known {
    if (stamp === undefined || this.now <= 0 || this.#clock.aheadSec(this.now) > 0) return stamp
    return nearStamp(stamp, this.now) as Known
  }

  /** Makes the next stamp later than one received from elsewhere, unless it is further ahead than is accepted. */
  observe(stamp: Stamp): void {
    if (this.now <= 0 || !isAheadOf(stamp, this.now)) this.#clock.observe(stamp)
  }

  // Adds a loaded entry; an entry that a decision has already changed stays as decided.

  holdHost(ip: string, held: HeldHost): void {
    if (!this.#hosts.has(ip)) this.#hosts.set(ip, { held, touched: undefined })
  }

  holdSpamtrap(address: WireText, held: HeldSpamtrap): void {
    if (!this.#spamtraps.has(address)) this.#spamtraps.set(address, { held, touched: undefined })
  }

  holdTuple(text: string, held: HeldTuple): void {
    if (!this.#tuples.has(text)) this.#tuples.set(text, { held, touched: undefined })
  }

  holdPool(network: string, held: HeldPool): void {
    if (!this.#pools.has(network)) this.#pools.set(network, { held, touched: undefined })
  }

  /** Adds what a key has opened; openings and closings of this draft are counted on top. */
  holdOpened(pool: string, opened: OpenedByKey): void {
    if (!this.#poolKeys.has(pool)) this.#poolKeys.set(pool, { ...opened })
  }

  /**
   * Records that a TRAPPED address is on record inside a network. Those that are loaded do not suffice, because the
   * decision may release them: one that is not loaded must be among them, if there is one.
   */
  holdTrapIn(network: string, ip: string): void {
    const known = this.#trapsIn.get(network)
    if (known === undefined) this.#trapsIn.set(network, [ip])
    else known.push(ip)
  }

  holdAddressTuples(ip: string, count: number, queue: readonly HeldTuple[]): void {
    this.#byAddress.set(ip, { count, queue: [...queue], fresh: [] })
    for (const held of queue) this.holdTuple(tupleText(held.entry!), held)
  }

  holdRelease(id: string, held: HeldRelease): void {
    if (this.#releases.has(id)) return
    this.#releases.set(id, { held, touched: undefined })
    this.#releaseEntries = undefined
  }

  /** True for an address that was loaded, or changed since. */
  isLoaded(ip: string): boolean {
    return this.#hosts.has(ip)
  }

  host(ip: string): HeldHost {
    return this.#hosts.get(ip)?.held ?? NO_HOST
  }

  spamtrap(address: WireText): HeldSpamtrap {
    return this.#spamtraps.get(address)?.held ?? NO_SPAMTRAP
  }

  tuple(text: string): HeldTuple {
    return this.#tuples.get(text)?.held ?? NO_TUPLE
  }

  release(id: string): HeldRelease {
    return this.#releases.get(id)?.held ?? NO_RELEASE
  }

  /** Every stored release, including those that ended. Each attempt checks them all. */
  releases(): readonly Release[] {
    this.#releaseEntries ??= [...this.#releases.values()].flatMap(({ held }) => held.entry ?? [])
    return this.#releaseEntries
  }

  pool(network: string): HeldPool {
    return this.#pools.get(network)?.held ?? NO_POOL
  }

  /** Loaded networks of pools that are open and contain an address. */
  poolsAround(ip: string): string[] {
    if (this.#pools.size === 0) return []
    return networksAround(ip).filter((network) => this.pool(network).entry !== undefined)
  }

  /** How many networks a key has opened, as far as it was part of the selection. */
  openedCount(pool: string): number {
    return this.#openedBy(pool).count
  }

  /** When the last of them ends, seconds since the Epoch; 0 without any. */
  lastOpenedExpire(pool: string): number {
    let last = this.#openedBy(pool).lastExpire
    for (const { held } of this.#pools.values()) {
      if (held.entry?.pool === pool) last = Math.max(last, held.entry.expire)
    }
    return last
  }

  #openedBy(pool: string): OpenedByKey {
    return this.#poolKeys.get(pool) ?? { count: 0, lastExpire: 0 }
  }

  /** True when a network holds a TRAPPED address, on record or by this draft. */
  hasTrapIn(network: string): boolean {
    if (this.#trapsIn.get(network)?.some((ip) => !this.isLoaded(ip)) === true) return true
    const parsed = parseCidr(network)!
    for (const [ip, { held }] of this.#hosts) {
      if (held.entry?.kind === 'TRAPPED' && isInNetwork(ip, parsed)) return true
    }
    return false
  }

  /** How many tuples an address has; 0 when it was not part of the selection. */
  tupleCount(ip: string): number {
    return this.#byAddress.get(ip)?.count ?? 0
  }

  /** How many tuples of an address `takeFirstTuple` has removed. */
  takenCount(ip: string): number {
    return this.#takenCounts.get(ip) ?? 0
  }

  /**
   * Removes and returns the tuple of an address that must go first; undefined when none is left. `after` is
   * what remains.
   */
  takeFirstTuple(ip: string, cause: Cause, after?: (held: HeldTuple) => HeldTuple): HeldTuple | undefined {
    const known = this.#byAddress.get(ip)
    if (known === undefined) return undefined
    queueFresh(known)
    while (known.queue.length > 0) {
      const queued = known.queue.shift()!.entry!
      const text = tupleText(queued)
      const held = this.tuple(text)
      // One that started again in the meantime is queued once more.
      if (held.entry?.first !== queued.first) continue
      this.#takenCounts.set(ip, this.takenCount(ip) + 1)
      this.putTuple(text, held.entry, after?.(held) ?? NO_TUPLE, cause)
      return held
    }
    return undefined
  }

  putHost(ip: string, after: HeldHost, stamp: Stamp, cause: Cause): void {
    const slot = slotOf(this.#hosts, ip, NO_HOST)
    const key = { kind: 'host', ip } as const
    this.#note({ key, before: slot.held, after, stamp, cause, request: this.#request }, slot)
    slot.held = after
  }

  putSpamtrap(address: WireText, after: HeldSpamtrap, stamp: Stamp, cause: Cause): void {
    const slot = slotOf(this.#spamtraps, address, NO_SPAMTRAP)
    const key = { kind: 'spamtrap', address } as const
    this.#note({ key, before: slot.held, after, stamp, cause, request: this.#request }, slot)
    slot.held = after
  }

  putRelease(id: string, after: HeldRelease, stamp: Stamp, cause: Cause): void {
    const slot = slotOf(this.#releases, id, NO_RELEASE)
    this.#releaseEntries = undefined
    const key = { kind: 'release', id } as const
    this.#note({ key, before: slot.held, after, stamp, cause, request: this.#request }, slot)
    slot.held = after
  }

  putPool(network: string, after: HeldPool, stamp: Stamp, cause: Cause): void {
    const slot = slotOf(this.#pools, network, NO_POOL)
    const before = slot.held
    const key = { kind: 'pool', ip: network } as const
    this.#note({ key, before, after, stamp, cause, request: this.#request }, slot)
    slot.held = after
    if (before.entry !== undefined) this.#countOpened(before.entry.pool, -1)
    if (after.entry !== undefined) this.#countOpened(after.entry.pool, 1)
  }

  #countOpened(pool: string, step: 1 | -1): void {
    const { count, lastExpire } = this.#openedBy(pool)
    this.#poolKeys.set(pool, { count: count + step, lastExpire })
  }

  putTuple(text: string, { ip, helo, from, to }: Tuple, after: HeldTuple, cause: Cause): void {
    const slot = slotOf(this.#tuples, text, NO_TUPLE)
    const before = slot.held
    const known = this.#byAddress.get(ip)
    if (known !== undefined) {
      known.count += (after.entry === undefined ? 0 : 1) - (before.entry === undefined ? 0 : 1)
      if (after.entry !== undefined && after.entry.first !== before.entry?.first) known.fresh.push(after)
    }
    const key = { kind: 'tuple', ip, helo, from, to } as const
    this.#note({ key, before, after, stamp: this.nextStamp(), cause, request: this.#request }, slot)
    slot.held = after
  }

  #note(change: Change, slot: Slot<unknown>): void {
    this.changes.push(change)
    if (slot.touched === undefined) {
      slot.touched = { first: change, last: change }
      this.touched.push(slot.touched)
    } else slot.touched.last = change
  }
}

/** The networks that one key of pools has opened. */
export interface OpenedByKey {
  count: number
  /** When the last of those ends that are not loaded, seconds since the Epoch; 0 without any: a decision may close others. */
  lastExpire: number
}

/** First and last change of one entry. */
export interface Touched {
  first: Change
  last: Change
}

interface Slot<Held> {
  held: Held
  touched: Touched | undefined
}

function slotOf<Held>(slots: Map<string, Slot<Held>>, name: string, nothing: Held): Slot<Held> {
  let slot = slots.get(name)
  if (slot === undefined) {
    slot = { held: nothing, touched: undefined }
    slots.set(name, slot)
  }
  return slot
}

/** Inserts a tuple among others: oldest first, those of the same second by key. */
function queueTuple(queue: HeldTuple[], held: HeldTuple): void {
  const entry = held.entry!
  let at = queue.length
  while (at > 0 && compareQueued(queue[at - 1]!.entry!, entry) > 0) at -= 1
  queue.splice(at, 0, held)
}

type QueuedTuple = Tuple & { readonly first: number }

/** Of tuples of one address. */
function compareQueued(one: QueuedTuple, other: QueuedTuple): number {
  if (one.first !== other.first) return one.first - other.first
  if (one.helo !== other.helo) return one.helo < other.helo ? -1 : 1
  if (one.from !== other.from) return one.from < other.from ? -1 : 1
  if (one.to === other.to) return 0
  return one.to < other.to ? -1 : 1
}

function queueFresh(known: AddressTuples): void {
  const { queue, fresh } = known
  const [only] = fresh
  if (only === undefined) return
  if (fresh.length === 1) queueTuple(queue, only)
  else known.queue = [...queue, ...fresh].sort((one, other) => compareQueued(one.entry!, other.entry!))
  known.fresh = []
}
