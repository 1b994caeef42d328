/**
 * Processes what other gateways of this suite send: merges their records, stores with them how far each was
 * followed, and reports missed changes, which only a pull can recover. What does not fit into the bounded queue is
 * dropped and counted, that of the busiest gateway first: the flood of one displaces nothing of another.
 */
import type { StatePeer } from '../../app/control-protocol.js'
import type { StateMessage } from '../../codec/sync-state-message.js'
import type { MergePolicy, SyncPeer } from '../../db/store.js'
import { isAhead, type MergeOutcome, type MergeRecord } from '../../domain/decide-merge.js'
import { JournalCoverage } from '../../domain/journal-coverage.js'
import type { Clock } from '../../platform/clock.js'
import { BatchWriter, type WriterPace } from '../store/batch-writer.js'
import { FairQueue } from '../store/fair-queue.js'
import type { StoreAccess } from '../store/store-keeper.js'

/** A gateway counts as speaking this version while it was heard within this time. */
const LISTENER_SEC = 180
/** Datagrams may overtake one another, and those of a batch may wait for the database, for so long. */
const GRACE_MS = 3000
/** Messages that wait for the database; beyond them the rest is fetched by a pull. A message is short: the count bounds it. */
const QUEUE_LIMITS = { maxCount: 5000, maxBytes: Number.POSITIVE_INFINITY }
const MAX_BATCH_RECORDS = 1000
/** Other gateways should know soon: a message waits only while the previous one is written. */
const PACE: WriterPace = { fullBatch: 1, companyMs: 0, companyFrom: 0 }
/** The stop tries once and waits for no lock: lost messages count as missed after the start, and a pull fetches them. */
const CLOSE_WAIT_MS = 0
/** A group of gateways is small; a copied key must not fill the memory with database numbers. */
const MAX_PEERS = 64

export interface StateReceiverOptions {
  useStore: StoreAccess
  policy: MergePolicy
  clock: Clock
  /** A gateway is heard for the first time, or again after a silence. */
  onHeard: (address: string) => void
  /** Changes of a gateway were missed; told again while they are. */
  onMissed: (peer: Readonly<StatePeer>) => void
  /** Reported once for consecutive failures. */
  onTrouble: (error: unknown) => void
}

interface Peer {
  shown: StatePeer
  coverage: JournalCoverage
  /** Highest number of a message of it. */
  number: number
  missingSinceMs: number | undefined
  isTold: boolean
}

interface Waiting {
  peer: Peer
  message: StateMessage
  /** Where it came from. */
  address: string
}

/** The result of a batch, which is from one gateway. */
interface MergedBatch {
  /** Messages whose records were merged. */
  taken: StateMessage[]
  /** Records of those that were refused. */
  aheadCount: number
  newest: number
  outcomes: readonly MergeOutcome[]
}

export class StateReceiver {
  /** Counted since the start; `gaps` counts how often changes were found missing. */
  readonly counters = { applied: 0, unchanged: 0, ahead: 0, unknown: 0, dropped: 0, gaps: 0 }
  readonly #options: StateReceiverOptions
  readonly #peers = new Map<number, Peer>()
  readonly #queue: FairQueue<Waiting>
  readonly #writer: BatchWriter<readonly Waiting[], MergedBatch>

  constructor(options: StateReceiverOptions) {
    this.#options = options
    this.#queue = new FairQueue({
      limits: QUEUE_LIMITS,
      maxBatch: MAX_BATCH_RECORDS,
      // A sender with a copied key may use many numbers, but gets only the turns of one address.
      sourceOf: ({ peer, address }) => ({ network: address, client: String(peer.shown.node) }),
      sizeOf: () => 0,
      weightOf: ({ message }) => Math.max(1, message.records.length),
      groupOf: ({ peer }) => peer.shown.node,
    })
    this.#writer = new BatchWriter({
      work: this.#queue,
      pace: PACE,
      clock: options.clock,
      write: (batch) => this.#write(batch),
      onWritten: (batch, merged) => this.#noteMerged(batch[0]!.peer, merged),
      onFailed: ({ error, isFirst }) => {
        if (isFirst) options.onTrouble(error)
      },
    })
  }

  /** Continues where the last run ended; what is known of each gateway. */
  async restore(): Promise<SyncPeer[]> {
    const { node: own, peers } = await this.#options.useStore((store) => store.syncState())
    for (const { node, name, position, newest, number, heard } of peers) {
      if (node === own) continue
      const shown: StatePeer = {
        node,
        address: name,
        lastSec: heard,
        skewSec: 0,
        isTellingAll: false,
        missingCount: 0,
        missingSinceSec: undefined,
      }
      const coverage = new JournalCoverage(position, newest)
      this.#peers.set(node, { shown, coverage, number, missingSinceMs: undefined, isTold: false })
    }
    return peers
  }

  /** Those heard in this run or before, the last state of each. */
  get peers(): StatePeer[] {
    return [...this.#peers.values()].map(({ shown }) => shown)
  }

  /** True for an address from which this version was heard lately. */
  isListener(address: string): boolean {
    return this.#isHeard((shown) => shown.address === address)
  }

  /** True while any gateway speaks this version. */
  get hasListeners(): boolean {
    return this.#isHeard(() => true)
  }

  /** True for an address that says everything in this version. */
  isTellingAll(address: string): boolean {
    return this.#isHeard((shown) => shown.address === address && shown.isTellingAll)
  }

  #isHeard(test: (shown: StatePeer) => boolean): boolean {
    for (const { shown } of this.#peers.values()) if (this.#isRecent(shown) && test(shown)) return true
    return false
  }

  /** A message received while our clock was ahead may be old. */
  #isRecent({ lastSec }: StatePeer): boolean {
    return Math.abs(this.#options.clock.nowSec() - lastSec) <= LISTENER_SEC
  }

  /** Takes a message that is believed. */
  take(message: StateMessage, address: string): void {
    const peer = this.#peerOf(message, address)
    if (peer === undefined) return
    this.counters.unknown += message.unknownCount
    if (message.records.length === 0) peer.coverage.add(message.from, message.upTo)
    for (const dropped of this.#queue.push({ peer, message, address })) {
      this.counters.dropped += dropped.message.records.length
    }
    this.#writer.notify()
  }

  /** Looks for what is missing; call every second or so. */
  check(): void {
    const { clock, onMissed } = this.#options
    const nowMs = clock.monotonicMs()
    for (const peer of this.#peers.values()) {
      const { shown, coverage } = peer
      shown.missingCount = coverage.missingCount
      if (shown.missingCount === 0) {
        peer.missingSinceMs = undefined
        peer.isTold = false
        shown.missingSinceSec = undefined
        continue
      }
      peer.missingSinceMs ??= nowMs
      if (nowMs - peer.missingSinceMs < GRACE_MS) continue
      shown.missingSinceSec ??= clock.nowSec()
      if (!peer.isTold) this.counters.gaps += 1
      peer.isTold = true
      onMissed(shown)
    }
  }

  /** Learns from the database what a pull has brought meanwhile. Never rejects. */
  async refresh(): Promise<void> {
    if (![...this.#peers.values()].some(({ isTold }) => isTold)) return
    const state = await this.#options.useStore((store) => store.syncState()).catch(() => undefined)
    for (const { node, position } of state?.peers ?? []) this.#peers.get(node)?.coverage.reach(position)
  }

  /** Resolves when what was taken so far is stored, or the database has refused it. */
  async settled(): Promise<void> {
    await this.#writer.drain(0)
  }

  /** Stores waiting messages, if the database permits. */
  async stop(): Promise<void> {
    await this.#writer.close(CLOSE_WAIT_MS)
  }

  #peerOf(message: StateMessage, address: string): Peer | undefined {
    const { clock, onHeard } = this.#options
    const nowSec = clock.nowSec()
    let peer = this.#peers.get(message.node)
    if (peer === undefined) {
      if (this.#peers.size >= MAX_PEERS) return undefined
      const shown: StatePeer = {
        node: message.node,
        address,
        lastSec: 0,
        skewSec: 0,
        isTellingAll: false,
        missingCount: 0,
        missingSinceSec: undefined,
      }
      const coverage = new JournalCoverage(0, 0)
      peer = { shown, coverage, number: 0, missingSinceMs: undefined, isTold: false }
      this.#peers.set(message.node, peer)
    }
    const { shown } = peer
    const isNew = !this.#isRecent(shown) || shown.address !== address
    shown.address = address
    shown.lastSec = nowSec
    shown.skewSec = Math.round(message.clockMs / 1000) - nowSec
    shown.isTellingAll = message.isTellingAll
    peer.number = Math.max(peer.number, message.number)
    if (isNew) onHeard(address)
    return peer
  }

  /** Merges messages of one gateway. */
  async #write(batch: readonly Waiting[]): Promise<MergedBatch> {
    const { useStore, policy, clock } = this.#options
    const { peer } = batch[0]!
    const nowSec = clock.nowSec()
    const records: MergeRecord[] = []
    const taken: StateMessage[] = []
    let aheadCount = 0
    // Accepted messages advance the position only together with their records.
    const reached = new JournalCoverage(peer.coverage.position, peer.coverage.newest)
    for (const { message } of batch) {
      if (message.records.some((record) => isAhead(record, nowSec))) {
        aheadCount += message.records.length
        reached.add(message.upTo, message.upTo)
        continue
      }
      records.push(...message.records)
      reached.add(message.from, message.upTo)
      taken.push(message)
    }
    const { shown, number } = peer
    const state: SyncPeer = {
      node: shown.node,
      name: shown.address,
      position: reached.position,
      newest: Math.max(reached.newest, peer.coverage.newest),
      number,
      heard: shown.lastSec,
    }
    const { outcomes } = await useStore((store) =>
      store.merge(records, { policy, actor: shown.address, peer: state }, nowSec),
    )
    return { taken, aheadCount, newest: state.newest, outcomes }
  }

  #noteMerged({ coverage }: Peer, { taken, aheadCount, newest, outcomes }: MergedBatch): void {
    this.counters.ahead += aheadCount
    for (const outcome of outcomes) this.counters[outcome] += 1
    coverage.add(newest, newest)
    for (const { from, upTo } of taken) coverage.add(from, upTo)
  }
}
