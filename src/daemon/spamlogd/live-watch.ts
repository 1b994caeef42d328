/** Keeps the live capture of spamlogd open: if it is lost, it is reopened at growing intervals. */
import { setTimeout as sleep } from 'node:timers/promises'
import { escapeControl } from '../../codec/escape.js'
import { AppError } from '../../platform/app-error.js'
import { reasonOf } from '../../platform/errno-text.js'
import type { LiveCapture, LiveCaptureRequest } from '../../platform/live-capture-source.js'
import type { Logger } from '../../platform/log.js'
import type { RateLimitedLog } from '../rate-limited-log.js'
import type { LogWatcher } from './log-watcher.js'

/** First pause before a lost capture is opened again, doubled up to the longest. */
const REOPEN_MS = 1_000
const MAX_REOPEN_MS = 60_000

export interface LiveWatchOptions {
  device: string
  filter: string
  open: (request: LiveCaptureRequest) => Promise<LiveCapture>
  /** Throws when the capture is of no use (its link type); the capture is closed then. */
  check: (capture: LiveCapture) => void
  /** Reopening was refused for lack of privileges and is no longer tried. */
  onDenied: () => void
  /** Who a program that captures for us should become, when we are root. */
  user: string
  watcher: LogWatcher
  logger: Logger
  rateLimited: RateLimitedLog
}

export class LiveWatch {
  readonly #options: LiveWatchOptions
  readonly #stop = new AbortController()
  #capture: LiveCapture | undefined
  #reopening: Promise<void> | undefined
  /** Cuts the current pause short. */
  #wake = new AbortController()
  /** Losses of captures that are closed by now. */
  #earlierLosses = 0

  constructor(options: LiveWatchOptions) {
    this.#options = options
  }

  lostCount(): number {
    return this.#earlierLosses + (this.#capture?.lostCount() ?? 0)
  }

  /** Opens the capture for the first time; rejects with the reason when that fails. */
  async start(): Promise<void> {
    this.#capture = await this.#open()
  }

  /** Tries at once when the capture is lost; a capture that works is left alone. */
  retryNow(): void {
    this.#wake.abort()
  }

  async close(): Promise<void> {
    this.#stop.abort()
    this.#wake.abort()
    await this.#reopening
    await this.#capture?.close()
    this.#capture = undefined
  }

  async #open(): Promise<LiveCapture> {
    const { watcher, device, filter, user } = this.#options
    let hasFailed = false
    // Packets may come before the opening has returned; their link type is known by then.
    const early: { bytes: Uint8Array; timeSec: number }[] = []
    let link: LiveCapture | undefined
    const capture = await this.#options.open({
      device,
      filter,
      user,
      stop: this.#stop.signal,
      onPacket: (bytes, timeSec) => {
        if (link === undefined) early.push({ bytes: bytes.slice(), timeSec })
        else watcher.handle(bytes, link, timeSec)
      },
      onFailure: (reason) => {
        hasFailed = true
        if (link !== undefined) this.#onFailure(reason)
      },
      onTrouble: (message) => {
        this.#options.rateLimited.log('capture', 'warning', `${device}: ${message}`)
      },
    })
    try {
      this.#options.check(capture)
      if (hasFailed) throw new AppError('ERR_CAPTURE_OPEN', 'the capture ended at once')
    } catch (error) {
      await capture.close()
      throw error
    }
    link = capture
    for (const { bytes, timeSec } of early) watcher.handle(bytes, capture, timeSec)
    return capture
  }

  #onFailure(reason: string): void {
    const { logger, device } = this.#options
    if (this.#stop.signal.aborted || this.#reopening !== undefined) return
    logger.log('err', `${device}: ${escapeControl(reason)}: trying to reopen it`, {
      event: 'capture-lost',
    })
    this.#reopening = this.#reopen().finally(() => {
      this.#reopening = undefined
    })
  }

  async #reopen(): Promise<void> {
    const { logger, device, rateLimited } = this.#options
    this.#earlierLosses += this.#capture?.lostCount() ?? 0
    const lost = this.#capture
    this.#capture = undefined
    await lost?.close()
    for (let pauseMs = REOPEN_MS; ; pauseMs = Math.min(pauseMs * 2, MAX_REOPEN_MS)) {
      this.#wake = new AbortController()
      if (this.#stop.signal.aborted) return
      await sleep(pauseMs, undefined, { signal: this.#wake.signal }).catch(() => undefined)
      if (this.#stop.signal.aborted) return
      try {
        this.#capture = await this.#open()
        logger.log('notice', `${device}: listening again`, { event: 'capture-back' })
        return
      } catch (error) {
        if (this.#stop.signal.aborted) return
        if (error instanceof AppError && error.code === 'ERR_CAPTURE_DENIED') {
          this.#options.onDenied()
          return
        }
        const hint = error instanceof AppError && error.hint !== undefined ? ` (${error.hint})` : ''
        rateLimited.log('reopen', 'err', `${device}: ${escapeControl(reasonOf(error))}${hint}`)
      }
    }
  }
}
