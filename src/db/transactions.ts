/** Every write to the entries goes through here: load, decide, store, journal, commit. */
import type { AlikeChanges } from '../domain/alike-changes.js'
import { type Change, keyText } from '../domain/change.js'
import type { MovedRecords } from '../domain/decide-merge.js'
import { Draft, type Selection } from '../domain/draft.js'
import type { Tuple } from '../domain/entry.js'
import {
  type HeldHost,
  type HeldPool,
  type HeldSpamtrap,
  type HeldTuple,
  NO_SPAMTRAP,
  NO_TUPLE,
} from '../domain/held.js'
import { networksAround } from '../domain/pool-key.js'
import type { HeldRelease } from '../domain/release.js'
import type { Connection } from './connection.js'
import { History } from './history.js'
import { HourlyCounts } from './hourly-counts.js'
import { Journal, type JournalWriter } from './journal.js'
import { AllowTable } from './tables/allow-table.js'
import { HostTable, type MarkedHost } from './tables/host-table.js'
import { keyListOf } from './tables/key-list.js'
import { decodeHostMarks, decodeStamp, encodeHostMarks, encodeStamp } from './tables/marks-codec.js'
import { PoolTable } from './tables/pool-table.js'
import { ReleaseTable } from './tables/release-table.js'
import { RemovedTable, removedTupleKey } from './tables/removed-table.js'
import { SpamtrapTable } from './tables/spamtrap-table.js'
import { TupleTable } from './tables/tuple-table.js'

/** What a decision said, and what it changed. */
export interface Decided<Outcome> {
  outcomes: Outcome
  changes: Change[]
}

interface DecideOptions<Outcome> {
  /** What else must be loaded, once the selection is. */
  further?: (draft: Draft) => Selection
  /** Does what is left to do before the commit. */
  after?: (outcomes: Outcome) => void
  /** True for the content of a database that is moved: no history of it, and one row of the journal for all. */
  isMove?: boolean | undefined
}

/** The tables of an open database and their only writer. It contains no rules. */
export class Transactions {
  readonly journal: Journal
  readonly history: History
  readonly counts: HourlyCounts
  readonly hosts: HostTable
  readonly tuples: TupleTable
  readonly spamtraps: SpamtrapTable
  readonly releases: ReleaseTable
  readonly allowed: AllowTable
  readonly pools: PoolTable
  readonly removed: RemovedTable
  readonly #connection: Connection

  constructor(connection: Connection) {
    this.#connection = connection
    this.journal = new Journal(connection)
    this.history = new History(connection)
    this.counts = new HourlyCounts(connection)
    const { nodes } = this.journal
    this.hosts = new HostTable(connection, nodes)
    this.tuples = new TupleTable(connection, nodes)
    this.spamtraps = new SpamtrapTable(connection, nodes)
    this.releases = new ReleaseTable(connection, nodes)
    this.allowed = new AllowTable(connection, nodes)
    this.pools = new PoolTable(connection)
    this.removed = new RemovedTable(connection)
  }

  /**
   * Loads what a decision needs, all keys at once, lets it decide, and stores what it changed, in one transaction.
   */
  decide<Outcome>(
    call: string,
    now: number,
    selection: Selection,
    decision: (draft: Draft) => Outcome,
    options: DecideOptions<Outcome> = {},
  ): Decided<Outcome> {
    return this.write(call, now, (journal) => this.decideWithin(journal, now, selection, decision, options))
  }

  /** The same within a transaction of the caller. */
  decideWithin<Outcome>(
    journal: JournalWriter,
    now: number,
    selection: Selection,
    decision: (draft: Draft) => Outcome,
    options: DecideOptions<Outcome> = {},
  ): Decided<Outcome> {
    const { draft, outcomes } = this.decideUntold(journal, now, selection, decision, options.further)
    if (options.isMove !== true) {
      journal.append(draft.changes)
      this.history.append(draft.changes, draft.changedSec)
    } else if (draft.changes.length > 0) journal.appendEverything('import', draft.nextStamp())
    this.counts.add(draft.changes, draft.changedSec)
    options.after?.(outcomes)
    return { outcomes, changes: draft.changes }
  }

  /** The same, but for the journal, the history and the counters, which the caller tells itself. */
  decideUntold<Outcome>(
    journal: JournalWriter,
    now: number,
    selection: Selection,
    decision: (draft: Draft) => Outcome,
    further?: (draft: Draft) => Selection,
  ): { draft: Draft; outcomes: Outcome } {
    const draft = new Draft(journal.clock, now)
    this.load(selection, draft)
    if (further !== undefined) this.load(further(draft), draft)
    const outcomes = decision(draft)
    this.#store(draft.touched)
    return { draft, outcomes }
  }

  /** Stores changes that are alike. */
  storeAlike(journal: JournalWriter, changes: AlikeChanges): void {
    const ipsJson = JSON.stringify(changes.ips)
    this.history.appendAlike(changes, ipsJson)
    this.hosts.putAlike(changes, ipsJson)
    journal.appendAlike(changes)
    this.counts.add([changes.first], changes.changedSec, changes.ips.length)
  }

  /** Stores addresses of a database that is moved; false, and nothing is stored, if one of them exists already. */
  addMoved({ hosts, newest }: MovedRecords, now: number): boolean {
    if (newest === undefined) return true
    return this.write('merge', now, (journal) => {
      const ips = hosts.map(({ entry }) => entry.ip)
      const list = keyListOf(ips)
      if (list === undefined || this.hosts.placesOf(list).length > 0) return false
      if (!this.removed.isEmpty && this.removed.placesOf(list).length > 0) return false
      journal.clock.observe(newest)
      this.hosts.insertMany(hosts)
      journal.appendEverything('import', journal.clock.next(now))
      return true
    })
  }

  /** One transaction; the caller's `body` is responsible for its journal row. */
  write<Result>(call: string, now: number, body: (journal: JournalWriter) => Result): Result {
    try {
      return this.#connection.write(call, () => {
        const journal = this.journal.begin(now)
        this.history.begin()
        const result = body(journal)
        this.tuples.ages.flush()
        journal.finish()
        return result
      })
    } catch (error) {
      this.tuples.ages.reset()
      this.tuples.sources = undefined
      this.journal.nodes.forget()
      this.releases.forget()
      throw error
    }
  }

  /** Puts the entries of a selection into a draft. */
  load(selection: Selection, draft: Draft): void {
    const mayBeRemoved = !this.removed.isEmpty
    this.#loadHosts(draft, [...selection.hosts], mayBeRemoved)
    for (const address of selection.spamtraps) this.#loadSpamtrap(draft, address, mayBeRemoved)
    const newCounts = new Map<string, number>()
    const knownCounts = new Map<string, number>()
    for (const [text, tuple] of selection.tuples) {
      const held = this.tuples.get(tuple)
      const counts = held === undefined ? newCounts : knownCounts
      counts.set(tuple.ip, (counts.get(tuple.ip) ?? 0) + 1)
      draft.holdTuple(text, held ?? (mayBeRemoved ? this.#removedTuple(tuple) : NO_TUPLE))
    }
    this.#loadPools(selection, draft)
    for (const [ip, limit] of selection.tuplesOf) this.#loadOldest(draft, ip, limit)
    if (selection.releases === true) {
      for (const held of this.releases.all()) draft.holdRelease(held.entry.id, held)
    }
    if (selection.maxTuplesPerAddress !== undefined) {
      this.#loadInTheWay(draft, newCounts, knownCounts, selection.maxTuplesPerAddress)
    }
  }

  #loadHosts(draft: Draft, ips: readonly string[], mayBeRemoved: boolean): void {
    const found = this.hosts.getMany(ips)
    for (const [index, ip] of ips.entries()) {
      const held = found[index]
      if (held !== undefined) draft.holdHost(ip, held)
      else if (mayBeRemoved) {
        const marks = this.removed.get(ip)
        if (marks !== undefined) {
          draft.holdHost(ip, { entry: undefined, marks: decodeHostMarks(marks, this.journal.nodes) })
        }
      }
    }
  }

  #loadSpamtrap(draft: Draft, address: string, mayBeRemoved: boolean): void {
    const held = this.spamtraps.get(address)
    const key = keyText({ kind: 'spamtrap', address })
    const stamp = held === undefined && mayBeRemoved ? this.removed.get(key) : undefined
    if (stamp === undefined) draft.holdSpamtrap(address, held ?? NO_SPAMTRAP)
    else draft.holdSpamtrap(address, { entry: undefined, stamp: decodeStamp(stamp, this.journal.nodes) })
  }

  #removedTuple(tuple: Tuple): HeldTuple {
    const stamp = this.removed.get(removedTupleKey(tuple))
    if (stamp === undefined) return NO_TUPLE
    return { entry: undefined, marks: { epoch: decodeStamp(stamp, this.journal.nodes) } }
  }

  #loadPools({ pools, poolsAround, trapsIn, poolCounts }: Selection, draft: Draft): void {
    if (pools.size + poolsAround.size + trapsIn.size + poolCounts.size === 0) return
    const isEmpty = this.pools.isEmpty
    const wanted = isEmpty ? pools : new Set([...pools, ...[...poolsAround].flatMap(networksAround)])
    for (const network of wanted) {
      const entry = isEmpty ? undefined : this.pools.get(network)
      const stamp = entry === undefined ? this.removed.get(network) : undefined
      const reset = stamp === undefined ? undefined : decodeStamp(stamp, this.journal.nodes)
      draft.holdPool(network, { entry, reset })
    }
    for (const network of trapsIn) this.#loadTrapsIn(network, draft)
    if (isEmpty || poolCounts.size === 0) return
    const loaded = JSON.stringify([...wanted])
    for (const pool of poolCounts) draft.holdOpened(pool, this.pools.opened(pool, loaded))
  }

  /** Up to the first that is not loaded already. */
  #loadTrapsIn(network: string, draft: Draft): void {
    for (const ip of this.hosts.trapsIn(network)) {
      draft.holdTrapIn(network, ip)
      if (!draft.isLoaded(ip)) return
    }
  }

  #loadOldest(draft: Draft, ip: string, limit: number): void {
    const rowCount = Number.isFinite(limit) ? limit + draft.takenCount(ip) : -1
    const queue = this.tuples.oldestOf(ip, rowCount)
    draft.holdAddressTuples(ip, queue.length, queue)
  }

  /**
   * The oldest tuples of addresses that would have too many with the new ones of a selection. Those that it knows may start
   * again, and then others go in their place.
   */
  #loadInTheWay(
    draft: Draft,
    newCounts: ReadonlyMap<string, number>,
    knownCounts: ReadonlyMap<string, number>,
    maxTuples: number,
  ): void {
    const counts = this.tuples.countMany([...newCounts.keys()])
    for (const [ip, newCount] of newCounts) {
      const count = counts.get(ip) ?? 0
      const excess = count + newCount - maxTuples
      const wanted = excess > 0 ? excess + (knownCounts.get(ip) ?? 0) : 0
      draft.holdAddressTuples(ip, count, wanted > 0 ? this.tuples.oldestOf(ip, wanted) : [])
    }
  }

  /** Stores the final states of changed entries. */
  #store(touched: Draft['touched']): void {
    const newHosts: MarkedHost[] = []
    for (const { first, last } of touched) {
      if (last.key.kind !== 'host') this.#storeOther(first, last)
      else {
        const host = this.#storeHost(last.key.ip, first.before as HeldHost, last.after as HeldHost)
        if (host !== undefined) newHosts.push(host)
      }
    }
    this.hosts.insertMany(newHosts)
  }

  #storeOther({ before }: Change, { key, after }: Change): void {
    switch (key.kind) {
      case 'host':
        return
      case 'spamtrap':
        this.#storeSpamtrap(key.address, before as HeldSpamtrap, after as HeldSpamtrap)
        return
      case 'pool':
        this.#storePool(key.ip, before as HeldPool, after as HeldPool)
        return
      case 'tuple':
        this.#storeTuple(key, before as HeldTuple, after as HeldTuple)
        return
      case 'release': {
        const { entry, stamp } = after as HeldRelease
        if (entry === undefined || stamp === undefined) this.releases.delete(key.id)
        else this.releases.put(entry, stamp)
      }
    }
  }

  /** Returns the entry if it is new, since new ones are stored together. */
  #storeHost(ip: string, was: HeldHost, is: HeldHost): MarkedHost | undefined {
    const { entry, marks } = is
    if (entry === undefined) {
      if (was.entry !== undefined) this.hosts.delete(ip)
      this.#keepRemoved(ip, encodeHostMarks(marks, this.journal.nodes), was.entry === undefined)
      return undefined
    }
    if (was.entry !== undefined) {
      this.hosts.update({ entry, marks })
      return undefined
    }
    if (was.marks !== undefined) this.removed.delete(ip)
    return { entry, marks }
  }

  #storeSpamtrap(address: string, was: HeldSpamtrap, is: HeldSpamtrap): void {
    const text = keyText({ kind: 'spamtrap', address })
    if (is.entry === undefined) {
      if (was.entry !== undefined) this.spamtraps.delete(address)
      const stamp = is.stamp === undefined ? null : encodeStamp(is.stamp, this.journal.nodes)
      this.#keepRemoved(text, stamp, was.entry === undefined)
    } else if (was.entry === undefined) {
      this.spamtraps.insert(is.entry, is.stamp)
      if (was.stamp !== undefined) this.removed.delete(text)
    } else this.spamtraps.update(is.entry, is.stamp)
  }

  #storePool(network: string, was: HeldPool, is: HeldPool): void {
    if (is.entry !== undefined) this.pools.put(is.entry)
    else if (was.entry !== undefined) this.pools.delete(network)
    const stamp = is.reset === undefined ? null : encodeStamp(is.reset, this.journal.nodes)
    this.#keepRemoved(network, stamp, was.reset !== undefined)
  }

  #storeTuple(tuple: Tuple, was: HeldTuple, is: HeldTuple): void {
    if (is.entry === undefined) {
      if (was.entry !== undefined) this.tuples.delete(tuple)
      const epoch = is.marks?.epoch
      const wasRemoved = was.entry === undefined && was.marks !== undefined
      if (epoch !== undefined)
        this.removed.put(removedTupleKey(tuple), encodeStamp(epoch, this.journal.nodes))
      else if (wasRemoved) this.removed.delete(removedTupleKey(tuple))
    } else if (was.entry === undefined) {
      this.tuples.insert(is.entry, is.marks)
      if (was.marks !== undefined) this.removed.delete(removedTupleKey(tuple))
    } else this.tuples.update(is.entry, was.entry.first, is.marks)
  }

  #keepRemoved(text: string, marks: Buffer | null, wasRemoved: boolean): void {
    if (marks !== null) this.removed.put(text, marks)
    else if (wasRemoved) this.removed.delete(text)
  }
}
