/**
 * Applies what peers sent to the database, in batches: tuples through the greylister, which tests them with
 * this host's spamtraps and allowed domains, addresses directly. What does not fit into the bounded queue is
 * dropped and counted, that of the busiest peer first: a peer's flood must displace neither local clients nor
 * other peers.
 */
import { escapeControl } from '../../codec/escape.js'
import type { SyncAddress, SyncEntry, SyncGrey } from '../../codec/sync-message.js'
import type { GreyPolicy, SyncChange, SyncOutcome } from '../../db/store.js'
import type { Clock } from '../../platform/clock.js'
import { reasonOf } from '../../platform/errno-text.js'
import type { Logger } from '../../platform/log.js'
import type { DebugOutput } from '../debug-output.js'
import type { Greylister } from '../grey/greylister.js'
import { RateLimitedLog } from '../rate-limited-log.js'
import { BatchWriter, type WriterPace } from '../store/batch-writer.js'
import { FairQueue } from '../store/fair-queue.js'
import type { StoreAccess } from '../store/store-keeper.js'

/** Address entries that may wait for the database. */
const MAX_QUEUED_ENTRIES = 50_000
/** An address entry is three numbers and an address: the count alone bounds it. */
const MAX_QUEUED_BYTES = Number.POSITIVE_INFINITY
/** Tuples that may wait in the greylister before those of peers are dropped: room is left for local clients. */
const MAX_WAITING_TUPLES = 20_000
/** Nobody waits for these: entries that arrive within 10 ms are written together. */
const PACE: WriterPace = { fullBatch: 1000, companyMs: 10, companyFrom: 0 }
/** How long the end waits for a database that is locked. */
const CLOSE_WAIT_MS = 2_000

export interface SyncApplierOptions {
  useStore: StoreAccess
  databasePath: string
  policy: GreyPolicy
  greylister: () => Pick<Greylister, 'receive' | 'waitingCount'>
  clock: Clock
  logger: Logger
  /** Set with -d. */
  debug?: DebugOutput | undefined
  maxQueuedEntries?: number
}

/** Counted since the start. */
export interface SyncApplierCounters {
  /** Entries that changed the database, tuples included. */
  applied: number
  /** Entries that changed nothing: expired, or weaker than the existing entry. */
  ignored: number
  /** Entries dropped because the database was too slow. */
  dropped: number
}

interface QueuedEntry {
  entry: SyncAddress
  peerAddress: string
}

export class SyncApplier {
  readonly counters: SyncApplierCounters = { applied: 0, ignored: 0, dropped: 0 }
  readonly #options: SyncApplierOptions
  readonly #limited: RateLimitedLog
  readonly #queue: FairQueue<QueuedEntry>
  readonly #writer: BatchWriter<readonly QueuedEntry[], SyncOutcome[]>
  #isClosing = false

  constructor(options: SyncApplierOptions) {
    this.#options = options
    this.#limited = new RateLimitedLog(options.logger, options.clock)
    this.#queue = new FairQueue({
      limits: { maxCount: options.maxQueuedEntries ?? MAX_QUEUED_ENTRIES, maxBytes: MAX_QUEUED_BYTES },
      maxBatch: PACE.fullBatch,
      sourceOf: ({ peerAddress }) => ({ network: peerAddress, client: '' }),
      sizeOf: () => 0,
    })
    this.#writer = new BatchWriter({
      work: this.#queue,
      pace: PACE,
      clock: options.clock,
      write: (batch) => this.#write(batch),
      onWritten: (batch, outcomes) => {
        for (const [index, queued] of batch.entries()) this.#report(queued, outcomes[index]!)
      },
      onFailed: ({ error }) => this.#noteFailure(error),
      onRecovered: () => this.#limited.reset('sync-failed'),
    })
  }

  /** Takes the entries of one message. */
  take(entries: readonly SyncEntry[], peerAddress: string): void {
    for (const entry of entries) {
      if (entry.type === 'GREY') this.#takeTuple(entry)
      else this.#takeAddress(entry, peerAddress)
    }
  }

  /** Takes nothing more and writes what waits, as far as the database lets it. */
  async close(): Promise<void> {
    this.#isClosing = true
    const lostCount = await this.#writer.close(CLOSE_WAIT_MS)
    if (lostCount > 0) {
      this.#options.logger.log('err', `${lostCount} sync entries could not be applied and are lost`)
    }
  }

  #takeTuple({ ip, helo, from, to }: SyncGrey): void {
    const greylister = this.#options.greylister()
    if (greylister.waitingCount >= MAX_WAITING_TUPLES) {
      this.#drop()
      return
    }
    this.counters.applied += 1
    void greylister.receive({ ip, helo, from, to })
  }

  #takeAddress(entry: SyncAddress, peerAddress: string): void {
    if (this.#isClosing) {
      this.#drop()
      return
    }
    for (const _ of this.#queue.push({ entry, peerAddress })) this.#drop()
    this.#writer.notify()
  }

  #drop(): void {
    this.counters.dropped += 1
    this.#limited.log(
      'sync-dropped',
      'warning',
      `too many sync entries are waiting for ${this.#options.databasePath}: dropping those of the busiest peer`,
    )
  }

  async #write(batch: readonly QueuedEntry[]): Promise<SyncOutcome[]> {
    const { useStore, policy, clock } = this.#options
    const nowSec = clock.nowSec()
    const changes = batch.map(changeOf)
    const { outcomes } = await useStore((store) => store.applySync(changes, policy, nowSec))
    return outcomes
  }

  #noteFailure(error: unknown): void {
    this.#limited.log(
      'sync-failed',
      'err',
      `cannot apply sync entries to ${this.#options.databasePath} (${escapeControl(reasonOf(error))}), ${this.#queue.length} waiting`,
    )
  }

  #report({ entry, peerAddress }: QueuedEntry, outcome: SyncOutcome): void {
    if (outcome === 'ignored') {
      this.counters.ignored += 1
      return
    }
    this.counters.applied += 1
    if (entry.type === 'DELETE-WHITE' || entry.type === 'DELETE-TRAPPED') {
      this.#options.logger.log('debug', `deleted ${entry.ip} as requested by ${peerAddress}`)
      return
    }
    if (outcome === 'applied') {
      this.#debugLine(`updated ${entry.ip}`)
      return
    }
    const isWhite = entry.type === 'WHITE'
    this.#debugLine(isWhite ? `added  ${entry.ip}` : `added trap entry for ${entry.ip}`)
    this.#options.logger.log(
      'debug',
      `new ${isWhite ? 'WHITE' : 'TRAP'} from ${peerAddress} for ${entry.ip}, expires ${entry.expire}`,
      { event: 'sync-entry', kind: entry.type, ip: entry.ip, peer: peerAddress, expire: entry.expire },
    )
  }

  #debugLine(line: string): void {
    this.#options.debug?.err(escapeControl(line))
  }
}

function changeOf({ entry, peerAddress: peer }: QueuedEntry): SyncChange {
  const { type, ip, expire } = entry
  return type === 'WHITE' || type === 'TRAPPED' ? { type, ip, expire, peer } : { type: 'delete', ip, peer }
}

/** What -d says about an entry of a message that is believed. */
export function showReceived(debug: DebugOutput | undefined, entry: SyncEntry, peerAddress: string): void {
  if (debug === undefined) return
  const { type, ip } = entry
  let what: string
  if (entry.type === 'GREY') what = `grey entry helo ${entry.helo} ip ${ip} from ${entry.from} to ${entry.to}`
  else if (type.startsWith('DELETE-')) what = `deleted ${type.slice(7).toLowerCase()} entry ip ${ip}`
  else what = `${type.toLowerCase()} entry ip ${ip}`
  debug.err(escapeControl(`${peerAddress}(sync): received ${what}`))
}
