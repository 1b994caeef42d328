/**
 * Puts what peers sent into the database, in batches: tuples through the greylister, which tests them with this
 * host's spamtraps and allowed domains, addresses directly. What does not fit into the bounded queue is dropped and
 * counted: a peer's flood must not push out local clients.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { escapeControl } from '../../codec/escape.js'
import type { SyncAddress, SyncEntry, SyncGrey } from '../../codec/sync-message.js'
import type { GreyPolicy, SyncChange, SyncOutcome } from '../../db/store.js'
import type { Clock } from '../../platform/clock.js'
import { reasonOf } from '../../platform/errno-text.js'
import type { Logger } from '../../platform/log.js'
import type { DebugOutput } from '../debug-output.js'
import type { Greylister } from '../grey/greylister.js'
import { RateLimitedLog } from '../rate-limited-log.js'
import type { StoreAccess } from '../store/store-keeper.js'

/** Address entries that may wait for the database. */
export const MAX_QUEUED_ENTRIES = 50_000
/** Tuples that may wait in the greylister before those of peers are dropped: room is left for local clients. */
export const MAX_WAITING_TUPLES = 20_000
const MAX_BATCH = 1000
/** Entries that arrive within this time are written together. */
const BATCH_WAIT_MS = 10
const RETRY_MS = 500

export interface SyncApplierOptions {
  useStore: StoreAccess
  databasePath: string
  policy: GreyPolicy
  greylister: () => Pick<Greylister, 'receive' | 'waitingCount'>
  clock: Clock
  logger: Logger
  /** Set with -d. */
  debug?: DebugOutput | undefined
}

/** Counted since the start. */
export interface SyncApplierCounters {
  /** Entries that changed the database, tuples included. */
  applied: number
  /** Entries that changed nothing: expired, or weaker than what is there. */
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
  #queue: QueuedEntry[] = []
  #flushing: Promise<void> | undefined
  #isClosing = false

  constructor(options: SyncApplierOptions) {
    this.#options = options
    this.#limited = new RateLimitedLog(options.logger, options.clock)
  }

  /** Takes the entries of one message. */
  take(entries: readonly SyncEntry[], peerAddress: string): void {
    for (const entry of entries) {
      if (entry.type === 'GREY') this.#takeTuple(entry)
      else this.#takeAddress(entry, peerAddress)
    }
  }

  /** Writes what waits, with one try, and takes nothing more. */
  async close(): Promise<void> {
    this.#isClosing = true
    await this.#flushing
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
    if (this.#isClosing || this.#queue.length >= MAX_QUEUED_ENTRIES) {
      this.#drop()
      return
    }
    this.#queue.push({ entry, peerAddress })
    // Cleared by the loop itself, in the same turn in which it finds the queue empty.
    this.#flushing ??= this.#flushAll()
  }

  #drop(): void {
    this.counters.dropped += 1
    this.#limited.log(
      'sync-dropped',
      'warning',
      `too many sync entries wait for ${this.#options.databasePath}, newer ones are dropped`,
    )
  }

  async #flushAll(): Promise<void> {
    while (this.#queue.length > 0) {
      // A commit costs as much as many entries: they share one.
      if (this.#queue.length < MAX_BATCH && !this.#isClosing) await pause(BATCH_WAIT_MS)
      const batch = this.#queue.slice(0, MAX_BATCH)
      let outcomes: SyncOutcome[]
      try {
        outcomes = await this.#options.useStore((store) =>
          store.applySync(
            batch.map(({ entry }) => changeOf(entry)),
            this.#options.policy,
            this.#options.clock.nowSec(),
          ),
        )
      } catch (error) {
        this.#limited.log(
          'sync-failed',
          'err',
          `cannot apply sync entries to ${this.#options.databasePath} (${escapeControl(reasonOf(error))}), ${this.#queue.length} waiting`,
        )
        if (this.#isClosing) break
        await pause(RETRY_MS)
        continue
      }
      this.#queue = this.#queue.slice(batch.length)
      for (const [index, queued] of batch.entries()) this.#report(queued, outcomes[index]!)
    }
    this.#flushing = undefined
  }

  #report({ entry, peerAddress }: QueuedEntry, outcome: SyncOutcome): void {
    if (outcome === 'ignored') {
      this.counters.ignored += 1
      return
    }
    this.counters.applied += 1
    if (entry.type === 'DELETE-WHITE' || entry.type === 'DELETE-TRAPPED') {
      this.#options.logger.log('debug', `deleted ${entry.ip} as told by ${peerAddress}`)
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

function changeOf({ type, ip, expire }: SyncAddress): SyncChange {
  return type === 'WHITE' || type === 'TRAPPED' ? { type, ip, expire } : { type: 'delete', ip }
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
