/**
 * Replays one transcript with our daemon. The models give the expected results; a model may differ from the
 * transcript only where a named difference applies, and our daemon must always equal the model.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import type { SpamdConfig } from '../../../src/app/spamd-config.js'
import { parseSpamdOptions } from '../../../src/cli/spamd/parse-spamd-options.js'
import { openStore } from '../../../src/db/open-store.js'
import type { ManualEdit, Store } from '../../../src/db/store.js'
import type { Entry } from '../../../src/domain/entry.js'
import { ManualClock } from '../manual-clock.js'
import { ConfigModel } from './config-model.js'
import { DialogueModel } from './dialogue-model.js'
import { type GreyLines, GreyModel } from './grey-model.js'
import type { SpamdRecord, Step } from './record.js'
import { SyncPeers, splitSyncLines } from './sync-peers.js'
import { TestClient } from './test-client.js'
import { createTestDaemon, daemonEnvironment, type TestDaemon } from './test-daemon.js'
import { waitFor } from './wait-for.js'

const EPOCH = 1_700_000_000
/** The mark of a spamtrap in a record. */
const SPAMTRAP_PCOUNT = -2
const TRAP_LIST = 'spamd-greytrap'
const TRAP_MESSAGE = 'Your address %A has mailed to spamtraps here\\n'
const CTIME = /[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}/
/** How much longer a date is than its placeholder. */
const CTIME_LENGTH = 24 - '{CTIME}'.length
/** Size of the original's reply buffer. */
const LONGEST_BANNER = 8191
/** Lines of the periodic scan, whose time depends on when the original scanned. */
const SCAN_OUT = /^(whitelisted |(adding|replacing|clearing) list spamd-greytrap|configure_pf )/
const SCAN_SYSLOG = /^DEBUG (queueing |whitelisting |\S+ blacklisted, removing)/
/** Log lines that the original does not have. */
const OUR_SYSLOG =
  /^(WARNING no synchronisation key in|WARNING the synchronisation key|DEBUG tuple of \S+ not recorded|INFO \S+ is new and holds no WHITE addresses|WARNING bad config line|INFO reloaded)/
/** Texts of a TLS library. */
const PLATFORM_OUT = /^spamd: read: /

interface ClientState {
  client: TestClient
  model: DialogueModel
  ip: string
  destination: string
  listNames: string | undefined
  acceptedSec: number
  isTlsExpected: boolean
}

/** A clock that runs `factor` times as fast as time. */
class FastClock extends ManualClock {
  readonly #factor: number
  readonly #startMs = performance.now()
  constructor(factor: number) {
    super()
    this.#factor = factor
  }
  override monotonicMs(): number {
    return (performance.now() - this.#startMs) * this.#factor
  }
  override nowSec(): number {
    return EPOCH + Math.floor(this.monotonicMs() / 1000)
  }
}

/**
 * Replays one transcript of mode `run`. Fails with an assertion; resolves with the names of the differences that
 * applied.
 */
export async function replay(record: SpamdRecord, folder: string): Promise<string[]> {
  if (hasStrayWord(record)) return ['stray-word']
  const peers = await SyncPeers.open(record)
  const run = new Replay(record, folder, peers)
  try {
    await run.start()
    for (const [index, step] of record.steps.entries()) await run.step(step, index)
    return run.finish()
  } finally {
    await run.stop()
    peers.close()
  }
}

/** Our spamd refuses a call that the original ran. */
function hasStrayWord(record: SpamdRecord): boolean {
  const parsed = parseSpamdOptions(
    record.argv.map((word) => expandTools(word)),
    { hostname: 'host.example', maxFiles: 7030, environment: {} },
  )
  return !parsed.ok && /^spamd: unexpected argument ".*"\n/.test(parsed.stderr)
}

class Replay {
  readonly #record: SpamdRecord
  readonly #config: SpamdConfig
  readonly #clock: ManualClock
  readonly #daemon: TestDaemon
  readonly #lists = new ConfigModel()
  readonly #grey: GreyModel
  readonly #clients = new Map<string, ClientState>()
  readonly #differences = new Set<string>()
  readonly #peers: SyncPeers
  readonly #isFast: boolean
  #seenOut = 0
  #seenSyslog = 0
  #expectedOut: string[] = []
  #expectedSyslog: string[] = []
  readonly #scanExpected = new Set<string>()
  readonly #scanSeen = new Set<string>()
  #store: Store | undefined

  constructor(record: SpamdRecord, folder: string, peers: SyncPeers) {
    this.#record = record
    this.#peers = peers
    const argv = record.argv.map((word) => expandTools(word))
    const parsed = parseSpamdOptions(argv, {
      hostname: 'host.example',
      maxFiles: 7030,
      environment: { ...daemonEnvironment(folder), SPAMD_SYNC_PORT: String(peers.port) },
    })
    if (!parsed.ok) throw new Error(parsed.stderr)
    this.#config = parsed.config
    const speed = Number(record.env['@speed'] ?? 0)
    this.#isFast = speed > 0
    this.#clock = this.#isFast ? new FastClock(speed) : new ManualClock()
    this.#daemon = createTestDaemon(this.#config, this.#clock, {
      // The original notices changes at a scan.
      followsChanges: false,
      ...(this.#isFast ? { tickMs: 1 } : {}),
    })
    for (const [name, content] of Object.entries(record.files)) {
      writeFileSync(join(folder, name), Buffer.from(content, 'latin1'))
    }
    this.#grey = new GreyModel(
      {
        passSec: this.#config.passSec,
        greyExpireSec: this.#config.greyExpireSec,
        whiteExpireSec: this.#config.whiteExpireSec,
        trapExpireSec: this.#config.trapExpireSec,
        allowedSuffixes: suffixesOf(record.files.alloweddomains),
        lowPriorityMx: this.#config.lowPriorityMx,
      },
      this.#config.settings.db,
      (ip) => this.#lists.match(ip).some(({ name }) => name !== TRAP_LIST),
    )
  }

  async start(): Promise<void> {
    this.#store = await openStore(this.#config.settings.db, {
      mode: 'write',
      create: true,
      durability: 'normal',
    })
    await this.#putEntries()
    await this.#daemon.service.start()
    await this.#daemon.service.scanner?.scan()
  }

  async stop(): Promise<void> {
    for (const { client } of this.#clients.values()) client.close()
    await this.#daemon.service.stop()
    await this.#store?.close()
  }

  async step(step: Step, index: number): Promise<void> {
    const label = `${this.#record.id} step ${index} (${step.op} ${JSON.stringify(step.data ?? '').slice(0, 60)})`
    this.#expectedOut = []
    this.#expectedSyslog = []
    switch (step.op) {
      case 'started':
        this.#expectStarted()
        break
      case 'conn':
        if (step.exception === undefined) await this.#connect(step, label)
        break
      case 'connd':
        await expect(this.#open({ ...step, dst: '127.0.0.2', src: '127.0.0.1' }), label).rejects.toThrow(
          'ECONNREFUSED',
        )
        return
      case 'send':
        if (step.exception === undefined) await this.#send(step, label)
        break
      case 'close':
        await this.#close(step)
        break
      case 'tls': {
        const state = this.#clients.get(step.client!)
        if (state === undefined) break
        expect(await state.client.startTls(), label).toBe(step.version)
        state.model.startTls()
        state.isTlsExpected = false
        break
      }
      case 'cfg':
        await this.#configure(step, label)
        break
      case 'udp':
        this.#receive(step)
        await this.#peers.send(step)
        break
      case 'cfgu':
        await this.#configureUnprivileged(step, label)
        break
      case 'time':
        this.#clock.advance(step.advance!)
        break
      case 'scan':
        await this.#scan()
        return
      case 'spamdb':
        await this.#spamdb(step, label)
        return
      case 'pf':
        this.#comparePf(step, label)
        return
      default:
        throw new Error(`unknown operation ${step.op}`)
    }
    await this.#compareLines(step, label)
    await this.#peers.compareSent(step, label)
  }

  /** Applies a peer's datagram to the model. */
  #receive(step: Step): void {
    const lines = this.#peers.receive(step, this.#grey, this.#nowSec)
    for (const difference of this.#peers.differences) this.#differences.add(difference)
    this.#expectedOut.push(...lines.out.map(showControls))
    this.#expectedSyslog.push(...lines.syslog)
    for (const grey of lines.grey) this.#expectGrey(grey)
  }

  /** Compares the results of the whole transcript; returns the differences that applied, sorted. */
  finish(): string[] {
    this.#takeOut()
    this.#takeSyslog()
    if (!this.#config.isBlackOnly) {
      expect([...this.#scanSeen].sort(), `${this.#record.id} scan lines`).toEqual(
        [...this.#scanExpected].sort(),
      )
    }
    if (isDamaged(this.#record)) this.#differences.add('damaged-record')
    return [...this.#differences].sort()
  }

  get #nowSec(): number {
    return this.#clock.nowSec() - EPOCH
  }

  #expectStarted(): void {
    this.#expectedOut.push(...this.#peers.startLines(), 'listening for incoming connections.')
    this.#expectedSyslog.push('WARNING listening for incoming connections.')
    if (hasLongSuffix(this.#record.files.alloweddomains)) {
      this.#expectedSyslog.push(`ERR line too long in ${this.#config.settings.allowedDomains} - file ignored`)
    }
    for (const suffix of suffixesOf(this.#record.files.alloweddomains) ?? []) {
      this.#expectedSyslog.push(`INFO got suffix ${suffix}`)
    }
    if (!this.#config.isBlackOnly) this.#modelScan()
  }

  async #connect(step: Step, label: string): Promise<void> {
    const lists = this.#lists.match(step.src!)
    if (lists.length > 1) this.#differences.add('all-lists')
    if (lists.some(hasOverlap)) this.#differences.add('overlap')
    if (lists.some(hasMapped)) this.#differences.add('mapped-is-ipv4')
    const state: ClientState = {
      client: await this.#open(step),
      model: new DialogueModel(
        {
          hostname: this.#config.hostname,
          isBlackOnly: this.#config.isBlackOnly,
          code: String(this.#config.listReplyCode),
          offersTls: this.#config.tls !== undefined,
        },
        step.src!,
        lists,
      ),
      ip: step.src!,
      destination: step.dst!,
      listNames: lists.length === 0 ? undefined : namesText(lists.map(({ name }) => showControls(name))),
      acceptedSec: this.#nowSec,
      isTlsExpected: false,
    }
    if (this.#openClients().length >= this.#config.maxConnections) {
      // No slot is free: closed at once, without reply and log.
      expect(step.recv, `${label}: the transcript`).toBe('')
      state.model.isClosed = true
      this.#clients.set(step.client!, state)
      await this.#compareReply(state, '', true, label)
      return
    }
    this.#clients.set(step.client!, state)
    const open = this.#openClients()
    const black = open.filter(({ listNames }) => listNames !== undefined).length
    const suffix = state.listNames === undefined ? '' : `, lists:${state.listNames}`
    this.#expectedSyslog.push(`INFO ${step.src}: connected (${open.length}/${black})${suffix}`)
    const banner = `220 ${this.#config.hostname} ESMTP ${this.#config.bannerName}; {CTIME}\r\n`
    if (banner.length + CTIME_LENGTH > LONGEST_BANNER) this.#differences.add('banner-uncut')
    else expect(step.recv, `${label}: the transcript's banner`).toBe(banner)
    await this.#compareReply(state, banner, false, label)
  }

  #openClients(): ClientState[] {
    return [...this.#clients.values()].filter(({ model }) => !model.isClosed)
  }

  #open(step: Step): Promise<TestClient> {
    expect(step.port ?? 8025).toBe(this.#config.settings.port)
    return TestClient.open({
      host: step.dst!,
      port: this.#daemon.resources.smtpPort,
      localAddress: step.src!,
    })
  }

  async #send(step: Step, label: string): Promise<void> {
    const state = this.#clients.get(step.client!)
    if (state === undefined) return
    const data = step.data as string
    if (state.model.isClosed) {
      // Commands that the original loses may already have ended our dialogue.
      if (this.#differences.size === 0) expect(step.eof, label).toBeTruthy()
      return
    }
    state.client.send(data)
    if (state.isTlsExpected) {
      state.model.isClosed = true
      this.#expectDisconnected(state)
      await waitFor(
        () => state.client.hasEnded,
        () => `${label}: end after a failed handshake`,
      )
      expect(state.client.take(), label).not.toMatch(/[0-9]{3}[ -]/)
      return
    }
    const wanted = state.model.receive(data)
    const isDifferent = state.model.differences.size > 0 || this.#differences.size > 0
    if (!isDifferent) {
      expect(wanted.reply, `${label}: model and transcript`).toBe(step.recv)
      expect(wanted.isClosed, `${label}: model and transcript`).toBe(Boolean(step.eof))
    }
    for (const difference of state.model.differences) this.#differences.add(difference)
    if (wanted.reply.startsWith('220 glad')) state.isTlsExpected = true
    for (const event of wanted.events) this.#expectEvent(state, event)
    if (wanted.isClosed) this.#expectDisconnected(state)
    await this.#compareReply(state, wanted.reply, wanted.isClosed, label)
  }

  #expectEvent(state: ClientState, event: { type: string; texts: string[] }): void {
    const isVerbose = this.#config.isVerbose
    const texts = event.texts.map(showControls)
    if (event.type === 'recipient') {
      const [helo = '', from = '', to = ''] = event.texts
      const text = `(${state.listNames === undefined ? 'GREY' : 'BLACK'}) ${state.ip}: ${texts[1]} -> ${texts[2]}`
      this.#expectedOut.push(text)
      if (isVerbose) this.#expectedSyslog.push(`INFO ${text}`)
      if (state.listNames === undefined && !this.#config.isBlackOnly) {
        const lines = this.#grey.submit(state.ip, helo, from, to, this.#nowSec, state.destination)
        this.#expectGrey(lines)
        const tuple = { ip: state.ip, helo, from, to }
        const sync = this.#peers.announce(tuple, lines, this.#config.trapExpireSec, this.#nowSec)
        for (const difference of this.#peers.differences) this.#differences.add(difference)
        this.#expectedOut.push(...sync.out.map(showControls))
        this.#expectedSyslog.push(...sync.syslog.map(showControls))
      }
    } else if (isVerbose) {
      this.#expectedSyslog.push(
        event.type === 'header' ? `INFO ${state.ip}: ${texts[0]}` : `DEBUG ${state.ip}: Body: ${texts[0]}`,
      )
    }
  }

  #expectGrey(lines: GreyLines): void {
    for (const difference of this.#grey.differences) this.#differences.add(difference)
    this.#expectedOut.push(...lines.out.map(showControls))
    this.#expectedSyslog.push(...lines.syslog.map(showControls))
    for (const line of [...lines.scanOut, ...lines.scanSyslog]) this.#scanExpected.add(showControls(line))
  }

  #expectDisconnected(state: ClientState): void {
    const seconds = this.#nowSec - state.acceptedSec
    this.#expectedOut.push(`${state.ip} connected for ${seconds} seconds.`)
    const lists = state.listNames === undefined ? '' : ` lists:${state.listNames}`
    this.#expectedSyslog.push(`INFO ${state.ip}: disconnected after ${seconds} seconds.${lists}`)
  }

  async #compareReply(state: ClientState, reply: string, isClosed: boolean, label: string): Promise<void> {
    const { client } = state
    const length = reply.replace('{CTIME}', 'x'.repeat(24)).length
    await waitFor(
      () =>
        (client.received.length - client.seen >= length && (!isClosed || client.hasEnded)) || client.hasEnded,
      () => `${label}: ${JSON.stringify(reply)}, read ${JSON.stringify(client.received.slice(client.seen))}`,
    )
    if (reply === '' && !isClosed) await this.#consumed(state, label)
    expect(client.take().replace(CTIME, '{CTIME}'), label).toBe(reply)
    expect(client.hasEnded, `${label}: end of connection`).toBe(isClosed)
  }

  /** Waits until the daemon has read everything that the client sent. */
  async #consumed(state: ClientState, label: string): Promise<void> {
    const { client } = state
    if (client.sentBytes === 0) return
    await waitFor(
      () => this.#connectionOf(state)?.bytesIn === client.sentBytes,
      () => `${label}: the daemon to read ${client.sentBytes} bytes`,
    )
  }

  #connectionOf(state: ClientState) {
    return this.#daemon.service.smtp
      .snapshot()
      .find(({ ip, port }) => ip === state.ip && port === state.client.localPort)
  }

  async #close(step: Step): Promise<void> {
    const state = this.#clients.get(step.client!)
    if (state === undefined) return
    if (!state.model.isClosed) {
      state.model.isClosed = true
      this.#expectDisconnected(state)
    }
    state.client.close()
    this.#clients.delete(step.client!)
  }

  async #configure(step: Step, label: string): Promise<void> {
    const pieces = [step.data ?? ''].flat()
    const outcomes = this.#lists.apply(pieces.join(''))
    const recorded = withoutScan(step.out ?? [])
    const acceptedCount = recorded.filter((line) => /^(adding|replacing) list/.test(line)).length
    const failedCount = recorded.filter((line) => line.startsWith('sdl_add: parse error')).length
    const wantedCount = outcomes.filter((outcome) => outcome === 'replaced').length
    const isSame = acceptedCount - failedCount === wantedCount && !this.#record.ub && !this.#lists.departs
    if (!isSame) this.#differences.add('config-rule')
    if (failedCount > 0) this.#differences.add('bad-address')
    const { debug, resources } = this.#daemon
    const before = debug.lines.length
    const client = await TestClient.open({
      host: '127.0.0.1',
      port: resources.configPort,
      localPort: freeReservedPort(),
    })
    let sent = 0
    for (const piece of pieces) {
      client.send(piece)
      sent += piece.length
      await waitFor(
        () => readBytes(debug.lines.slice(before)) === sent,
        () => `${label}: config bytes`,
      )
    }
    client.end()
    await waitFor(
      () => client.hasEnded,
      () => `${label}: end of configuration`,
    )
    expect(client.received, label).toBe('')
    const ours = mergeReads(withoutScan(debug.lines.slice(before).map(({ line }) => line)))
    this.#seenOut = debug.lines.length
    // Some recordings leave out the addresses.
    const showsAddresses = recorded.some((line) => line.startsWith('added '))
    const compared = showsAddresses ? ours : ours.filter((line) => !line.startsWith('added '))
    if (isSame) {
      expect(compared.map(canonicalAdded), label).toEqual(
        mergeReads(recorded).map(showControls).map(canonicalAdded),
      )
    }
    expect(
      this.#daemon.service.blockLists
        .summaries()
        .filter(({ entryCount }) => entryCount > 0)
        .map(({ name }) => name),
      `${label}: lists`,
    ).toEqual(this.#lists.lists.filter(({ ranges }) => ranges.length > 0).map(({ name }) => name))
    step.out = []
  }

  async #configureUnprivileged(step: Step, label: string): Promise<void> {
    const client = await TestClient.open({ host: '127.0.0.1', port: this.#daemon.resources.configPort })
    client.send(step.data as string)
    await waitFor(
      () => client.hasEnded,
      () => `${label}: end of an unprivileged connection`,
    )
    expect(client.received, label).toBe('')
    client.close()
  }

  async #scan(): Promise<void> {
    await this.#daemon.service.scanner?.scan()
    this.#modelScan()
  }

  #modelScan(): void {
    const lines = this.#grey.scan(this.#nowSec)
    this.#expectGrey(lines)
    const trapped = this.#grey.trapped()
    const known = this.#lists.lists.find(({ name }) => name === TRAP_LIST)
    if (trapped.length > 0) {
      this.#scanExpected.add(
        known === undefined
          ? `adding list ${TRAP_LIST}; ${trapped.length} entries`
          : `replacing list ${TRAP_LIST}; ${trapped.length} new entries`,
      )
      this.#lists.put(
        TRAP_LIST,
        TRAP_MESSAGE,
        trapped.map((ip) => `${ip}/${ip.includes(':') ? 128 : 32}`),
      )
    } else if (known !== undefined) {
      this.#scanExpected.add(`clearing list ${TRAP_LIST}`)
      known.ranges = []
    }
  }

  async #spamdb(step: Step, label: string): Promise<void> {
    const argv = step.argv ?? []
    const flags = argv.filter((word) => word.startsWith('-')).join('')
    const keys = argv.filter((word) => !word.startsWith('-'))
    if (flags !== '') {
      await this.#store!.edit(
        keys.map((key) => editOf(flags, key)),
        EPOCH + this.#nowSec,
      )
      for (const key of keys) this.#modelEdit(flags, key)
      return
    }
    await waitFor(
      () => (this.#daemon.service.greylister?.waitingCount !== 0) === false,
      () => `${label}: tuples`,
    )
    const chunks: Uint8Array[] = []
    for await (const chunk of this.#store!.listText()) chunks.push(chunk)
    const ours = Buffer.concat(chunks)
      .toString('latin1')
      .split('\n')
      .filter((line) => line !== '')
      .map(relativeTimes)
      .sort()
    const wanted = this.#config.isBlackOnly ? [] : this.#grey.listing()
    expect(ours, label).toEqual(wanted.map((line) => showControls(line)))
    const recorded = [...(step.stdout ?? [])].sort()
    if (JSON.stringify(recorded) !== JSON.stringify(wanted)) this.#explain(recorded, wanted, label)
  }

  /** A listing may differ from the transcript's by the named corrections of the greylister only. */
  #explain(recorded: string[], wanted: string[], label: string): void {
    const whiteIps = new Set(
      wanted.filter((line) => line.startsWith('WHITE|')).map((line) => line.split('|')[1]),
    )
    const trappedIps = new Set(
      wanted.filter((line) => line.startsWith('TRAPPED|')).map((line) => line.split('|')[1]),
    )
    const isPromotion = (line: string): boolean => {
      const ip = line.split('|')[1] ?? ''
      return (whiteIps.has(ip) || this.#grey.hasPromotedTuple(ip)) && /^(GREY|WHITE)\|/.test(line)
    }
    const isTrapTime = (line: string): boolean => trappedIps.has(line.split('|')[1])
    const isIpv6 = (line: string): boolean => line.split('|')[1]!.includes(':')
    const isImpossible = this.#record.db.some((put) => !isStorable(put))
    const isElsewhere = this.#differences.size > 0
    const differing = [
      ...recorded.filter((line) => !wanted.includes(line)),
      ...wanted.filter((line) => !recorded.includes(line)),
    ]
    const unexplained = differing.filter(
      (line) => !isPromotion(line) && !isTrapTime(line) && !isIpv6(line) && !isImpossible && !isElsewhere,
    )
    if (differing.some(isPromotion)) this.#differences.add('promoted-at-retry')
    else if (differing.some(isTrapTime)) this.#differences.add('trap-time')
    else if (differing.some(isIpv6)) this.#differences.add('ipv6')
    expect(unexplained, `${label}: differences without a name`).toEqual([])
  }

  #modelEdit(flags: string, key: string): void {
    const now = this.#nowSec
    const { hosts, tuples, spamtraps } = this.#grey
    if (flags.includes('T')) {
      if (flags.includes('d')) spamtraps.delete(key.toLowerCase())
      else spamtraps.add(key.toLowerCase())
    } else if (flags.includes('G')) {
      const [oldest, ...others] = [...tuples]
        .filter(([tuple]) => tuple.startsWith(`${key}\n`))
        .sort(([one, a], [other, b]) => a.first - b.first || (one < other ? -1 : 1))
      if (oldest !== undefined) tuples.delete(oldest[0])
      if (others.length > 0) this.#differences.add('oldest-tuple')
    } else if (flags.includes('d')) hosts.delete(key)
    else {
      const known = hosts.get(key)
      const isTrap = flags.includes('t')
      const expire = now + (isTrap ? 86_400 : 3_110_400)
      hosts.set(key, {
        first: known?.first ?? now,
        pass: now,
        expire,
        bcount: known?.bcount ?? 1,
        pcount: isTrap ? -1 : (known?.pcount ?? -1) + 1,
      })
    }
  }

  #comparePf(step: Step, label: string): void {
    const table = [...(this.#daemon.firewall.tables.get('spamd-white') ?? [])].sort()
    expect(table, label).toEqual(this.#grey.whiteTable(this.#nowSec))
    const recorded = [
      ...new Set((step.pfctl_last?.stdin ?? '').split('\n').filter((line) => line !== '')),
    ].sort()
    const ipv4 = table.filter((line) => !line.includes(':'))
    if (this.#differences.size === 0 && !isDamaged(this.#record))
      expect(ipv4, `${label}: transcript`).toEqual(recorded)
  }

  async #compareLines(step: Step, label: string): Promise<void> {
    const { debug, logger } = this.#daemon
    if (this.#isFast) {
      // Durations depend on the speed of the recording.
      debug.lines.length = 0
      logger.lines.length = 0
      return
    }
    const ours: { out: string[]; syslog: string[] } = { out: [], syslog: [] }
    await waitFor(
      () => {
        ours.out.push(...this.#takeOut())
        ours.syslog.push(...this.#takeSyslog())
        return (
          ours.out.length >= this.#expectedOut.length && ours.syslog.length >= this.#expectedSyslog.length
        )
      },
      () =>
        `${label}: lines ${JSON.stringify([this.#expectedOut, this.#expectedSyslog])}, got ${JSON.stringify(ours)}`,
    )
    expect(ours.out.sort(), `${label}: output`).toEqual([...this.#expectedOut].sort())
    expect(ours.syslog.sort(), `${label}: log`).toEqual([...this.#expectedSyslog].sort())
    if (this.#differences.size > 0 || isDamaged(this.#record)) return
    const recordedOut = splitSyncLines(withoutScan(step.out ?? []))
      .filter((line) => !PLATFORM_OUT.test(line) && !isTrapAddress(line, step))
      .map((line) => line.replace(/ port 8025\)$/, ` port ${this.#peers.port})`))
    // The original prints the suffixes before the line that makes it ignore the file.
    const isFileIgnored = hasLongSuffix(this.#record.files.alloweddomains)
    const recordedSyslog = joinLines(step.syslog ?? [])
      .filter((line) => !SCAN_SYSLOG.test(line) && !(isFileIgnored && line.startsWith('ERR got suffix ')))
      .map((line) => line.replace('{DIR}/alloweddomains', this.#config.settings.allowedDomains))
      .map((line) => line.replace(/^ERR (got suffix)/, 'INFO $1'))
      .map((line) => line.replace(/\{T\+([0-9]+)\}$/, (_all, offset) => String(EPOCH + Number(offset))))
    expect(ours.out, `${label}: output of the transcript`).toEqual(recordedOut.map(showControls).sort())
    expect(ours.syslog, `${label}: log of the transcript`).toEqual(recordedSyslog.map(showControls).sort())
  }

  /** New lines on stdout and stderr, without those of the scan. */
  #takeOut(): string[] {
    const lines = this.#daemon.debug.lines.slice(this.#seenOut).map(({ line }) => line)
    this.#seenOut = this.#daemon.debug.lines.length
    for (const line of lines) if (SCAN_OUT.test(line)) this.#scanSeen.add(line)
    return withoutScan(lines)
  }

  #takeSyslog(): string[] {
    const lines = this.#daemon.logger.lines
      .slice(this.#seenSyslog)
      .map(({ level, message }) => `${level.toUpperCase()} ${message}`)
    this.#seenSyslog = this.#daemon.logger.lines.length
    for (const line of lines) if (SCAN_SYSLOG.test(line)) this.#scanSeen.add(line)
    return lines.filter((line) => !SCAN_SYSLOG.test(line) && !OUR_SYSLOG.test(line))
  }

  async #putEntries(): Promise<void> {
    const entries: Entry[] = []
    for (const put of this.#record.db) {
      if (!isStorable(put)) continue
      const [, written, ...numbers] = put
      const key = canonicalKey(written)
      const [first = 0, pass = 0, expire = 0, bcount = 0, pcount = 0] = numbers.map(Number)
      const times = { first, pass, expire, bcount, pcount }
      const absolute = { first: first + EPOCH, pass: pass + EPOCH, expire: expire + EPOCH, bcount, pcount }
      const [ip = '', helo, from = '', to = ''] = key.split('\n')
      if (helo !== undefined) {
        entries.push({ kind: 'GREY', ip, helo, from, to, ...absolute })
        this.#grey.tuples.set(key, times)
      } else if (pcount === -2) {
        entries.push({ kind: 'SPAMTRAP', address: key, first: absolute.first })
        this.#grey.spamtraps.add(key)
      } else {
        entries.push({ kind: pcount === -1 ? 'TRAPPED' : 'WHITE', ip, ...absolute })
        this.#grey.hosts.set(ip, times)
      }
    }
    await this.#store!.upsert(entries, { ifMissing: false })
  }
}

/** The database contained records that ours cannot contain: with a wrong size, or a key that is not an address. */
function isDamaged(record: SpamdRecord): boolean {
  return record.db.some((put) => !isStorable(put))
}

/** A record that corresponds to an entry of ours: an address, a tuple with one, or the e-mail address of a spamtrap. */
function isStorable([operation, key, ...numbers]: SpamdRecord['db'][number]): boolean {
  if (operation === 'putraw') return false
  const [ip = '', ...fields] = key.split('\n')
  const isSpamtrap = fields.length === 0 && Number(numbers[4]) === SPAMTRAP_PCOUNT
  return isSpamtrap ? ip.includes('@') : /^[0-9]+(\.[0-9]+){3}$/.test(ip) || ip.includes(':')
}

/** The key in one spelling: IPv6 addresses have several. */
function canonicalKey(key: string): string {
  const [ip = '', ...fields] = key.split('\n')
  const host = `http://[${ip}]/`
  return [URL.canParse(host) ? new URL(host).hostname.slice(1, -1) : ip, ...fields].join('\n')
}

function editOf(flags: string, key: string): ManualEdit {
  if (flags.includes('T')) {
    const address = key.toLowerCase()
    return flags.includes('d')
      ? { operation: 'delete', key: { kind: 'spamtrap', address } }
      : { operation: 'add', kind: 'SPAMTRAP', address }
  }
  if (flags.includes('G')) return { operation: 'delete-tuples', ip: key, all: false }
  if (flags.includes('d')) return { operation: 'delete', key: { kind: 'host', ip: key } }
  return { operation: 'add', kind: flags.includes('t') ? 'TRAPPED' : 'WHITE', ip: key }
}

function relativeTimes(line: string): string {
  return line.replace(/(?<=\|)1[67][0-9]{8}(?=\||$)/g, (text) => {
    const seconds = Number(text) - EPOCH
    return `{T${seconds < 0 ? '' : '+'}${seconds}}`
  })
}

function withoutScan(lines: readonly string[]): string[] {
  return lines.filter((line) => !SCAN_OUT.test(line))
}

/** `added A/32` of the trap list, which the original sends itself. */
function isTrapAddress(line: string, step: Step): boolean {
  return step.op !== 'cfg' && /^added \S+\/(32|128)$/.test(line)
}

/** A message with line feeds takes several lines; ours shows the line feeds as \x0a. */
function joinLines(lines: readonly string[]): string[] {
  const joined: string[] = []
  for (const line of lines) {
    if (/^(ERR|WARNING|NOTICE|INFO|DEBUG) /.test(line) || joined.length === 0) joined.push(line)
    else joined[joined.length - 1] += `\\x0a${line}`
  }
  return joined
}

/** The number of bytes per read depends on the kernel: reads before the end are counted together. */
function mergeReads(lines: readonly string[]): string[] {
  const rest = lines.filter(
    (line) => !/^(got configuration connection$|read [0-9]+ config bytes$)/.test(line),
  )
  const total = lines.reduce(
    (sum, line) => sum + Number(/^read ([0-9]+) config bytes$/.exec(line)?.[1] ?? 0),
    0,
  )
  return [`read ${total} config bytes`, ...rest]
}

function readBytes(lines: readonly { line: string }[]): number {
  return lines.reduce((sum, { line }) => sum + Number(/^read ([0-9]+) config bytes$/.exec(line)?.[1] ?? 0), 0)
}

function showControls(text: string): string {
  return text.replace(
    /[\0-\x1f\x7f-\x9f]/g,
    (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
  )
}

/** The suffixes that apply: none if one of them is too long. */
function suffixesOf(content: string | undefined): string[] | undefined {
  return hasLongSuffix(content) ? undefined : usableLines(content)
}

function hasLongSuffix(content: string | undefined): boolean {
  return usableLines(content)?.some((line) => line.length > 1023) ?? false
}

function usableLines(content: string | undefined): string[] | undefined {
  return content
    ?.split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
}

/** Names of lists in a log line: the buffer of the original has 80 bytes, four of them for the dots. */
function namesText(names: readonly string[]): string {
  return names.reduce(
    (text, name) => (text.length + name.length + 1 >= 76 ? `${text} ...`.slice(0, 79) : `${text} ${name}`),
    '',
  )
}

/** `added A/M`, the address in one spelling; the original prints it as it was sent. */
function canonicalAdded(line: string): string {
  const [, address = '', length] = /^added (\S+)\/([0-9]+)$/.exec(line) ?? []
  if (length === undefined) return line
  const host = address.includes(':') ? `[${address}]` : address.replace(/\b0+(?=[0-9])/g, '')
  return `added ${URL.canParse(`http://${host}/`) ? new URL(`http://${host}/`).hostname : host}/${length}`
}

function hasOverlap({ ranges }: { ranges: { first: bigint; last: bigint; family: number }[] }): boolean {
  return ranges.some((left, index) =>
    ranges
      .slice(index + 1)
      .some((right) => left.family === right.family && left.first <= right.last && right.first <= left.last),
  )
}

function hasMapped({ ranges }: { ranges: { isMapped?: true }[] }): boolean {
  return ranges.some(({ isMapped }) => isMapped === true)
}

let nextReservedPort = 600 + (process.pid % 300)
/** Source ports below 1024, one after the other, so that none is still in TIME_WAIT. */
function freeReservedPort(): number {
  nextReservedPort = nextReservedPort >= 1023 ? 600 : nextReservedPort + 1
  return nextReservedPort
}

export function expandTools(word: string): string {
  return word
    .replace('{TOOLS}/cert.pem', new URL('../localhost.crt', import.meta.url).pathname)
    .replace('{TOOLS}/key.pem', new URL('../localhost.key', import.meta.url).pathname)
}
