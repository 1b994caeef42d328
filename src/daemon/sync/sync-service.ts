/**
 * Synchronisation of a running spamd: the socket, the sender and the receiver on it, the key that both use.
 * Documented in docs/protocol/sync.md.
 */
import type { Socket } from 'node:dgram'
import type { SyncStatus } from '../../app/control-protocol.js'
import { fingerprintOf, syncKeyWarning } from '../../app/sync/sync-key.js'
import {
  planSync,
  SYNC_GROUP,
  type SyncPlan,
  type SyncPlanParts,
  systemSyncPlanParts,
} from '../../app/sync/sync-plan.js'
import { SyncSender } from '../../app/sync/sync-sender.js'
import { openSyncSocket, receives } from '../../app/sync/sync-socket.js'
import { escapeControl } from '../../codec/escape.js'
import { syncKeyOf } from '../../codec/sync-message.js'
import { STATE_VERSION, stateKeyOf } from '../../codec/sync-state-message.js'
import { formatUtcTime } from '../../codec/utc-time.js'
import { type Network, parseCidr } from '../../ip/cidr.js'
import { AppError } from '../../platform/app-error.js'
import { reasonOf } from '../../platform/errno-text.js'
import { databaseFileOf, isPostgresLocation } from '../../platform/postgres-location.js'
import type { Settings } from '../../platform/settings.js'
import type { SyncAnnouncer } from '../seams.js'
import { ReplayFile } from './replay-file.js'
import { StateLink } from './state-link.js'
import { SyncApplier, showReceived } from './sync-applier.js'
import { type HeardPeer, SyncGate } from './sync-gate.js'
import type { SyncParts, SyncService } from './sync-parts.js'

/** Says nothing: what is announced before the start. */
const SILENT: SyncAnnouncer = {
  announceGrey: () => undefined,
  announceHost: () => undefined,
}

/** The parts of one daemon's synchronisation; `planParts` stand in for the system in tests. */
export function createSyncService(
  parts: SyncParts,
  planParts: SyncPlanParts = systemSyncPlanParts,
): SyncService {
  return new SpamdSync(parts, planParts)
}

class SpamdSync implements SyncService, SyncAnnouncer {
  readonly announcer: SyncAnnouncer = this
  readonly #parts: SyncParts
  readonly #planParts: SyncPlanParts
  #plan: SyncPlan | undefined
  #socket: Socket | undefined
  #sender: SyncSender | undefined
  #gate: SyncGate | undefined
  #applier: SyncApplier | undefined
  #key: Uint8Array = new Uint8Array(0)
  #keyFingerprint: string | undefined
  #stateKey: Uint8Array | undefined
  #replayFile: ReplayFile | undefined
  #state: StateLink | undefined

  constructor(parts: SyncParts, planParts: SyncPlanParts) {
    this.#parts = parts
    this.#planParts = planParts
  }

  announceGrey(tuple: Parameters<SyncAnnouncer['announceGrey']>[0]): void {
    this.#active.announceGrey(tuple)
  }

  announceHost(ip: string, entry: Parameters<SyncAnnouncer['announceHost']>[1]): void {
    this.#active.announceHost(ip, entry)
  }

  async start(): Promise<void> {
    const { config, clock, logger, debug, grey, policy } = this.#parts
    const { sync, settings } = config
    refuseVersion3OnServer(config)
    const plan = await planSync({ targets: sync.targets, listen: sync.listen }, this.#planParts)
    await this.#readFirstKey()
    this.#plan = plan
    if (grey !== undefined && sync.checksReplay) {
      this.#replayFile = new ReplayFile({
        path: `${databaseFileOf(settings)}-sync-replay`,
        onTrouble: (message) => logger.log('err', escapeControl(message)),
      })
    }
    const gate = new SyncGate({
      key: () => this.#key,
      ownAddress: plan.multicast?.interfaceAddress,
      peers: sync.peers.map(networkOfText),
      maxSkewSec: sync.maxSkewSec,
      checksReplay: sync.checksReplay,
      isTellingAll: (peerAddress) => sync.version === 3 || this.#state?.isTellingAll(peerAddress) === true,
      replayFile: this.#replayFile,
      onFloor: (floorSec) =>
        logger.log(
          'warning',
          `sync messages sent before ${formatUtcTime(floorSec)} are refused, since the clock went back and repeats could not be recognised; if the clock is right, run spamdctl accept-clock`,
        ),
      clock,
      debug,
    })
    const applier =
      grey &&
      new SyncApplier({
        useStore: grey.keeper.use,
        databasePath: settings.db,
        policy,
        greylister: grey.greylister,
        clock,
        logger,
        debug,
      })
    const port = settings.syncPort
    const socket = await openSyncSocket({
      plan,
      port,
      logger,
      ...(receives(plan)
        ? {
            onMessage: (datagram: Uint8Array, peerAddress: string) =>
              this.#receive(datagram, peerAddress, gate, applier),
          }
        : {}),
    })
    this.#socket = socket
    if (receives(plan)) {
      this.#gate = gate
      this.#applier = applier
    }
    const isSending = plan.peers.length > 0 || plan.multicast?.isSending === true
    if (isSending) this.#sender = this.#openSender(plan, socket)
    for (const { name, address } of plan.peers) {
      debug?.err(escapeControl(`added spam sync host ${name} (address ${address}, port ${port})`))
    }
    if (plan.multicast !== undefined) {
      const receiveWord = plan.multicast.isSending ? '' : 'receive '
      debug?.err(
        `using multicast spam sync ${receiveWord}mode (ttl ${plan.multicast.ttl}, group ${SYNC_GROUP}, port ${port})`,
      )
    }
    await this.#startState(plan, socket, gate, isSending)
  }

  /**
   * Version 3 needs a key, because unauthenticated hosts must not send whole entries, and a database that no other
   * gateway uses: it sends what the journal contains, and on a server that includes the changes of all gateways, each of
   * which would repeat them. In version 2 each gateway announces its own changes.
   */
  async #startState(plan: SyncPlan, socket: Socket, gate: SyncGate, isSending: boolean): Promise<void> {
    const { config, clock, logger, grey, policy } = this.#parts
    const { sync, settings } = config
    if (grey === undefined || this.#stateKey === undefined || sync.version === 2) return
    if (isPostgresLocation(settings.db)) return
    const state = new StateLink({
      socket,
      plan,
      port: settings.syncPort,
      group: SYNC_GROUP,
      sender: this.#sender,
      isReceiving: receives(plan),
      isSending,
      key: () => this.#stateKey,
      useStore: grey.keeper.use,
      policy,
      peers: sync.peers.map(networkOfText),
      maxSkewSec: sync.maxSkewSec,
      counters: gate.counters,
      clock,
      logger,
      gapFile: `${databaseFileOf(settings)}-sync-gap`,
    })
    await state.start()
    this.#state = state
  }

  async reload(): Promise<void> {
    await this.#readKey()
    await this.#sender?.resolveAgain()
    this.#state?.beat()
  }

  async stop(): Promise<void> {
    await this.#state?.stop()
    await this.#applier?.close()
    await this.#sender?.drained()
    this.#sender?.close()
    this.#sender = undefined
    this.#socket?.close()
    this.#socket = undefined
    this.#replayFile?.close()
  }

  /** Accepts messages again that were refused because the clock had been later; false if none were. */
  acceptClock(): boolean {
    return this.#gate?.acceptClock() ?? false
  }

  status(): SyncStatus {
    const multicast = this.#plan?.multicast
    return {
      listening: this.#plan?.listenAddress,
      multicast: multicast && {
        interface: multicast.interfaceName,
        ttl: multicast.ttl,
        group: SYNC_GROUP,
        sends: multicast.isSending,
        receives: multicast.isReceiving,
      },
      peers: this.#sender?.peers ?? [],
      keyFingerprint: this.#keyFingerprint,
      sent: this.#sender?.counters,
      received: this.#gate?.counters,
      heard: this.#gate && this.#heard(this.#gate.heard),
      entries: this.#applier?.counters,
      state: this.#state?.status(),
    }
  }

  /** By whatever version a gateway was heard last. */
  #heard(inVersion2: readonly HeardPeer[]): HeardPeer[] {
    const heard = new Map(inVersion2.map((peer) => [peer.address, peer]))
    for (const { address, lastSec, skewSec } of this.#state?.status().peers ?? []) {
      if (lastSec > (heard.get(address)?.lastSec ?? 0)) heard.set(address, { address, lastSec, skewSec })
    }
    return [...heard.values()]
  }

  // eslint-disable-next-line complexity -- a flat table: one number each
  statistics(): string[] {
    const { sent, received, entries, state } = this.status()
    const refused = Object.entries(received?.refused ?? {}).map(
      ([reason, count]) => `sync_refused_${reason.replaceAll(' ', '_')}=${count}`,
    )
    return [
      `sync_sent=${sent?.sent ?? 0}`,
      `sync_send_failed=${sent?.failed ?? 0}`,
      `sync_not_sent_ipv6=${sent?.ipv6 ?? 0}`,
      `sync_not_sent_too_long=${sent?.tooLong ?? 0}`,
      `sync_received=${received?.received ?? 0}`,
      `sync_applied=${entries?.applied ?? 0}`,
      `sync_ignored=${entries?.ignored ?? 0}`,
      `sync_dropped=${entries?.dropped ?? 0}`,
      ...refused,
      ...(state === undefined
        ? []
        : [
            `sync_records_sent=${state.sent.records}`,
            `sync_records_merged=${state.received.applied}`,
            `sync_gaps=${state.received.gaps}`,
          ]),
    ]
  }

  #openSender(plan: SyncPlan, socket: Socket): SyncSender {
    const { config, clock, logger, debug } = this.#parts
    const isOnly3 = config.sync.version === 3
    return new SyncSender({
      socket,
      port: config.settings.syncPort,
      key: () => this.#key,
      planParts: this.#planParts,
      clock,
      logger,
      debug,
      plan: isOnly3 ? { ...plan, multicast: undefined } : plan,
      isToldOtherwise: (address) => isOnly3 || this.#state?.isListener(address) === true,
    })
  }

  #receive(
    datagram: Uint8Array,
    peerAddress: string,
    gate: SyncGate,
    applier: SyncApplier | undefined,
  ): void {
    if (datagram[0] === STATE_VERSION) {
      if (this.#state === undefined) gate.passOver()
      else this.#state.take(datagram, peerAddress)
      return
    }
    const entries = gate.admit(datagram, peerAddress)
    for (const entry of entries ?? []) showReceived(this.#parts.debug, entry, peerAddress)
    if (entries !== undefined) applier?.take(entries, peerAddress)
  }

  get #active(): SyncAnnouncer {
    return this.#sender ?? SILENT
  }

  /**
   * Reads the key at startup. Without one, messages are exchanged as in the original, with a warning; the
   * caller may continue without synchronisation if it cannot be read (`ERR_SYNC_KEY`). --require-sync-key
   * refuses both.
   */
  async #readFirstKey(): Promise<void> {
    const { logger, config } = this.#parts
    const { key: path } = config.settings
    const hint = 'create one with "spamdctl sync-key"; every gateway needs the same file'
    try {
      await this.#readKey()
    } catch (error) {
      if (!config.sync.requiresKey) throw error
      throw new AppError('ERR_SYNC_INIT', reasonOf(error), {
        hint: error instanceof AppError ? error.hint : hint,
        cause: error,
      })
    }
    if (this.#keyFingerprint === undefined && config.sync.requiresKey) {
      throw new AppError('ERR_SYNC_INIT', `sync init: no synchronisation key in ${path}`, { hint })
    }
    const warning = syncKeyWarning(path)
    if (warning !== undefined) logger.log('warning', warning)
  }

  async #readKey(): Promise<void> {
    const { resources, logger } = this.#parts
    let content: Uint8Array | undefined
    try {
      content = await resources.readSyncKey()
    } catch (error) {
      logger.log('err', `failed to open sync key: ${escapeControl(reasonOf(error))}`)
      throw new AppError('ERR_SYNC_KEY', `sync init: ${reasonOf(error)}`, {
        hint: (error instanceof AppError ? error.hint : undefined) ?? keyHint(this.#parts.config.settings),
        cause: error,
      })
    }
    this.#key = syncKeyOf(content)
    this.#keyFingerprint = content && fingerprintOf(content)
    // The key of an empty file is known to everyone.
    this.#stateKey = content !== undefined && content.length > 0 ? stateKeyOf(content) : undefined
  }
}

function keyHint({ key, user }: Settings): string {
  return `root or ${user} must be able to read it: chown ${user} ${key}; then restart spamd`
}

function refuseVersion3OnServer({ sync, settings }: SyncParts['config']): void {
  if (sync.version !== 3 || !isPostgresLocation(settings.db)) return
  throw new AppError('ERR_SYNC_INIT', 'sync init: version 3 needs a database that no other gateway uses', {
    hint: 'with a database on a server use --sync-version 2: its gateways need no synchronisation among themselves',
  })
}

function networkOfText(text: string): Network {
  const network = parseCidr(text)
  if (network === undefined) throw new AppError('ERR_SYNC_INIT', `${text}: not a network`)
  return network
}
