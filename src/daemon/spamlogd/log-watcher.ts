/**
 * The core of spamlogd: takes records of the packet log, logs those that count and passes them to the
 * recorder.
 */
import {
  readSighting,
  type SightingDirection,
  type SightingParts,
  type SightingRules,
} from '../../app/read-sighting.js'
import type { ByteOrder } from '../../codec/capture/nflog.js'
import { PFLOG_MIN_LENGTH } from '../../codec/capture/pflog.js'
import type { Clock } from '../../platform/clock.js'
import type { Logger } from '../../platform/log.js'
import { RateLimitedLog } from '../rate-limited-log.js'
import type { OutboundLimit } from './outbound-limit.js'
import type { RecorderCounts, SightingRecorder } from './sighting-recorder.js'

/** The original warns of every bad header; a flood of them must not fill the log. */
const MAX_HEADER_WARNINGS_PER_MINUTE = 100
const MINUTE_MS = 60_000

export interface LogWatcherOptions {
  rules: SightingRules
  recorder: SightingRecorder
  logger: Logger
  clock: Clock
  host: SightingParts
  /** Log a debug line for each accepted packet. */
  logsPackets: boolean
  /** Use the capture time of a packet, not the time of writing. */
  useCaptureTime: boolean
  /** What one source may whitelist by connecting out; absent: all. */
  outboundLimit?: OutboundLimit
}

export interface WatcherCounts {
  packets: number
  matched: number
  undecodable: number
  /** Outbound connections that were not counted: their source had reached its limit. */
  limited: number
}

/** All counters of one spamlogd. */
export interface WatcherFacts {
  timeSec: number
  watcher: Readonly<WatcherCounts>
  recorder: Readonly<RecorderCounts>
  /** Addresses that wait for the database. */
  waitingCount: number
  /** What the kernel could not hand over; undefined when unknown. */
  lostCount: number | undefined
}

export class LogWatcher {
  readonly counts: WatcherCounts = { packets: 0, matched: 0, undecodable: 0, limited: 0 }
  readonly #options: LogWatcherOptions
  readonly #rateLimited: RateLimitedLog
  #hasWarnedOfDirection = false
  #headerWarnings = { sinceMs: 0, count: 0 }

  constructor(options: LogWatcherOptions) {
    this.#options = options
    this.#rateLimited = new RateLimitedLog(options.logger, options.clock)
  }

  /** Takes one record; `timeSec` is its capture time. Never throws, whatever the bytes are. */
  handle(bytes: Uint8Array, link: { linkType: number; byteOrder: ByteOrder }, timeSec: number): void {
    this.counts.packets += 1
    const verdict = readSighting(bytes, link, this.#options.rules, this.#options.host)
    switch (verdict.kind) {
      case 'sighting':
        if (verdict.direction === 'out' && this.#isBeyondLimit(verdict.source, verdict.ip)) break
        this.#accept(verdict.ip, verdict.direction, timeSec)
        break
      case 'bad-header':
        this.counts.undecodable += 1
        this.#warnOfHeader(
          `invalid pflog header length (${verdict.lengthBytes}/${PFLOG_MIN_LENGTH}). packet dropped.`,
        )
        break
      case 'other-family':
        this.counts.undecodable += 1
        this.#warnOfHeader(
          `pflog header of address family ${verdict.af} with an IPv${verdict.version} packet. packet dropped.`,
        )
        break
      case 'undecodable':
        this.counts.undecodable += 1
        break
      case 'no-direction':
        this.#warnOfDirection()
        break
      case 'ignored':
        break
    }
  }

  /**
   * Logs all counters; `lostCount` is what the kernel could not hand over, undefined when unknown. `more` are counters of
   * others, by name.
   */
  logStatistics(lostCount: number | undefined, more: Readonly<Record<string, number>> = {}): void {
    const { recorder, logger } = this.#options
    const { packets, matched, undecodable, limited } = this.counts
    const { added, refreshed, untrapped, leftTrapped, dropped } = recorder.counts
    const fields = {
      event: 'statistics',
      packets,
      matched,
      undecodable,
      updated: added + refreshed + untrapped,
      leftTrapped,
      pending: recorder.pendingCount,
      dropped,
      lostByKernel: lostCount ?? 0,
      ...(limited > 0 ? { limited } : {}),
      ...more,
    }
    const text = Object.entries(fields)
      .slice(1)
      .map(([name, value]) => `${name}=${value}`)
      .join(' ')
    logger.log('notice', `statistics ${text}`, fields)
  }

  /** The same for Prometheus. */
  facts(lostCount: number | undefined): WatcherFacts {
    const { recorder, clock } = this.#options
    return {
      timeSec: clock.nowSec(),
      watcher: this.counts,
      recorder: recorder.counts,
      waitingCount: recorder.pendingCount,
      lostCount,
    }
  }

  #isBeyondLimit(source: string, ip: string): boolean {
    const { outboundLimit } = this.#options
    if (outboundLimit === undefined || outboundLimit.accepts(source, ip)) return false
    this.counts.limited += 1
    this.#rateLimited.log(
      'outbound',
      'warning',
      `${source} connects to more addresses than --outbound-rate allows: not whitelisting them`,
    )
    return true
  }

  #accept(ip: string, direction: SightingDirection, timeSec: number): void {
    this.counts.matched += 1
    if (this.#options.logsPackets) {
      const word = direction === 'in' ? 'inbound' : 'outbound'
      this.#options.logger.log('debug', `${word} ${ip}`, { event: word, ip })
    }
    if (this.#options.useCaptureTime) this.#options.recorder.add(ip, timeSec)
    else this.#options.recorder.add(ip)
  }

  #warnOfHeader(line: string): void {
    const nowMs = this.#options.clock.monotonicMs()
    if (nowMs - this.#headerWarnings.sinceMs >= MINUTE_MS) this.#headerWarnings = { sinceMs: nowMs, count: 0 }
    this.#headerWarnings.count += 1
    if (this.#headerWarnings.count <= MAX_HEADER_WARNINGS_PER_MINUTE)
      this.#options.logger.log('warning', line)
    else this.#rateLimited.log('header', 'warning', line)
  }

  #warnOfDirection(): void {
    if (this.#hasWarnedOfDirection) return
    this.#hasWarnedOfDirection = true
    this.#options.logger.log(
      'warning',
      'a packet has no direction: set the prefix "spamlogd-in" or "spamlogd-out" in the log rule, or name the outside interface with -i',
    )
  }
}
