/**
 * Decides about clients on no block list: records their tuples, promotes those that retry in time and traps
 * those that send to a spamtrap.
 *
 * Tuples are written in batches, and `submit` resolves after the commit: a tuple that is answered with 451 is
 * in the database file before the answer, where it survives a crash of the daemon (the last second may be
 * lost when the power fails; with fsync for every client a flood would block the disk). When the database
 * fails or is slow the client gets its 451 anyway; the attempt waits in a bounded queue with its original
 * time. Networks and their clients take turns in the queue, so a flood delays only itself. Source:
 * greylisting rules of spamd(8) and spamd's grey.c, with the corrections listed in docs/man/spamd.8.
 */

import type { AllowedDomains } from '../../app/allowed-domains.js'
import { countText } from '../../codec/count-text.js'
import { escapeControl } from '../../codec/escape.js'
import type { GreyPolicy, TupleAttempt, TupleOutcome } from '../../db/store.js'
import type { Tuple, WireText } from '../../domain/entry.js'
import { WIDEST_OPENED } from '../../domain/pool-key.js'
import { familyOf } from '../../ip/address.js'
import { networkOf, networkText } from '../../ip/cidr.js'
import type { Clock, UnixSec } from '../../platform/clock.js'
import { reasonOf } from '../../platform/errno-text.js'
import type { Logger } from '../../platform/log.js'
import { isPostgresLocation } from '../../platform/postgres-location.js'
import type { DebugOutput } from '../debug-output.js'
import { Histogram } from '../histogram.js'
import { RateLimitedLog } from '../rate-limited-log.js'
import type {
  BlockListLookup,
  GreylistedRecipient,
  GreylistSink,
  PoolState,
  SenderCheckSink,
  SyncAnnouncer,
} from '../seams.js'
import { BatchWriter, type WriterCounters, type WriterPace } from '../store/batch-writer.js'
import { FairQueue, type QueueLimits } from '../store/fair-queue.js'
import type { StoreAccess } from '../store/store-keeper.js'
import { type GreylisterCounters, newGreylisterCounters } from './greylister-counters.js'
import { networkPools, reportPools } from './network-pools.js'
import { recipientKeysOf } from './trap-keys.js'
import { describeTuple, fieldOf } from './tuple-fields.js'

/** Maximum number of waiting attempts; at 1,000 RCPTs per second this bridges a minute without a database. */
const MAX_QUEUED_ATTEMPTS = 60_000
/** Maximum size of waiting texts: with fields of 1,023 bytes a queue of hostile tuples becomes large. */
const MAX_QUEUED_BYTES = 64 * 1024 * 1024
/**
 * A full batch is large enough for a flood and small enough that a 451 waits less than 100 ms for it. From
 * 400 attempts per second on, a batch waits for more; below that, a commit for each is cheaper than waiting.
 */
const PACE: WriterPace = { fullBatch: 2000, companyMs: 10, companyFrom: 20 }
/**
 * Maximum time that a client waits for its tuple to be stored; a server may be unreachable, and then the
 * gateway switches to its local database.
 */
const MAX_HOLD_MS = { file: 1_000, server: 300 } as const
/** How long to wait at the end for a locked database. */
const CLOSE_WAIT_MS = 2_000
/** Tuples of all sync peers take turns as one network: they must not push out local clients. */
const SYNC_SOURCE = 'sync'
/** Minutes in which mail servers retry, then the hours in which the slow ones do. */
const RETRY_DELAY_BOUNDS_SEC = [60, 300, 600, 900, 1200, 1500, 1800, 2400, 3600, 7200, 14_400]
/** -M is not applied this soon after a start: the primary MX may have been down as well. Source: grey.c. */
const LOW_PRIORITY_MX_GRACE_MS = 60_000

export interface GreylisterOptions {
  useStore: StoreAccess
  /** Path that log lines name. */
  databasePath: string
  policy: GreyPolicy
  clock: Clock
  logger: Logger
  /** Set with -d. */
  debug?: DebugOutput | undefined
  blockLists: BlockListLookup
  allowedDomains?: AllowedDomains | undefined
  /** Addresses given with -M. */
  lowPriorityMx?: readonly string[]
  /** --recipient-delimiter: characters that start a subaddress of a recipient (`+`). */
  recipientDelimiter?: string | undefined
  /** Prefix lengths of the networks by which pools are identified besides the exact key; undefined: none. */
  greyPrefix4?: number | undefined
  greyPrefix6?: number | undefined
  sync?: SyncAnnouncer | undefined
  /** Receives every recorded attempt, for DNS checks of its sender. */
  checks?: SenderCheckSink | undefined
  /** Called with each address that became white because its retry was seen. */
  onPromoted?: (ip: string) => void
  /** Called with each network that a pool opened, or that a trap closed. */
  onPool?: (network: string, state: PoolState) => void
  queueLimits?: QueueLimits
}

interface QueuedAttempt {
  attempt: TupleAttempt
  /** The client address of the tuple as logged and synced. */
  logged: Tuple
  /** Address that the client connected to; undefined for a tuple from a peer. */
  destinationIp: string | undefined
  atSec: UnixSec
  /** Lets the client have its answer; only the first call counts. */
  settle: (isStored: boolean) => void
}

export class Greylister implements GreylistSink {
  readonly counters: GreylisterCounters = newGreylisterCounters()
  /** Seconds between the first attempt and the one that passed. */
  readonly retryDelays = new Histogram(RETRY_DELAY_BOUNDS_SEC)
  readonly #options: GreylisterOptions
  readonly #limited: RateLimitedLog
  readonly #queue: FairQueue<QueuedAttempt>
  readonly #writer: BatchWriter<readonly QueuedAttempt[], TupleOutcome[]>
  readonly #startedMs: number
  readonly #hasPools: boolean
  #allowedDomains: AllowedDomains | undefined

  constructor(options: GreylisterOptions) {
    this.#options = options
    this.#limited = new RateLimitedLog(options.logger, options.clock)
    this.#startedMs = options.clock.monotonicMs()
    this.#hasPools = (options.greyPrefix4 ?? options.greyPrefix6) !== undefined
    this.#allowedDomains = options.allowedDomains
    this.#queue = new FairQueue({
      limits: options.queueLimits ?? { maxCount: MAX_QUEUED_ATTEMPTS, maxBytes: MAX_QUEUED_BYTES },
      maxBatch: PACE.fullBatch,
      sourceOf: ({ logged, destinationIp }) => ({
        network: destinationIp === undefined ? SYNC_SOURCE : networkText(logged.ip, sourcePrefix(logged.ip)),
        client: logged.ip,
      }),
      sizeOf: ({ logged }) => logged.helo.length + logged.from.length + logged.to.length,
      groupOf: ({ atSec }) => atSec,
    })
    this.#writer = new BatchWriter({
      work: this.#queue,
      pace: PACE,
      clock: options.clock,
      write: (batch) => this.#write(batch),
      onWritten: (batch, outcomes) => {
        batch.forEach((queued, index) => {
          this.#report(queued, outcomes[index]!)
          queued.settle(true)
        })
      },
      onFailed: ({ error }) => this.#noteFailure(error),
      onRecovered: () => this.#limited.reset('record-failed'),
    })
  }

  /** Attempts waiting for the database. */
  get waitingCount(): number {
    return this.#queue.length
  }

  /** False after a failed write, until the next one succeeds. */
  get isStoring(): boolean {
    return !this.#writer.isFailing
  }

  /** Of the writes of batches. */
  get writes(): Readonly<WriterCounters> {
    return this.#writer.counters
  }

  /** Takes the domains of a reloaded file; undefined removes the restriction. */
  replaceAllowedDomains(allowedDomains: AllowedDomains | undefined): void {
    this.#allowedDomains = allowedDomains
  }

  submit(recipient: GreylistedRecipient): Promise<void> {
    const { clientIp, destinationIp, helo, from, to, toArgument } = recipient
    return this.#enqueue({ ip: clientIp, helo, from, to }, toArgument ?? to, destinationIp)
  }

  /** Takes a tuple from a sync peer: like a local one, but without the test of -M, and never sent on. */
  receive(tuple: Tuple): Promise<void> {
    return this.#enqueue(tuple, tuple.to, undefined)
  }

  /** Writes what is waiting, as far as the database permits, and accepts no more. */
  async close(): Promise<void> {
    const lostCount = await this.#writer.close(CLOSE_WAIT_MS)
    for (const { settle } of this.#queue.items()) settle(false)
    if (lostCount > 0) {
      this.#options.logger.log(
        'err',
        `${countText(lostCount, 'tuple')} could not be recorded and ${lostCount === 1 ? 'is' : 'are'} lost`,
      )
    }
  }

  #enqueue(received: Tuple, toArgument: WireText, destinationIp: string | undefined): Promise<void> {
    const { clock, logger, debug } = this.#options
    const logged: Tuple = {
      ip: received.ip,
      helo: fieldOf(received.helo),
      from: fieldOf(received.from),
      to: fieldOf(received.to),
    }
    // As in the original, which drops it silently.
    if (logged.helo === '') {
      this.counters.refused += 1
      logger.log('debug', `tuple of ${logged.ip} not recorded: no HELO`, {
        event: 'tuple-refused',
        ip: logged.ip,
        refusal: 'no HELO',
      })
      return Promise.resolve()
    }
    this.counters.submitted += 1
    debug?.err(
      escapeControl(`Got Grey HELO ${logged.helo}, IP ${logged.ip} from ${logged.from} to ${logged.to}`),
    )
    return new Promise((resolve) => {
      const queued: QueuedAttempt = {
        attempt: this.#attemptOf(logged, toArgument, destinationIp),
        logged,
        destinationIp,
        atSec: clock.nowSec(),
        settle: destinationIp === undefined ? () => resolve() : this.#patience(resolve),
      }
      const dropped = this.#queue.push(queued)
      for (const item of dropped) {
        this.counters.dropped += 1
        item.settle(false)
      }
      if (dropped.length > 0) {
        this.#limited.log(
          'queue-full',
          'err',
          `too many tuples are waiting for ${this.#options.databasePath}: dropping those of the busiest sources`,
        )
      }
      this.#writer.notify()
      // Nobody waits for a failing database: the client gets its answer, the attempt is kept.
      if (this.#writer.isFailing) queued.settle(false)
    })
  }

  /** Ends the wait of one client: its tuple is stored, cannot be, or the maximum wait is over. */
  #patience(resolve: () => void): (isStored: boolean) => void {
    let isSettled = false
    const settle = (isStored: boolean): void => {
      if (isSettled) return
      isSettled = true
      clearTimeout(timer)
      if (!isStored) {
        this.counters.unstored += 1
        const { databasePath } = this.#options
        this.#limited.log(
          'unstored',
          'warning',
          `${databasePath} is slow or fails: sending 451 before the tuple is stored (${this.counters.unstored} so far)`,
        )
      }
      resolve()
    }
    const { file, server } = MAX_HOLD_MS
    const holdMs = isPostgresLocation(this.#options.databasePath) ? server : file
    const timer = setTimeout(() => settle(false), holdMs)
    return settle
  }

  #attemptOf(logged: Tuple, toArgument: WireText, destinationIp: string | undefined): TupleAttempt {
    const { blockLists, lowPriorityMx = [], recipientDelimiter = '', clock, checks } = this.#options
    const { address, isOfAnyDomain, spamtraps } = recipientKeysOf(logged.to, toArgument, recipientDelimiter)
    const [trapKey = address, ...otherTrapKeys] = spamtraps
    const isForeign = this.#allowedDomains !== undefined && !this.#allowedDomains.allows(address)
    const mayOpenAround = !blockLists.overlaps(networkOf(logged.ip, sourcePrefix(logged.ip)))
    const isPastGrace = clock.monotonicMs() - this.#startedMs > LOW_PRIORITY_MX_GRACE_MS
    return {
      tuple: logged,
      ...(this.#hasPools ? { pools: networkPools(logged.ip, this.#options, { mayOpenAround }) } : {}),
      clientIp: logged.ip,
      trapKey,
      ...(otherTrapKeys.length === 0 ? {} : { otherTrapKeys }),
      isDomainTrap: isForeign && !isOfAnyDomain,
      isLowPriorityMx: destinationIp !== undefined && isPastGrace && lowPriorityMx.includes(destinationIp),
      mayOpenAround,
      mayPromote: blockLists.match(logged.ip).length === 0 && (checks?.mayPromote(logged.ip) ?? true),
    }
  }

  async #write(batch: readonly QueuedAttempt[]): Promise<TupleOutcome[]> {
    const attempts = batch.map(({ attempt }) => attempt)
    const { outcomes } = await this.#options.useStore((store) =>
      store.recordAttempts(attempts, this.#options.policy, batch[0]!.atSec),
    )
    return outcomes
  }

  #noteFailure(error: unknown): void {
    for (const { settle } of this.#queue.items()) settle(false)
    this.#limited.log(
      'record-failed',
      'err',
      `can't add tuples to ${this.#options.databasePath} (${escapeControl(reasonOf(error))}), ${this.#queue.length} waiting`,
    )
  }

  // eslint-disable-next-line complexity -- one case for each outcome
  #report(queued: QueuedAttempt, outcome: TupleOutcome): void {
    const { logger, onPromoted, checks } = this.#options
    const { logged, destinationIp, atSec } = queued
    this.counters.recorded += 1
    if (outcome.evictedCount > 0) {
      this.counters.evicted += outcome.evictedCount
      this.#limited.log(
        'evicted',
        'notice',
        `too many tuples: evicting those of the busiest networks (${this.counters.evicted} so far)`,
      )
    }
    this.counters.opened += reportPools(logged, outcome, this.#options)
    const sync = destinationIp === undefined ? undefined : this.#options.sync
    switch (outcome.result) {
      case 'new':
        this.counters.created += 1
        logger.log('debug', `new entry ${describeTuple(logged)}`, { event: 'tuple-new', ...logged })
        this.#debugLine('added  ', this.#keyLines(queued))
        break
      case 'repeated':
        this.counters.repeated += 1
        this.#debugLine('updated ', this.#keyLines(queued))
        break
      case 'promoted':
        this.counters.promoted += 1
        if (outcome.waitedSec !== undefined) this.retryDelays.add(outcome.waitedSec)
        this.#debugLine('updated ', this.#keyLines(queued))
        if (outcome.isNewHost) this.#reportWhitelisting(logged.ip)
        this.#debugLine('whitelisted ', [logged.ip])
        onPromoted?.(logged.ip)
        break
      case 'trapped':
      case 'trapped-mx':
      case 'trapped-spf':
        this.#reportTrap(queued, outcome)
        if (sync !== undefined) {
          logger.log('debug', `sync_trap ${logged.ip}`)
          sync.announceHost(logged.ip, { kind: 'TRAPPED', expire: outcome.trapExpire! })
        }
        return
    }
    checks?.noteRecorded({
      attempt: queued.attempt,
      atSec,
      isRepeated: outcome.result === 'repeated' || (queued.attempt.pools ?? []).length > 0,
    })
    sync?.announceGrey(logged)
  }

  /** An address that is WHITE already gets no entry, and no line is logged. */
  #reportWhitelisting(ip: string): void {
    const { logger, databasePath } = this.#options
    logger.log('debug', `queueing add of ${ip}`)
    logger.log('debug', `whitelisting ${ip} in ${databasePath}`, { event: 'whitelisted', ip })
  }

  #reportTrap(queued: QueuedAttempt, outcome: TupleOutcome): void {
    const { logger } = this.#options
    const { logged, destinationIp } = queued
    this.counters.trapped += 1
    const why = outcome.result === 'trapped-mx' ? `trying ${destinationIp} first for tuple` : 'tuple'
    const key = this.#keyLines(queued).join('\n')
    logger.log('debug', `Trapping ${logged.ip} for ${why} ${escapeControl(key)}`, {
      event: 'trapped',
      ...logged,
    })
    if (outcome.isNewHost) {
      logger.log('debug', `new greytrap entry ${describeTuple(logged)}`)
      this.#debugLine('added greytrap entry for ', [logged.ip])
    } else this.#debugLine('updated ', [logged.ip])
  }

  /** The fields of a tuple's key in their order. */
  #keyLines({ attempt: { tuple } }: QueuedAttempt): WireText[] {
    return [tuple.ip, tuple.helo, tuple.from, tuple.to]
  }

  /** The original prints a key with its line feeds. */
  #debugLine(verb: string, keyLines: readonly WireText[]): void {
    const { debug } = this.#options
    if (debug === undefined) return
    for (const [index, line] of keyLines.entries()) debug.err((index === 0 ? verb : '') + escapeControl(line))
  }
}

/** The networks that take turns in the queue: the range that one customer or one IPv6 host controls. */
function sourcePrefix(ip: string): number {
  return WIDEST_OPENED[familyOf(ip)]
}
