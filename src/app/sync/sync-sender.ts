/**
 * Sends local events to the sync peers: each event one signed datagram, to the multicast group and to every
 * peer. Nothing is acknowledged; what cannot be sent is counted and dropped. Version 2 of the protocol has no
 * IPv6 entries; they are only counted.
 */
import type { Socket } from 'node:dgram'
import { isIPv4 } from 'node:net'
import { escapeControl } from '../../codec/escape.js'
import { encodeSyncMessage, type SyncEntry } from '../../codec/sync-message.js'
import type { HostEntry } from '../../domain/entry.js'
import { EXPIRE_NEVER } from '../../domain/times.js'
import { familyOf } from '../../ip/address.js'
import type { Clock } from '../../platform/clock.js'
import { reasonOf } from '../../platform/errno-text.js'
import type { Logger } from '../../platform/log.js'
import { SYNC_GROUP, type SyncPlan, type SyncPlanParts } from './sync-plan.js'

/** How often names are looked up again. */
const RESOLVE_INTERVAL_MS = 10 * 60 * 1000
/** After an error of sending, names are looked up again, but not more often than this. */
const RESOLVE_GAP_MS = 30_000
/**
 * A pinned entry, or one that lasts longer, is sent with the latest expiry that every receiver supports: the last second
 * of a signed 32-bit time.
 */
const FAR_EXPIRE_SEC = 0x7fffffff

export interface SyncSenderOptions {
  socket: Socket
  plan: SyncPlan
  port: number
  group?: string
  /** The HMAC key in force. */
  key: () => Uint8Array
  planParts: SyncPlanParts
  clock: Clock
  logger: Logger
  /** True for a peer that gets version 3. */
  isToldOtherwise?: ((address: string) => boolean) | undefined
  /** Takes the chatter of -d and -D, a line at a time. */
  debug?: { err(line: string): void } | undefined
}

/** Counted since the start. */
export interface SyncSenderCounters {
  /** Events that were announced; each may be several datagrams. */
  announced: number
  /** Datagrams handed to the system. */
  sent: number
  /** Datagrams that the system refused. */
  failed: number
  /** Events that fit in no message. */
  tooLong: number
  /** Events of IPv6 hosts, which version 2 cannot carry. */
  ipv6: number
}

interface PeerState {
  readonly name: string
  address: string
}

/** Satisfies `SyncAnnouncer` of the daemon. */
export class SyncSender {
  readonly counters: SyncSenderCounters = { announced: 0, sent: 0, failed: 0, tooLong: 0, ipv6: 0 }
  readonly #options: SyncSenderOptions
  readonly #group: string
  /** Last given first: the order in which the original sends. */
  readonly #peers: PeerState[]
  readonly #timer: NodeJS.Timeout | undefined
  #messageCounter = 0
  #resolvedMs: number
  #pendingCount = 0
  #onDrained: (() => void) | undefined

  constructor(options: SyncSenderOptions) {
    const { plan, clock } = options
    this.#options = options
    this.#group = options.group ?? SYNC_GROUP
    this.#peers = plan.peers.map(({ name, address }) => ({ name, address })).reverse()
    this.#resolvedMs = clock.monotonicMs()
    if (!plan.peers.some(({ name }) => !isIPv4(name))) return
    this.#timer = setInterval(() => void this.resolveAgain(), RESOLVE_INTERVAL_MS)
    this.#timer.unref()
  }

  /** Names and addresses in use, for the status. */
  get peers(): readonly Readonly<PeerState>[] {
    return this.#peers
  }

  announceGrey({ ip, helo, from, to }: { ip: string; helo: string; from: string; to: string }): void {
    this.#debugLine(`sync grey update helo ${helo} ip ${ip} from ${from} to ${to}`)
    this.#announce({ type: 'GREY', timestamp: this.#now(), ip, helo, from, to })
  }

  announceHost(ip: string, entry: Pick<HostEntry, 'kind' | 'expire'> | undefined): void {
    const timestamp = this.#now()
    if (entry === undefined) {
      // Receivers remove the address whatever its kind.
      this.#debugLine(`sync delete white ${ip}`)
      this.#announce({ type: 'DELETE-WHITE', timestamp, ip, expire: timestamp })
      return
    }
    const { kind, expire } = entry
    this.#debugLine(`sync ${kind.toLowerCase()} ${ip}`)
    const told = expire === EXPIRE_NEVER ? FAR_EXPIRE_SEC : Math.min(expire, FAR_EXPIRE_SEC)
    this.#announce({ type: kind, timestamp, ip, expire: told })
  }

  /** Resolves when everything announced so far was handed to the system, or refused by it. */
  async drained(): Promise<void> {
    if (this.#pendingCount === 0) return
    await new Promise<void>((resolve) => {
      this.#onDrained = resolve
    })
  }

  /** Looks the names of the peers up again; a name that has no address now keeps the one it had. */
  async resolveAgain(): Promise<void> {
    const { planParts, clock, logger } = this.#options
    this.#resolvedMs = clock.monotonicMs()
    for (const peer of this.#peers) {
      if (isIPv4(peer.name)) continue
      const address = await planParts.resolve(peer.name)
      if (address === undefined || address === peer.address) continue
      logger.log(
        'info',
        `spam sync host ${escapeControl(peer.name)} moved from ${peer.address} to ${address}`,
      )
      peer.address = address
    }
  }

  /** Stops looking names up. The socket is its owner's to close. */
  close(): void {
    clearInterval(this.#timer)
  }

  #announce(entry: SyncEntry): void {
    if (familyOf(entry.ip) !== 4) {
      this.counters.ipv6 += 1
      return
    }
    const message = encodeSyncMessage(this.#messageCounter, entry, this.#options.key())
    if (message === undefined) {
      this.counters.tooLong += 1
      this.#options.logger.log('debug', `sync message for ${entry.ip} is too long and not sent`)
      return
    }
    this.#messageCounter = (this.#messageCounter + 1) >>> 0
    this.counters.announced += 1
    if (this.#options.plan.multicast?.isSending === true) {
      this.#options.debug?.err('sending multicast sync message')
      this.#send(message, this.#group)
    }
    for (const { name, address } of this.#peers) {
      if (this.#options.isToldOtherwise?.(address) === true) continue
      this.#debugLine(`sending sync message to ${name} (${address})`)
      this.#send(message, address)
    }
  }

  #send(message: Uint8Array, address: string): void {
    this.#pendingCount += 1
    this.#options.socket.send(message, this.#options.port, address, this.#afterSend)
  }

  readonly #afterSend = (error: Error | null): void => {
    this.#pendingCount -= 1
    if (error === null) this.counters.sent += 1
    else {
      this.counters.failed += 1
      const { logger, clock } = this.#options
      logger.log('debug', `sync message not sent: ${reasonOf(error)}`)
      if (clock.monotonicMs() - this.#resolvedMs >= RESOLVE_GAP_MS) void this.resolveAgain()
    }
    if (this.#pendingCount === 0) this.#onDrained?.()
  }

  #now(): number {
    return this.#options.clock.nowSec()
  }

  #debugLine(line: string): void {
    this.#options.debug?.err(escapeControl(line))
  }
}
