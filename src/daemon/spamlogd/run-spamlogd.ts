/** The life cycle of spamlogd: start, watch or replay, and a clean end. Manual: docs/man/spamlogd.8. */

import type { SpamlogdOptions } from '../../app/spamlogd-options.js'
import { writeTrustedFile } from '../../app/write-trusted-file.js'
import { escapeControl } from '../../codec/escape.js'
import { formatMetrics } from '../../codec/metrics-text.js'
import { AppError, errnoOf } from '../../platform/app-error.js'
import {
  hasRelativePath,
  isBackgroundProcess,
  reportReady,
  startInBackground,
} from '../../platform/daemonize.js'
import { databaseOwnerHint } from '../../platform/database-place.js'
import { reasonOf } from '../../platform/errno-text.js'
import { freeMemorySoon } from '../../platform/free-memory.js'
import type { Logger } from '../../platform/log.js'
import { CaptureOpenError } from '../../platform/open-live-capture.js'
import { writePidFile } from '../../platform/pid-file.js'
import { isPostgresLocation } from '../../platform/postgres-location.js'
import { notifySystemd } from '../../platform/sd-notify.js'
import { RateLimitedLog } from '../rate-limited-log.js'
import { StoreKeeper } from '../store/store-keeper.js'
import { LiveWatch } from './live-watch.js'
import { LogWatcher, type WatcherFacts } from './log-watcher.js'
import { OutboundLimit } from './outbound-limit.js'
import { checkLinkType, LinkTypeError, replayCapture } from './replay-capture.js'
import { BATCH_DELAY_MS, SightingRecorder, type SightingStore } from './sighting-recorder.js'
import type { SpamlogdParts, WhiteAnnouncer } from './spamlogd-parts.js'
import { kernelFilter, listeningLine } from './watched-log.js'
import { watcherMetrics } from './watcher-metrics.js'

/** How long the end of a replay may wait for a locked database. */
const REPLAY_WAIT_MS = 5_000
/** The same when a signal ends us: its sender should not wait more than five seconds. */
const STOP_WAIT_MS = 2_500
/** As often as Prometheus usually asks. */
const METRICS_INTERVAL_MS = 60_000
/** What a stop takes at most, whatever hangs. */
const LAST_RESORT_MS = 4_500

/** Runs spamlogd to its end; the result is the exit code. Failures to start are reported on stderr. */
export async function runSpamlogd(options: SpamlogdOptions, parts: SpamlogdParts): Promise<number> {
  const isLive = options.replayPath === undefined
  if (isLive && !options.isDebug && !options.isForeground && !isBackgroundProcess()) {
    return startInBackground()
  }
  const logger = parts.openLog({
    toStderr: options.isDebug || options.isForeground || !isLive,
    isJson: options.isJson,
    // Why the database refused is a notice in the original.
    threshold: isLive || options.isDebug ? 'debug' : 'notice',
  })
  const daemon = new Spamlogd(options, parts, logger)
  try {
    return isLive ? await daemon.watch() : await daemon.replay()
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    parts.writeError(`spamlogd: ${escapeControl(error.message)}\n`)
    if (error.hint !== undefined) parts.writeError(`spamlogd: hint: ${escapeControl(error.hint)}\n`)
    return 1
  } finally {
    await daemon.close()
    await logger.flush()
  }
}

class Spamlogd {
  readonly #options: SpamlogdOptions
  readonly #parts: SpamlogdParts
  readonly #logger: Logger
  readonly #stop = new AbortController()
  #isCaptureDenied = false
  #lastResort: NodeJS.Timeout | undefined
  #keeper: StoreKeeper<SightingStore>
  #announcer: WhiteAnnouncer | undefined
  #statsTimer: NodeJS.Timeout | undefined
  #metricsTimer: NodeJS.Timeout | undefined
  readonly #metricsLog: RateLimitedLog
  #removePidFile: (() => void) | undefined
  #removeSignals: (() => void) | undefined

  constructor(options: SpamlogdOptions, parts: SpamlogdParts, logger: Logger) {
    this.#options = options
    this.#parts = parts
    this.#logger = logger
    this.#metricsLog = new RateLimitedLog(logger, parts.clock)
    this.#keeper = this.#newKeeper()
  }

  /** Watches the packet log until a signal ends it. */
  async watch(): Promise<number> {
    const { device, rules } = this.#options
    // Its key needs root; that a target is wrong is said after what is wrong with the capture, as in the original.
    const syncFailure = await this.#openSync().then(
      () => undefined,
      (error: unknown) => ({ error }),
    )
    this.#logger.log('debug', listeningLine(device, rules))
    const recorder = this.#newRecorder(BATCH_DELAY_MS)
    const watcher = this.#newWatcher(recorder, true)
    const live = new LiveWatch({
      device,
      filter: kernelFilter(device, rules),
      open: (request) => this.#parts.openCapture(request),
      check: (capture) => checkLinkType(capture.linkType, device),
      onDenied: () => this.#endDenied(),
      user: this.#options.user,
      watcher,
      logger: this.#logger,
      rateLimited: new RateLimitedLog(this.#logger, this.#parts.clock),
    })
    try {
      await live.start()
    } catch (error) {
      throw this.#captureError(error)
    }
    try {
      if (syncFailure !== undefined) throw syncFailure.error
      // Registered before anything that takes time, so that a SIGTERM during the start is not lost.
      const stopped = this.#handleSignals(
        watcher,
        () => live.lostCount(),
        () => live.retryNow(),
      )
      await this.#settle()
      await stopped
    } finally {
      await live.close()
    }
    return this.#finish(recorder)
  }

  /** Replays a capture file to its end. */
  async replay(): Promise<number> {
    const { replayPath = '-', isDebug, isUserGiven, user } = this.#options
    const source = this.#parts.openReplay(replayPath)
    await this.#openSync()
    if (isUserGiven) await this.#parts.becomeUser(user)
    const recorder = this.#newRecorder(source.isFile ? Infinity : BATCH_DELAY_MS)
    const watcher = this.#newWatcher(recorder, isDebug)
    void this.#handleSignals(
      watcher,
      () => undefined,
      () => undefined,
    ).then(() => source.abort())
    const name = replayPath === '-' ? 'standard input' : replayPath
    let failure: { error: unknown } | undefined
    try {
      await replayCapture({
        chunks: source.chunks,
        name,
        watcher,
        recorder,
        clock: this.#parts.clock,
        waitsForRoom: source.isFile,
        stop: this.#stop.signal,
      })
    } catch (error) {
      failure = { error }
    }
    const lostCount = await recorder.stop(this.#stop.signal.aborted ? STOP_WAIT_MS : REPLAY_WAIT_MS)
    if (lostCount > 0) await this.#hintAtDatabase()
    this.#printSummary(watcher, recorder, lostCount)
    if (failure !== undefined) throw failure.error
    return lostCount === 0 ? 0 : 1
  }

  /** Gives back what is still held; safe after any failure. */
  async close(): Promise<void> {
    clearInterval(this.#statsTimer)
    clearInterval(this.#metricsTimer)
    this.#removeSignals?.()
    await this.#announcer?.close()
    await this.#keeper.close()
    this.#removePidFile?.()
    clearTimeout(this.#lastResort)
  }

  async #openSync(): Promise<void> {
    if (this.#options.syncTargets.length === 0) return
    try {
      this.#announcer = await this.#parts.openAnnouncer?.(this.#options, this.#logger)
    } catch (error) {
      // A key that cannot be read is no reason to let the white list expire.
      if (!(error instanceof AppError) || error.code !== 'ERR_SYNC_KEY_READ') throw error
      const hint = error.hint === undefined ? '' : ` (${error.hint})`
      this.#logger.log('err', `running without synchronisation: ${escapeControl(error.message + hint)}`)
    }
  }

  /** After the capture is open: pid file, unprivileged user, database checked, caller and systemd told. */
  async #settle(): Promise<void> {
    const { pidFile, user, dbPath, key, isDebug } = this.#options
    if (pidFile !== undefined) this.#removePidFile = writePidFile(pidFile)
    await this.#parts.becomeUser(user)
    if (!isDebug) await this.#checkDatabase(dbPath)
    reportReady(process.env, { keepsFolder: hasRelativePath([dbPath, key, pidFile]) })
    await notifySystemd('READY=1')
    freeMemorySoon()
  }

  /**
   * A database that does not exist yet (spamd creates it) or is locked is waited for; one that can never be
   * used ends the start, while someone is watching.
   */
  async #checkDatabase(dbPath: string): Promise<void> {
    try {
      await this.#keeper.use(async () => undefined)
      // The first packet may be hours away, and waits for its batch anyway; a gateway without its server has work to do now.
      if (!isPostgresLocation(dbPath)) await this.#keeper.rest()
    } catch (error) {
      const reason = reasonOf(error)
      const hint = this.#databaseHint(error)
      const isMissing = errnoOf(error) === 'ENOENT'
      if (!isMissing && !(error instanceof AppError && error.code === 'ERR_DB_BUSY')) {
        throw new AppError('ERR_DB_OPEN', `Can not open db ${dbPath}: ${reason}`, { hint, cause: error })
      }
      this.#logger.log('warning', `Can not open db ${dbPath}: ${reason}: keeping updates until it exists`)
      this.#parts.writeError(
        isMissing
          ? `spamlogd: ${dbPath} does not exist yet: keeping updates until it does\nspamlogd: hint: ${hint}\n`
          : '',
      )
    }
  }

  /** What to do about a database that cannot be opened. */
  #databaseHint(error: unknown): string | undefined {
    const { user, isUserGiven, replayPath, dbPath } = this.#options
    const errno = errnoOf(error)
    if (errno === 'ENOENT') return 'create it with "spamdctl init-db", or start spamd'
    const becomesUser = replayPath === undefined || isUserGiven
    if (errno === 'EACCES' && becomesUser) {
      return databaseOwnerHint(user, dbPath)
    }
    return error instanceof AppError ? error.hint : undefined
  }

  /** After a replay whose updates were lost: prints a hint if the database cannot be opened. */
  async #hintAtDatabase(): Promise<void> {
    try {
      await this.#keeper.use(async () => undefined)
    } catch (error) {
      const hint = this.#databaseHint(error)
      if (hint !== undefined) this.#parts.writeError(`spamlogd: hint: ${escapeControl(hint)}\n`)
    }
  }

  async #finish(recorder: SightingRecorder): Promise<number> {
    void notifySystemd('STOPPING=1')
    await recorder.stop(STOP_WAIT_MS)
    this.#logger.log('notice', 'exiting')
    return this.#isCaptureDenied ? 1 : 0
  }

  /** Resolves when the program is to stop. */
  #handleSignals(
    watcher: LogWatcher,
    lostCount: () => number | undefined,
    onReload: () => void,
  ): Promise<void> {
    const { statsIntervalSec, metricsFile } = this.#options
    const logStatistics = (): void => watcher.logStatistics(lostCount(), this.#announcer?.counters())
    if (statsIntervalSec !== undefined) {
      this.#statsTimer = setInterval(logStatistics, statsIntervalSec * 1_000)
      this.#statsTimer.unref()
    }
    const writeMetrics = (): void => {
      if (metricsFile !== undefined) void this.#writeMetrics(metricsFile, watcher.facts(lostCount()))
    }
    this.#metricsTimer = setInterval(writeMetrics, METRICS_INTERVAL_MS).unref()
    return new Promise((resolve) => {
      this.#stop.signal.addEventListener('abort', () => resolve(), { once: true })
      this.#removeSignals = this.#parts.onSignal((signal) => {
        if (signal === 'stop') this.#endInTime()
        else if (signal === 'statistics') {
          logStatistics()
          writeMetrics()
        } else this.#reload(onReload)
      })
    })
  }

  /** No mail depends on it: a failure is logged occasionally. */
  async #writeMetrics(path: string, facts: WatcherFacts): Promise<void> {
    try {
      await writeTrustedFile(path, formatMetrics(watcherMetrics(facts)), 'ERR_METRICS_WRITE')
    } catch (error) {
      this.#metricsLog.log('metrics', 'warning', escapeControl(reasonOf(error)))
    }
  }

  #endInTime(): void {
    if (this.#stop.signal.aborted) return
    this.#stop.abort()
    // A helper, the log or the disk may hang; the database is written in transactions.
    this.#lastResort = setTimeout(() => this.#parts.endNow(1), LAST_RESORT_MS).unref()
  }

  /** The capture needs privileges that were given up: only a restart can open it. */
  #endDenied(): void {
    this.#isCaptureDenied = true
    this.#logger.log('err', 'reopening the packet log needs privileges, which were given up: exiting', {
      event: 'capture-denied',
    })
    this.#endInTime()
  }

  #reload(onReload: () => void): void {
    this.#logger.log('notice', 'reopening the database')
    const old = this.#keeper
    this.#keeper = this.#newKeeper()
    void old.close().catch((error: unknown) => {
      this.#logger.log('info', `${this.#options.dbPath}: closing failed (${reasonOf(error)})`)
    })
    void this.#announcer?.reload()
    onReload()
  }

  #newKeeper(): StoreKeeper<SightingStore> {
    const { dbPath } = this.#options
    return new StoreKeeper({
      open: async () => ({ store: await this.#parts.openStore(dbPath), isCreated: false }),
      logger: this.#logger,
    })
  }

  #newRecorder(batchDelayMs: number): SightingRecorder {
    const { dbPath, whiteExpireSec, untrap } = this.#options
    const announcer = this.#announcer
    return new SightingRecorder({
      use: (action) => this.#keeper.use(action),
      location: dbPath,
      logger: this.#logger,
      clock: this.#parts.clock,
      whiteExpireSec,
      untrap,
      batchDelayMs,
      ...(announcer === undefined ? {} : { onWhitelisted: announcer.announce }),
    })
  }

  #newWatcher(recorder: SightingRecorder, logsPackets: boolean): LogWatcher {
    return new LogWatcher({
      rules: this.#options.rules,
      recorder,
      logger: this.#logger,
      clock: this.#parts.clock,
      host: this.#parts.host,
      logsPackets,
      useCaptureTime: this.#options.useCaptureTime,
      ...(this.#options.replayPath === undefined
        ? { outboundLimit: new OutboundLimit(this.#options.outboundPerMinute, this.#parts.clock) }
        : {}),
    })
  }

  /** Logs why the capture did not open and makes the original's last words of it. */
  #captureError(error: unknown): AppError {
    if (!(error instanceof AppError)) throw error
    const isLinkType = error instanceof LinkTypeError
    const reason = isLinkType ? `Invalid datalink type ${error.types}` : error.message
    this.#logger.log('err', escapeControl(isLinkType ? reason : `Failed to initialize: ${reason}`))
    // The original ends with the text of errno, if the system set one.
    const errnoText = error instanceof CaptureOpenError ? error.errnoText : undefined
    return new AppError('ERR_CAPTURE_OPEN', `couldn't initialize pcap: ${errnoText ?? reason}`, {
      hint: error.hint,
      cause: error,
    })
  }

  #printSummary(watcher: LogWatcher, recorder: SightingRecorder, lostCount: number): void {
    const { packets, matched, undecodable } = watcher.counts
    const { added, refreshed, untrapped, leftTrapped } = recorder.counts
    const summary = {
      packets,
      matched,
      undecodable,
      added,
      refreshed,
      untrapped,
      leftTrapped,
      lost: lostCount,
    }
    this.#parts.writeOut(
      this.#options.isJson
        ? `${JSON.stringify(summary)}\n`
        : `${Object.entries(summary)
            .map(([name, value]) => `${name}=${value}`)
            .join(' ')}\n`,
    )
  }
}
