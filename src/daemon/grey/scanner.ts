/**
 * The periodic scan of the database: removes what has expired, promotes tuples that passed, removes addresses
 * on a block list from the white list, and then updates the packet filter's table and the trap list.
 *
 * A whole scan examines every address; between them brief scans, which cost a tenth, examine only what is
 * due. They are sufficient while the journal reports changes of addresses and block lists do not change. While nothing
 * has changed and nothing becomes due, a brief scan does not read the entries.
 *
 * It reads the database in slices and processes other events in between, so that clients are served while a
 * large database is scanned. When the walk fails the table and the trap list are left as they are.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { ScanReport } from '../../app/control-protocol.js'
import { escapeControl } from '../../codec/escape.js'
import type { ClockReading, ScanCursor, ScanScope } from '../../db/store.js'
import { decideSlice, type ScanDecisions } from '../../domain/decide-slice.js'
import type { PoolEntry } from '../../domain/entry.js'
import { markLives } from '../../domain/old-marks.js'
import type { Clock } from '../../platform/clock.js'
import { reasonOf } from '../../platform/errno-text.js'
import { freeMemory } from '../../platform/free-memory.js'
import type { DebugOutput } from '../debug-output.js'
import { RateLimitedLog } from '../rate-limited-log.js'
import type { SenderCheckSink } from '../seams.js'
import { retryWhileBusy } from '../store/retry-while-busy.js'
import type { StoreKeeper } from '../store/store-keeper.js'
import type { DaemonStore } from '../store/store-worker-messages.js'
import { AdaptiveSlice, partsOf, STORE_SLICE } from './adaptive-slice.js'
import { nextScanKind, type ScanKind, type WholeScan } from './brief-scan.js'
import { ClockGuard, type GuardedTime } from './clock-guard.js'
import { describeKey } from './describe-key.js'
import { HostGatherer } from './host-gatherer.js'
import { isPoolInUse, newReport } from './scan-parts.js'
import { type PublisherOptions, ScanPublisher } from './scan-publisher.js'
import { StampWatch } from './stamp-watch.js'

/** Source: DB_SCAN_INTERVAL of spamd's grey.h. */
const SCAN_INTERVAL_MS = 60_000

/** Entries that are read at a time; a step of the scan aims at a third of what would be noticeable. */
const READ_SLICE = { first: 500, smallest: 50, largest: 4000, targetMs: 12 }
/**
 * For a brief scan: rows that are not due are not fetched, and this many are examined in two milliseconds. Slices
 * that follow the time they took would become small on a busy machine, and many small ones cost ten times as much.
 */
const BRIEF_SLICE = 5000
/** Fewer entries than this expire even if the clock is in doubt: they are soon earned again. */
const MASS_EXPIRY_COUNT = 1000
/** Number of marks of deletions examined per scan. */
const MARKS_SLICE = 2000

/** A whole scan of this many addresses leaves megabytes of garbage, which are freed at once. */
const LARGE_COUNT = 50_000

export interface ScannerOptions extends PublisherOptions {
  keeper: Pick<StoreKeeper, 'use' | 'isFresh' | 'generation'>
  clock: Clock
  /** Set with -d. */
  debug?: DebugOutput | undefined
  /** DNS checks of senders: lists may keep a tuple waiting. */
  checks?: Pick<SenderCheckSink, 'mayPromote' | 'recheck'> | undefined
  /** The journal is followed: changes by other programs need no scan. */
  followsChanges?: boolean
  intervalMs?: number
}

/** Where a walk puts what it finds. */
interface Found {
  white: { add(ip: string): void }
  trapped: { add(ip: string): void }
  pools: PoolEntry[]
}

export class Scanner {
  /** Since the start. */
  readonly counters = { scans: 0, incomplete: 0, scanningMs: 0, deleted: 0, promoted: 0 }
  readonly #options: ScannerOptions
  readonly #guard: ClockGuard
  readonly #stamps: StampWatch
  readonly #limited: RateLimitedLog
  readonly #publisher: ScanPublisher
  readonly #reading = new AdaptiveSlice(READ_SLICE)
  readonly #storing = new AdaptiveSlice(STORE_SLICE)
  #timer: NodeJS.Timeout | undefined
  #running: Promise<ScanReport> | undefined
  #isBrief = false
  #whole: WholeScan | undefined
  #isStopped = false
  /** Where the next examination of marks of deletions starts. */
  #marksAfter: ScanCursor | undefined
  #isClockCompared = false
  #lastReport: ScanReport | undefined
  /** Set by the last walk that found nothing to do: unless the journal grows, nothing is due before this time. */
  #quiet: { untilSec: number; journalEnd: number } | undefined
  #lastCompleteSec: number | undefined

  constructor(options: ScannerOptions) {
    this.#options = options
    this.#guard = new ClockGuard(options.clock, options.logger)
    const { keeper, clock, logger } = options
    this.#stamps = new StampWatch({ use: keeper.use, clock, logger })
    this.#limited = new RateLimitedLog(options.logger, options.clock)
    this.#publisher = new ScanPublisher(options, (action) => this.#retryWhileBusy(action))
  }

  /** What the last finished scan found; undefined before the first. */
  get lastReport(): ScanReport | undefined {
    return this.#lastReport
  }

  /** When the last complete scan began: what expired before is gone. */
  get lastCompleteSec(): number | undefined {
    return this.#lastCompleteSec
  }

  /** Why the clock may be wrong, as the last scan saw it; undefined while it is believed. */
  get clockDoubt(): string | undefined {
    return this.#guard.doubt
  }

  /** Scans now and then repeatedly, an interval after the end of each; resolves after the first scan. */
  async start(): Promise<void> {
    await this.scanAgain()
    if (this.#isStopped) return
    this.#timer = setTimeout(() => void this.start(), this.#options.intervalMs ?? SCAN_INTERVAL_MS)
  }

  /** Ends the repetition; a scan in progress stops at its next step and changes no table. */
  async stop(): Promise<void> {
    this.#isStopped = true
    clearTimeout(this.#timer)
    await this.#running
  }

  /** One whole scan; if one is in progress, that one. Never rejects. */
  scan(): Promise<ScanReport> {
    if (this.#running !== undefined && this.#isBrief) return this.#running.then(() => this.scan())
    return this.#running ?? this.#begin('asked')
  }

  /** A brief scan if that is sufficient, else a whole one. Never rejects. */
  async scanAgain(): Promise<ScanReport> {
    if (this.#running !== undefined) return this.scan()
    const report = await this.#begin(nextScanKind(this.#whole, this.#lastReport, this.#options))
    // A scan that finds open networks of pools cannot know whether they may stay open.
    return this.#isBrief && report.poolCount > 0 && !this.#isStopped ? this.scan() : report
  }

  #begin(kind: ScanKind): Promise<ScanReport> {
    this.#isBrief = kind === 'brief'
    this.#running = this.#scan(kind).finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  async #scan(kind: ScanKind): Promise<ScanReport> {
    const { clock, logger, databasePath, whiteTable, keeper, blockLists } = this.#options
    const [listRevision, startedMs] = [blockLists.revision, clock.monotonicMs()]
    const report = newReport(clock.nowSec())
    const white = new HostGatherer()
    const trapped = new HostGatherer()
    const pools: PoolEntry[] = []
    await this.#stamps.look()
    const scope = await this.#beginScan(kind)
    if (scope === 'nothing' && this.#lastReport !== undefined) return this.#lastReport
    let isBrief = kind === 'brief' && scope === 'all'
    try {
      const time = await this.#readTime()
      isBrief = isBrief && time.mayExpire && time.doubt === undefined
      if (!isBrief) {
        whiteTable.beginScan()
        this.#options.pools.beginScan()
        blockLists.beginTrapScan()
      }
      report.isWaiting = await this.#mustWait(time)
      if (!report.isWaiting)
        report.isComplete = isBrief
          ? await this.#walkBriefly(time, report)
          : await this.#walk(time, report, { white, trapped, pools })
    } catch (error) {
      logger.log('notice', `scan of ${databasePath} failed`, { event: 'scan-failed' })
      logger.log('info', `dbopen failed (${escapeControl(reasonOf(error))})`)
    }
    if (report.isComplete && !isBrief) {
      await this.#publisher.publish(report, white, trapped, pools)
      if (report.whiteCount + report.trappedCount >= LARGE_COUNT) setImmediate(freeMemory)
      this.#whole = { atSec: report.atSec, generation: keeper.generation, listRevision, briefCount: 0 }
    }
    report.durationMs = clock.monotonicMs() - startedMs
    this.#lastReport = report
    this.counters.scans += 1
    this.counters.scanningMs += report.durationMs
    this.counters.deleted += report.deletedCount
    this.counters.promoted += report.promotedCount
    if (report.isComplete) this.#lastCompleteSec = report.atSec
    else this.counters.incomplete += 1
    return report
  }

  /** If the database cannot be queried, the walk reports it. */
  async #beginScan(kind: ScanKind): Promise<ScanScope> {
    const begun = this.#options.keeper.use((store) => store.beginScan({ isAsked: kind === 'asked' }))
    return await begun.catch(() => 'all' as const)
  }

  /** At the first scan the clock is compared with the database as well. */
  async #readTime(): Promise<GuardedTime> {
    if (!this.#isClockCompared) {
      const { newestSec } = await this.#readClock(this.#options.clock.nowSec())
      this.#guard.compareWith(newestSec)
      this.#isClockCompared = true
    }
    return this.#guard.read()
  }

  #readClock(nowSec: number): Promise<ClockReading> {
    return this.#options.keeper.use((store) => store.readClock(nowSec))
  }

  /** True when a clock that may be wrong would expire most of the white list: nothing is changed then. */
  async #mustWait({ nowSec, doubt }: GuardedTime): Promise<boolean> {
    if (doubt === undefined) return false
    const { whiteCount, expiringCount } = await this.#readClock(nowSec)
    if (expiringCount < MASS_EXPIRY_COUNT || expiringCount * 2 <= whiteCount) return false
    this.#limited.log(
      'clock-doubt',
      'warning',
      `${expiringCount} of ${whiteCount} WHITE entries would expire, but ${doubt}: nothing expires and tables stay unchanged for up to an hour, or until spamdctl accept-clock`,
    )
    return true
  }

  /** Trusts the clock from now on and scans again; false when it was trusted already. */
  acceptClock(): boolean {
    const wasDoubted = [this.#guard.accept(), this.#stamps.accept()].includes(true)
    if (wasDoubted) void this.scan()
    return wasDoubted
  }

  /**
   * What became due, and what became WHITE since the last whole scan; removals are reported by the journal.
   */
  async #walkBriefly(time: GuardedTime, report: ScanReport): Promise<boolean> {
    const whole = this.#whole!
    if (await this.#isQuiet(time.nowSec)) {
      whole.briefCount += 1
      await this.#options.whiteTable.renew()
      const { whiteCount, trappedCount, greyCount } = this.#lastReport!
      Object.assign(report, { whiteCount, trappedCount, greyCount })
      return true
    }
    const found: Found = { white: this.#options.whiteTable, trapped: { add: () => undefined }, pools: [] }
    if (!(await this.#walk(time, report, found, whole.atSec))) return false
    whole.briefCount += 1
    await this.#options.whiteTable.renew()
    const { whiteCount } = await this.#readClock(time.nowSec)
    const poolCount = found.pools.filter((pool) => isPoolInUse(pool, this.#options.poolKinds)).length
    Object.assign(report, { whiteCount, trappedCount: this.#lastReport?.trappedCount ?? 0, poolCount })
    return true
  }

  async #isQuiet(nowSec: number): Promise<boolean> {
    if (this.#quiet === undefined || nowSec >= this.#quiet.untilSec) return false
    return (await this.#journalEnd()) === this.#quiet.journalEnd
  }

  async #journalEnd(): Promise<number> {
    return (await this.#options.keeper.use((store) => store.readJournal(0, 0))).newest
  }

  /**
   * Goes through the entries in slices: all, or with `whiteSince` those of a brief scan. False when it was
   * stopped.
   */
  async #walk(
    time: GuardedTime,
    report: ScanReport,
    { white, trapped, pools }: Found,
    whiteSince?: number,
  ): Promise<boolean> {
    const { clock, keeper, blockLists, checks } = this.#options
    let isMuchDue = whiteSince === undefined
    let cursor: ScanCursor | undefined
    // Read first, so that changes during the walk are noticed.
    const quiet = { untilSec: Infinity, journalEnd: await this.#journalEnd() }
    this.#quiet = undefined
    do {
      if (this.#isStopped) return false
      const limit = isMuchDue ? this.#reading.size : BRIEF_SLICE
      const startedMs = clock.monotonicMs()
      const due = { dueAt: time.nowSec, ...(whiteSince === undefined ? {} : { whiteSince }) }
      const slice = await keeper.use((store) => store.readScanSlice(cursor, limit, due))
      const decisions = decideSlice(
        slice.entries,
        time,
        (ip) => blockLists.isListed(ip),
        (ip) => checks?.mayPromote(ip) ?? true,
      )
      for (const tuple of decisions.heldTuples) checks?.recheck(tuple)
      const readMs = clock.monotonicMs() - startedMs
      await nextTurn()
      await this.#applySlice(decisions, time, report, white)
      for (const ip of decisions.white) {
        white.add(ip)
        this.#options.debug?.err(`whitelisted ${ip}`)
      }
      for (const ip of decisions.trapped) trapped.add(ip)
      pools.push(...decisions.pools)
      if (isMuchDue) this.#reading.note(limit, readMs)
      isMuchDue ||= slice.entries.length > READ_SLICE.first
      await nextTurn()
      quiet.untilSec = Math.min(quiet.untilSec, slice.nextDueSec ?? 0)
      cursor = slice.next
    } while (cursor !== undefined)
    report.greyCount = await keeper.use((store) => store.tupleCount())
    await this.#dropMarks(time.nowSec)
    if (quiet.untilSec > time.nowSec) this.#quiet = quiet
    return true
  }

  /**
   * Marks of deletions that no entry of another gateway can be older than: one slice per scan, in rotation.
   */
  async #dropMarks(nowSec: number): Promise<void> {
    const { policy, keeper } = this.#options
    const { next } = await keeper.use((store) =>
      store.dropOldMarks(this.#marksAfter, MARKS_SLICE, markLives(policy), nowSec),
    )
    this.#marksAfter = next
  }

  async #applySlice(
    { changes }: ScanDecisions,
    time: GuardedTime,
    report: ScanReport,
    white: Found['white'],
  ): Promise<void> {
    const { policy, clock, logger, databasePath, debug } = this.#options
    for (const key of changes.expired) logger.log('debug', `queueing deletion of ${describeKey(key)}`)
    for (const ip of changes.blocked) {
      logger.log('debug', `${ip} blacklisted, removing from whitelist`, { event: 'white-blocked', ip })
      logger.log('debug', `queueing deletion of ${ip}`)
    }
    for (const tuple of changes.blockedTuples) {
      logger.log('debug', `queueing deletion of ${describeKey({ ...tuple, kind: 'tuple' })}`)
    }
    // One transaction after the other, each sized by the duration of the last one.
    for (const { part, count } of partsOf({ ...changes }, () => this.#storing.size)) {
      const startedMs = clock.monotonicMs()
      const applied = await this.#retryWhileBusy((store) => store.applyScan(part, policy, time.nowSec))
      this.#storing.note(count, clock.monotonicMs() - startedMs)
      report.deletedCount += applied.deletedCount
      report.promotedCount += applied.promoted.length
      for (const ip of applied.promoted) {
        white.add(ip)
        logger.log('debug', `queueing add of ${ip}`)
        logger.log('debug', `whitelisting ${ip} in ${databasePath}`, { event: 'whitelisted', ip })
        debug?.err(`whitelisted ${ip}`)
      }
    }
  }

  /** Writers wait for each other; the scan yields. */
  #retryWhileBusy<Result>(action: (store: DaemonStore) => Promise<Result>): Promise<Result> {
    const isStopped = (): boolean => this.#isStopped
    return retryWhileBusy(() => this.#options.keeper.use(action), isStopped)
  }
}
