/**
 * The SMTP side of spamd: accepts clients, decides how each is treated, and enforces limits and counts.
 * Listening sockets are opened elsewhere (by the privileged parent) and handed in.
 */
import type { Server, Socket } from 'node:net'
import { type SecureContext, TLSSocket } from 'node:tls'
import type { ConnectionSnapshot } from '../../app/control-protocol.js'
import { canonicalIp } from '../../ip/address.js'
import { isInNetwork, type Network } from '../../ip/cidr.js'
import type { Clock } from '../../platform/clock.js'
import { reasonOf } from '../../platform/errno-text.js'
import type { Logger } from '../../platform/log.js'
import type { DebugOutput } from '../debug-output.js'
import { RateLimitedLog } from '../rate-limited-log.js'
import type { BlockListLookup, GreylistSink } from '../seams.js'
import { Admission } from './admission.js'
import { formatBannerDate } from './banner-date.js'
import { connectedLine, disconnectedLine, formatListNames } from './connection-log.js'
import type {
  ConnectionParts,
  DialogueTotals,
  HostedConnection,
  SmtpCounters,
  SmtpOptions,
} from './connection-parts.js'
import { descriptorShortage, openForAMoment } from './descriptor-probe.js'
import { readProxyPreamble } from './proxy-preamble.js'
import { type ClientEndpoints, SmtpConnection } from './smtp-connection.js'
import type { DialogueSettings } from './smtp-session.js'
import { StutterWheel } from './stutter-wheel.js'

/** How often time-outs are looked for. */
const SWEEP_INTERVAL_MS = 1_000
/** How long accepting pauses when descriptors ran out. Source: spamd.c. */
const ACCEPT_PAUSE_MS = 1_000
/** Sockets that wait for their client to close; each lives two seconds at most. */
const MAX_LINGERING = 1_000
/** Lines of `spamdctl connections` at most; more than -c can hold on any system. */
const MAX_SNAPSHOT_ENTRIES = 100_000

export interface SmtpServerParts {
  options: SmtpOptions
  dialogue: DialogueSettings
  secureContext: SecureContext | undefined
  clock: Clock
  logger: Logger
  debug: DebugOutput
  lists: BlockListLookup
  /** Undefined with -b. */
  sink: GreylistSink | undefined
  /** --proxy-protocol: peers that speak the PROXY protocol, and only these. */
  proxyPeers: readonly Network[]
  /** Listening servers, opened again at each call: at the start and after a pause. */
  openListeners: () => Promise<Server[]>
  /** False for inherited sockets: closed, they are gone, so that accepting cannot pause. Default true. */
  canReopen?: boolean
  /** Throws the system's error when no descriptor is free; opens a file for a moment unless given (tests). */
  probeDescriptors?: () => void
  /** Real time between ticks of the stutter wheel, for clocks that run faster than time (tests). */
  tickMs?: number
}

export class SmtpServer implements ConnectionParts {
  readonly options: SmtpOptions
  readonly clock: Clock
  readonly logger: Logger
  readonly debug: DebugOutput
  readonly sink: GreylistSink | undefined
  readonly wheel: StutterWheel
  readonly counters: SmtpCounters = {
    accepted: 0,
    blackAccepted: 0,
    refusedFull: 0,
    refusedPerIp: 0,
    refusedPerNetwork: 0,
    refusedProxy: 0,
    acceptPauses: 0,
    timedOut: 0,
    overlong: 0,
    recipients: 0,
  }
  readonly dialogues: DialogueTotals = {
    endedCount: { black: 0, other: 0 },
    endedMs: { black: 0, other: 0 },
    stutterMs: 0,
    stutteredBytes: 0,
    stutterMsByList: new Map(),
    unlistedStutterMs: 0,
  }
  /** Clients by block list that held them when they connected; as many names as there are lists. */
  readonly listHits = new Map<string, number>()
  #dialogue: DialogueSettings
  #secureContext: SecureContext | undefined
  readonly #lists: BlockListLookup
  readonly #proxyPeers: readonly Network[]
  readonly #openListeners: () => Promise<Server[]>
  readonly #canReopen: boolean
  readonly #probe: () => void
  readonly #troubleLog: RateLimitedLog
  readonly #connections = new Set<SmtpConnection>()
  readonly #preambleSockets = new Set<Socket>()
  readonly #admission: Admission
  #servers: Server[] = []
  #blackCount = 0
  #nextId = 1
  #sweepTimer: NodeJS.Timeout | undefined
  #pauseTimer: NodeJS.Timeout | undefined
  #isClosing = false

  constructor(parts: SmtpServerParts) {
    this.options = parts.options
    this.clock = parts.clock
    this.logger = parts.logger
    this.debug = parts.debug
    this.sink = parts.sink
    this.#dialogue = parts.dialogue
    this.#secureContext = parts.secureContext
    this.#lists = parts.lists
    this.#proxyPeers = parts.proxyPeers
    this.#openListeners = parts.openListeners
    this.#canReopen = parts.canReopen ?? true
    this.#probe = parts.probeDescriptors ?? openForAMoment
    this.#troubleLog = new RateLimitedLog(parts.logger, parts.clock)
    this.wheel = new StutterWheel(parts.clock, parts.tickMs)
    const { maxConnections, maxPerIp } = parts.options
    const { counters } = this
    const { proxyPeers, clock, logger } = parts
    this.#admission = new Admission({ maxConnections, maxPerIp, proxyPeers, counters, clock, logger })
  }

  get dialogue(): DialogueSettings {
    return this.#dialogue
  }

  get secureContext(): SecureContext | undefined {
    return this.#secureContext
  }

  /** Connections with a dialogue going on, and how many of them are BLACK. */
  get counts(): { total: number; black: number } {
    return { total: this.#admission.openCount, black: this.#blackCount }
  }

  /** The sockets as they are bound; none while accepting pauses. */
  get addresses(): { address: string; port: number }[] {
    return this.#servers.flatMap((server) => {
      const bound = server.address()
      return bound === null || typeof bound === 'string' ? [] : { address: bound.address, port: bound.port }
    })
  }

  /** False while accepting pauses. */
  get isAccepting(): boolean {
    return this.#servers.length > 0
  }

  /** Opens the listening sockets and starts to accept; rejects when one cannot be opened. */
  async start(): Promise<void> {
    await this.#listen()
    this.#sweepTimer = setInterval(() => this.#sweep(), SWEEP_INTERVAL_MS)
  }

  /** New clients are treated by these from now on (SIGHUP). */
  reload(changes: { dialogue?: DialogueSettings; secureContext?: SecureContext | undefined }): void {
    if (changes.dialogue !== undefined) this.#dialogue = changes.dialogue
    if ('secureContext' in changes) this.#secureContext = changes.secureContext
  }

  /** Stops accepting and ends every connection. */
  close(): void {
    this.#isClosing = true
    clearInterval(this.#sweepTimer)
    clearTimeout(this.#pauseTimer)
    this.#closeServers()
    for (const socket of this.#preambleSockets) socket.destroy()
    for (const connection of this.#connections) connection.destroy()
    this.wheel.stop()
  }

  /** The live connections, oldest first. */
  snapshot(): ConnectionSnapshot[] {
    const nowMs = this.clock.monotonicMs()
    const result: ConnectionSnapshot[] = []
    for (const connection of this.#connections) {
      if (connection.phase === 'lingering') continue
      if (result.length >= MAX_SNAPSHOT_ENTRIES) break
      result.push({
        id: connection.id,
        ip: connection.clientIp,
        port: connection.clientPort,
        localIp: connection.destinationIp,
        class: connection.clientClass,
        state: connection.stateName,
        lists: connection.lists.map((list) => list.listName),
        ageSec: Math.floor((nowMs - connection.acceptedMs) / 1000),
        stutterSec: connection.stutterSec,
        tls: connection.isTls,
        bytesIn: connection.bytesRead,
        bytesOut: connection.bytesWritten,
      })
    }
    return result
  }

  isCrowded(): boolean {
    return this.#admission.isCrowded()
  }

  mayLinger(): boolean {
    return this.#connections.size - this.#admission.openCount < MAX_LINGERING
  }

  bannerDate(): string {
    return formatBannerDate(this.clock.nowSec())
  }

  secure(plain: Socket, context: SecureContext): Socket {
    return new TLSSocket(plain, { isServer: true, secureContext: context })
  }

  ended(connection: HostedConnection, listNames: string): void {
    if (connection.isBlack) this.#blackCount -= 1
    this.#admission.leave(connection.clientIp)
    const durationMs = this.clock.monotonicMs() - connection.acceptedMs
    const group = connection.isBlack ? 'black' : 'other'
    this.dialogues.endedCount[group] += 1
    this.dialogues.endedMs[group] += durationMs
    const durationSec = Math.floor(durationMs / 1000)
    this.logger.log(
      'info',
      disconnectedLine(connection.clientIp, durationSec, connection.isBlack ? listNames : undefined),
      {
        event: 'disconnected',
        ip: connection.clientIp,
        durationSec,
        lists: connection.isBlack ? listNames.trim() : undefined,
        bytesIn: connection.bytesRead,
        bytesOut: connection.bytesWritten,
      },
    )
    this.debug.out(`${connection.clientIp} connected for ${durationSec} seconds.`)
  }

  forget(connection: HostedConnection): void {
    this.#connections.delete(connection as SmtpConnection)
  }

  async #listen(): Promise<void> {
    const servers = await this.#openListeners()
    if (this.#isClosing) {
      for (const server of servers) server.close()
      return
    }
    this.#servers = servers
    for (const server of servers) {
      server.on('connection', (socket: Socket) => this.#accept(socket))
      server.on('error', (error) => this.#pauseAccepting(error))
    }
  }

  #accept(socket: Socket): void {
    // A client may end its side and still wait for replies.
    socket.allowHalfOpen = true
    const peerIp = plainAddress(socket.remoteAddress)
    if (this.#admission.isFull(peerIp, this.#preambleSockets.size)) {
      socket.destroy()
      return
    }
    const localIp = plainAddress(socket.localAddress)
    if (peerIp === undefined || localIp === undefined) {
      // The client has reset the connection already.
      socket.destroy()
      return
    }
    const endpoints = { clientIp: peerIp, clientPort: socket.remotePort ?? 0, destinationIp: localIp }
    if (this.#proxyPeers.some((network) => isInNetwork(peerIp, network))) {
      void this.#acceptProxied(socket, endpoints)
    } else {
      this.#open(socket, endpoints, undefined)
    }
  }

  async #acceptProxied(socket: Socket, endpoints: ClientEndpoints): Promise<void> {
    this.#preambleSockets.add(socket)
    const preamble = await readProxyPreamble(socket)
    this.#preambleSockets.delete(socket)
    if (!preamble.ok || socket.destroyed || this.#isClosing) {
      this.counters.refusedProxy += 1
      const reason = preamble.ok ? 'connection lost' : preamble.reason
      this.#troubleLog.log('proxy', 'warning', `${endpoints.clientIp}: proxied connection refused: ${reason}`)
      socket.destroy()
      return
    }
    const proxied = preamble.endpoints
    this.#open(
      socket,
      proxied === undefined
        ? endpoints
        : {
            clientIp: proxied.sourceIp,
            clientPort: proxied.sourcePort,
            destinationIp: proxied.destinationIp,
          },
      preamble.rest,
    )
  }

  #open(socket: Socket, endpoints: ClientEndpoints, early: Uint8Array | undefined): void {
    const { clientIp } = endpoints
    if (!this.#admission.enter(clientIp)) {
      socket.destroy()
      return
    }
    const lists = this.#lists.match(clientIp)
    const isBlack = lists.length > 0
    this.counters.accepted += 1
    if (isBlack) {
      this.#blackCount += 1
      this.counters.blackAccepted += 1
      for (const { listName } of lists) this.listHits.set(listName, (this.listHits.get(listName) ?? 0) + 1)
    }
    const client = {
      class: isBlack ? 'BLACK' : this.options.isBlackOnly ? 'OPEN' : 'GREY',
      lists,
    } as const
    const connection = new SmtpConnection(this, socket, this.#nextId, endpoints, client, this.#blackCount)
    this.#nextId += 1
    this.#connections.add(connection)
    const listNames = isBlack ? formatListNames(lists) : undefined
    this.logger.log('info', connectedLine(clientIp, this.counts, listNames), {
      event: 'connected',
      ip: clientIp,
      total: this.#admission.openCount,
      black: this.#blackCount,
      lists: listNames?.trim(),
    })
    connection.open(early)
  }

  #sweep(): void {
    const nowMs = this.clock.monotonicMs()
    const oldestMs = nowMs - this.options.maxSessionSec * 1000
    for (const connection of this.#connections) {
      if (connection.deadlineMs <= nowMs) connection.timeOut()
      else if (connection.acceptedMs < oldestMs) connection.endOverlong()
    }
    if (this.#servers.length > 0) this.#probeDescriptors()
  }

  /** The event loop silently drops clients when descriptors run out, so we check ourselves. */
  #probeDescriptors(): void {
    const shortage = descriptorShortage(this.#probe)
    if (shortage === undefined) this.#troubleLog.reset('descriptors')
    else this.#pauseAccepting(shortage)
  }

  #pauseAccepting(error: unknown): void {
    if (this.#pauseTimer !== undefined || this.#isClosing) return
    this.counters.acceptPauses += 1
    this.#troubleLog.log(
      'descriptors',
      'warning',
      this.#canReopen
        ? `not accepting for ${ACCEPT_PAUSE_MS / 1000} s: ${reasonOf(error)}`
        : `refusing clients: ${reasonOf(error)}`,
    )
    if (!this.#canReopen) return
    this.#closeServers()
    this.#scheduleListen()
  }

  #scheduleListen(): void {
    this.#pauseTimer = setTimeout(() => {
      this.#pauseTimer = undefined
      this.#listen().catch((error: unknown) => {
        this.#troubleLog.log('listen', 'err', `cannot accept again: ${reasonOf(error)}`)
        if (!this.#isClosing) this.#scheduleListen()
      })
    }, ACCEPT_PAUSE_MS)
  }

  #closeServers(): void {
    for (const server of this.#servers) server.close()
    this.#servers = []
  }
}

/** Canonical address without an interface scope (`fe80::1%eth0`), or undefined when there is none. */
function plainAddress(text: string | undefined): string | undefined {
  const [address = ''] = (text ?? '').split('%')
  return canonicalIp(address)
}
