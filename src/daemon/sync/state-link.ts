/**
 * Version 3 of the synchronisation in a running spamd: sender and receiver on the socket shared with version
 * 2, and the file whose change starts a pull when changes were missed. Documented in docs/protocol/sync.md.
 */
import type { Socket } from 'node:dgram'
import { writeFileSync } from 'node:fs'
import type { StatePeer, StateStatus } from '../../app/control-protocol.js'
import type { SyncPlan } from '../../app/sync/sync-plan.js'
import type { SyncSender } from '../../app/sync/sync-sender.js'
import { escapeControl } from '../../codec/escape.js'
import type { JournalRow, MergePolicy } from '../../db/store.js'
import type { Network } from '../../ip/cidr.js'
import type { Clock } from '../../platform/clock.js'
import { reasonOf } from '../../platform/errno-text.js'
import type { Logger } from '../../platform/log.js'
import { RateLimitedLog } from '../rate-limited-log.js'
import type { StoreAccess } from '../store/store-keeper.js'
import { StateGate } from './state-gate.js'
import { StateReceiver } from './state-receiver.js'
import { StateSender } from './state-sender.js'
import type { SyncGateCounters } from './sync-gate.js'

const CHECK_MS = 1000
/** The file is written again so often while something is missing. */
const RETELL_MS = 5 * 60_000
const OWNER_AND_GROUP = 0o640

export interface StateLinkOptions {
  socket: Socket
  plan: SyncPlan
  port: number
  group: string
  /** Present when version 2 is sent as well. */
  sender: SyncSender | undefined
  isReceiving: boolean
  isSending: boolean
  /** Undefined without a key file: this version is not spoken then. */
  key: () => Uint8Array | undefined
  useStore: StoreAccess
  policy: MergePolicy
  peers: readonly Network[]
  maxSkewSec: number
  counters: SyncGateCounters
  clock: Clock
  logger: Logger
  /** Written when changes of another gateway were missed; see systemd.path(5). */
  gapFile: string
}

export class StateLink {
  readonly #options: StateLinkOptions
  readonly #limited: RateLimitedLog
  readonly #receiver: StateReceiver
  readonly #sender: StateSender
  readonly #gate: StateGate
  #timer: NodeJS.Timeout | undefined
  #toldMs = Number.NEGATIVE_INFINITY
  #toldCount = 0

  constructor(options: StateLinkOptions) {
    const { useStore, policy, clock, key, peers, maxSkewSec, counters, logger } = options
    this.#options = options
    this.#limited = new RateLimitedLog(logger, clock)
    const onTrouble = (error: unknown): void => {
      const reason = escapeControl(reasonOf(error))
      this.#limited.log('sync-store', 'err', `synchronisation waits for the database: ${reason}`)
    }
    this.#receiver = new StateReceiver({
      useStore,
      policy,
      clock,
      onTrouble,
      onHeard: (address) => {
        logger.log('info', `synchronising with ${address} in version 3`, {
          event: 'sync-peer',
          peer: address,
        })
        this.#sender.beat()
      },
      onMissed: (peer) => this.#tellMissed(peer),
    })
    this.#sender = new StateSender({
      useStore,
      clock,
      key,
      onTrouble,
      hasListeners: () => this.#receiver.hasListeners,
      send: (datagram, to) => this.#send(datagram, to),
      onRows: (rows) => this.#announceUndone(rows),
    })
    const node = (): number => this.#sender.node
    this.#gate = new StateGate({ key, node, peers, maxSkewSec, clock, counters })
  }

  /** Reads how far gateways were followed, then listens and sends. */
  async start(): Promise<void> {
    for (const { node, number } of await this.#receiver.restore()) this.#gate.setFloor(node, number)
    if (this.#options.isSending) this.#sender.start()
    this.#timer = setInterval(() => {
      this.#receiver.check()
      void this.#receiver.refresh()
    }, CHECK_MS)
    this.#timer.unref()
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    if (this.#options.isSending) await this.#sender.stop()
    await this.#receiver.stop()
  }

  /** Says at once that we are here: the key may be another one. */
  beat(): void {
    this.#sender.beat()
  }

  /** Takes a datagram whose first byte is the version. */
  take(datagram: Uint8Array, peerAddress: string): void {
    const message = this.#gate.admit(datagram, peerAddress)
    if (message !== undefined) this.#receiver.take(message, peerAddress)
  }

  /** True for a gateway that gets everything in this version. */
  isListener(address: string): boolean {
    return this.#options.isSending && this.#receiver.isListener(address)
  }

  /** True for a gateway that says everything in this version. */
  isTellingAll(address: string): boolean {
    return this.#receiver.isTellingAll(address)
  }

  status(): StateStatus {
    const { messages, records, skippedChanges } = this.#sender.counters
    return {
      peers: this.#receiver.peers,
      sent: { messages, records, skippedChanges },
      received: this.#receiver.counters,
    }
  }

  #send(datagram: Uint8Array, to: 'listeners' | 'others'): void {
    const { socket, plan, port, group } = this.#options
    const addresses: string[] = []
    for (const { address } of this.#peersNow()) {
      if (this.#receiver.isListener(address) === (to === 'listeners')) addresses.push(address)
    }
    const isForGroup = this.#receiver.hasListeners === (to === 'listeners')
    if (plan.multicast?.isSending === true && isForGroup) addresses.push(group)
    for (const address of addresses) {
      socket.send(datagram, port, address, (error) => {
        if (error !== null) this.#options.logger.log('debug', `sync message not sent: ${reasonOf(error)}`)
      })
    }
  }

  /** Addresses change while we run: the sender of version 2 looks names up again. */
  #peersNow(): readonly { address: string }[] {
    return this.#options.sender?.peers ?? this.#options.plan.peers
  }

  /** Announces what `undo` restored to gateways of version 2, since no command with -Y does. */
  async #announceUndone(rows: readonly JournalRow[]): Promise<void> {
    const { sender, useStore } = this.#options
    if (sender === undefined) return
    const addresses = new Set<string>()
    for (const { key, rule } of rows) if (rule === 'undo' && key?.kind === 'host') addresses.add(key.ip)
    for (const ip of addresses) {
      const entry = await useStore((store) => store.get({ kind: 'host', ip }))
      sender.announceHost(ip, entry?.kind === 'WHITE' || entry?.kind === 'TRAPPED' ? entry : undefined)
    }
  }

  #tellMissed({ address, missingCount }: Readonly<StatePeer>): void {
    const { clock, gapFile, logger } = this.#options
    this.#limited.log(
      'sync-missed',
      'warning',
      `${missingCount} changes of ${address} were missed: fetch them with "spamdctl pull --since ${address}"`,
    )
    const isDue = clock.monotonicMs() - this.#toldMs >= RETELL_MS || this.#toldCount < missingCount
    if (!isDue) return
    this.#toldMs = clock.monotonicMs()
    this.#toldCount = missingCount
    try {
      writeFileSync(gapFile, `${address} ${missingCount}\n`, { mode: OWNER_AND_GROUP })
    } catch (error) {
      const reason = escapeControl(reasonOf(error))
      logger.log('err', `${gapFile}: ${reason}: no pull is started for missed changes`)
    }
  }
}
