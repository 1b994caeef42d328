/**
 * A whole daemon with its database, sockets and table, and everything that can happen to it in a random order: clients,
 * block lists, edits by hand, control requests, SIGHUP, messages of a peer, a flushed table, time. Whatever the order,
 * these hold: every answered tuple is on record; no address is on two lists; after a scan the table is the WHITE entries;
 * a pinned entry stays; the daemon says nothing of level error; memory is bounded.
 */
import { createSocket } from 'node:dgram'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { askDaemon } from '../../src/app/ask-daemon.js'
import { parseSpamdOptions } from '../../src/cli/spamd/parse-spamd-options.js'
import { encodeSyncMessage, syncKeyOf } from '../../src/codec/sync-message.js'
import { openStore } from '../../src/db/open-store.js'
import type { ManualEdit, Store } from '../../src/db/store.js'
import type { Entry } from '../../src/domain/entry.js'
import { until } from '../lab/support/until.js'
import { ManualClock } from '../support/manual-clock.js'
import { makeRandom } from '../support/random.js'
import { reservePort } from '../support/reserve-port.js'
import { TestClient } from '../support/spamd/test-client.js'
import { createTestDaemon, daemonEnvironment, type TestDaemon } from '../support/spamd/test-daemon.js'
import { waitFor } from '../support/spamd/wait-for.js'
import { demand } from './demand.js'
import type { Mutator } from './mutate.js'

/** Few of each, so that everything meets everything. */
const HOSTS = [
  ...Array.from({ length: 12 }, (_, index) => `198.51.100.${index + 1}`),
  ...Array.from({ length: 6 }, (_, index) => `2001:db8:7::${index + 1}`),
]
const SENDERS = ['<a@one.example>', '<b@two.example>', '<>', '<c@three.example>']
const RECIPIENTS = ['<reader@example.org>', '<other@example.org>', '<trap@example.org>']
const PINNED = '198.51.100.200'
const MAX_GROWTH_BYTES = 200 * 1024 * 1024
const KEY = 'the key of the fuzzer\n'

type Pick = <Item>(items: readonly Item[]) => Item

class Fuzz {
  readonly #random: Mutator['random']
  readonly #folder = mkdtempSync(join(tmpdir(), 'spamd-fuzz-'))
  readonly #clock = new ManualClock()
  readonly #sender = createSocket('udp4')
  readonly #clients: TestClient[] = []
  #counter = 0
  /** Those of the list that was sent last. */
  #listed: readonly string[] = []
  #daemon!: TestDaemon
  #socketPath = ''
  #syncPort = 0
  #store!: Store

  constructor(seed: number) {
    this.#random = makeRandom(seed)
  }

  async start(): Promise<void> {
    this.#syncPort = await reservePort()
    writeFileSync(join(this.#folder, 'spamd.key'), KEY)
    const words = [
      '-s',
      '0',
      '-S',
      '0',
      '-G',
      '60s:1h:2h',
      '--trapexp',
      '30m',
      '--proxy-protocol',
      '127.0.0.0/8',
    ]
    const parsed = parseSpamdOptions([...words, '--max-tuples', '200', '-y', '127.0.0.1', '-c', '100'], {
      hostname: 'mx.example.org',
      maxFiles: 7030,
      environment: { ...daemonEnvironment(this.#folder), SPAMD_SYNC_PORT: String(this.#syncPort) },
    })
    if (!parsed.ok) throw new Error(parsed.stderr)
    this.#socketPath = parsed.config.settings.controlSocket
    this.#daemon = createTestDaemon(parsed.config, this.#clock)
    await this.#daemon.service.start()
    this.#store = await openStore(parsed.config.settings.db, {
      mode: 'write',
      create: false,
      durability: 'normal',
    })
    const pin: ManualEdit = { operation: 'add', kind: 'WHITE', ip: PINNED, options: { expire: 0 } }
    await this.#store.edit([pin], this.#clock.nowSec())
  }

  async stop(): Promise<void> {
    this.#sender.close()
    for (const client of this.#clients) client.close()
    await this.#store.close()
    await this.#daemon.service.stop()
    rmSync(this.#folder, { recursive: true, force: true })
  }

  readonly #pick: Pick = (items) => items[this.#random(items.length)]!

  async step(): Promise<string> {
    const steps: readonly [string, () => Promise<void> | void][] = [
      ['mail', () => this.#mail()],
      ['mail', () => this.#mail()],
      ['mail', () => this.#mail()],
      ['rude', () => this.#rudeClient()],
      ['edit', () => this.#edit()],
      ['edit', () => this.#edit()],
      ['lists', () => this.#loadLists()],
      ['control', () => this.#garbage()],
      ['peer', () => this.#peer()],
      ['hup', () => this.#daemon.service.reload()],
      ['lost', () => this.#daemon.firewall.lose()],
      ['time', () => this.#clock.advance(1 + this.#random(this.#random(8) === 0 ? 4_000 : 90))],
      ['check', () => this.#check()],
    ]
    const [name, run] = this.#pick(steps)
    await run()
    return name
  }

  /** One mail, whole; what is answered 451 behind DATA was greylisted, and must be on record. */
  async #mail(): Promise<void> {
    const ip = this.#pick(HOSTS)
    const [from, to] = [this.#pick(SENDERS), this.#pick(RECIPIENTS)]
    const helo = this.#pick(['mx.one.example', 'mx.two.example'])
    const before = (await this.#store.readJournal(0, 0)).newest
    const client = await TestClient.open({ host: '127.0.0.1', port: this.#daemon.resources.smtpPort })
    const family = ip.includes(':') ? 'TCP6' : 'TCP4'
    const own = ip.includes(':') ? '2001:db8::25' : '192.0.2.25'
    const lines = [
      `HELO ${helo}`,
      `MAIL FROM:${from}`,
      `RCPT TO:${to}`,
      'DATA',
      'Subject: x',
      '',
      '.',
      'QUIT',
    ]
    client.send(`PROXY ${family} ${ip} ${own} 1025 25\r\n${lines.map((line) => `${line}\r\n`).join('')}`)
    await waitFor(
      () => client.hasEnded,
      () => `the end of a dialogue: ${client.received}`,
    )
    client.close()
    if (!client.received.includes('451 Temporary failure')) return
    const isOnRecord = async (): Promise<boolean> => {
      if ((await this.#store.get({ kind: 'tuple', ip, helo, from, to })) !== undefined) return true
      // Or it was: the address has become WHITE or TRAPPED by it, and a peer or a list has taken that back already.
      const { rows } = await this.#store.readJournal(before, 1_000)
      return rows.some(({ key }) => key !== undefined && 'ip' in key && key.ip === ip)
    }
    // A machine that is too busy to store it in time answers first, and stores it then.
    await until(isOnRecord, () => `${ip} ${helo} ${from} ${to}, which was answered, on record`)
  }

  /** Connects, says something wrong, and stays, resets or leaves. */
  async #rudeClient(): Promise<void> {
    const client = await TestClient.open({ host: '127.0.0.1', port: this.#daemon.resources.smtpPort })
    const header = this.#pick([
      '',
      'PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n',
      'PROXY UNKNOWN\r\n',
      `PROXY TCP4 ${this.#pick(HOSTS)} 192.0.2.25 1 25\r\n`,
    ])
    client.send(
      header +
        this.#pick([
          '',
          '\0\0\0',
          'HELO',
          `${'x'.repeat(5_000)}\r\n`,
          'HELO a\r\nMAIL FROM:<',
          'RCPT TO:<x>\r\nRSET\r\nNOOP\r\n',
        ]),
    )
    const way = this.#random(4)
    if (way === 0) client.reset()
    else if (way === 1) client.close()
    else this.#clients.push(client)
    if (this.#clients.length > 20) this.#clients.shift()!.close()
  }

  async #edit(): Promise<void> {
    const ip = this.#pick(HOSTS)
    const text = this.#pick(RECIPIENTS).slice(1, -1)
    const edits: readonly ManualEdit[] = [
      { operation: 'add', kind: 'WHITE', ip },
      { operation: 'add', kind: 'TRAPPED', ip },
      { operation: 'delete', key: { kind: 'host', ip } },
      { operation: 'add', kind: 'SPAMTRAP', address: text },
      { operation: 'delete', key: { kind: 'spamtrap', address: text } },
      { operation: 'delete-tuples', ip, all: true },
    ]
    await this.#store.edit([this.#pick(edits)], this.#clock.nowSec())
  }

  async #loadLists(): Promise<void> {
    const hosts = HOSTS.filter(() => this.#random(4) === 0)
    const v4 = hosts.filter((ip) => !ip.includes(':')).map((ip) => `;${ip}/32`)
    const v6 = hosts.filter((ip) => ip.includes(':')).map((ip) => `;${ip}/128`)
    const lines = [
      `bad;"on a list";inet;${v4.length}${v4.join('')};inet6;${v6.length}${v6.join('')}\n`,
      'bad;\n',
      'worse;"x";inet;1;foo/8\n',
      '\0\xff;;;\n',
    ]
    const line = this.#pick(lines)
    if (line === lines[0]) this.#listed = hosts
    await this.#exchange(line)
  }

  #exchange(text: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const socket = connect(this.#socketPath)
      let answer = ''
      socket.on('data', (bytes) => {
        answer += bytes.toString('latin1')
      })
      socket.on('error', reject)
      socket.on('close', () => resolve(answer))
      socket.end(text, 'latin1')
    })
  }

  async #garbage(): Promise<void> {
    const answer = await this.#exchange(
      this.#pick([
        '{"request":"stats"}\n',
        '{"request":"sync-status"}\n',
        '{"request":"connections"}\n',
        '{"request":"__proto__"}\n',
        '{\n',
        `{"request":"${'x'.repeat(70_000)}"}\n`,
      ]),
    )
    demand(answer === '' || answer.endsWith('\n'), `an answer of the socket is cut: ${answer.slice(0, 100)}`)
  }

  #peer(): Promise<void> {
    const timestamp = this.#clock.nowSec()
    const ip = this.#pick(HOSTS.filter((host) => !host.includes(':')))
    const tuple = { from: this.#pick(SENDERS), to: this.#pick(RECIPIENTS), helo: 'mx.one.example' }
    const entry = this.#pick([
      { type: 'GREY', timestamp, ip, ...tuple } as const,
      { type: 'WHITE', timestamp, ip, expire: timestamp + 3_600 } as const,
      { type: 'TRAPPED', timestamp, ip, expire: timestamp + 600 } as const,
      { type: 'DELETE-WHITE', timestamp, ip, expire: timestamp } as const,
    ])
    this.#counter += 1
    const message = Buffer.from(encodeSyncMessage(this.#counter, entry, syncKeyOf(Buffer.from(KEY)))!)
    if (this.#random(5) === 0) message[this.#random(message.length)]! ^= 1
    return new Promise((resolve, reject) => {
      this.#sender.send(message, this.#syncPort, '127.0.0.1', (error) =>
        error === null ? resolve() : reject(error),
      )
    })
  }

  async #check(): Promise<void> {
    await askDaemon(this.#socketPath, 'scan')
    const entries: Entry[] = []
    for await (const chunk of this.#store.list()) entries.push(...chunk)
    const hosts = entries.flatMap((entry) =>
      entry.kind === 'WHITE' || entry.kind === 'TRAPPED' ? [entry.ip] : [],
    )
    demand(new Set(hosts).size === hosts.length, 'an address is on record twice')
    const pinned = entries.find((entry) => entry.kind === 'WHITE' && entry.ip === PINNED)
    demand(pinned !== undefined && 'expire' in pinned && pinned.expire === 0, 'the pinned entry is gone')
    await until(
      async () => {
        const white: string[] = []
        for await (const chunk of this.#store.list({ kinds: ['WHITE'] })) {
          for (const entry of chunk) if (entry.kind === 'WHITE') white.push(entry.ip)
        }
        const table = (this.#daemon.firewall.tables.get('spamd-white') ?? []).map((line) =>
          line.replace(/\/(32|128)$/, ''),
        )
        if (JSON.stringify([...white].sort()) === JSON.stringify([...table].sort())) return true
        // A peer's WHITE may come behind the scan: one that is on a list goes with the next.
        const isListed = white.some((ip) => this.#listed.includes(ip) && !table.includes(ip))
        if (isListed) await askDaemon(this.#socketPath, 'scan')
        return false
      },
      () => `the table to be the WHITE entries: ${String(this.#daemon.firewall.tables.get('spamd-white'))}`,
    )
    const errors = this.#daemon.logger.lines.filter(
      ({ level }) => !['info', 'debug', 'notice', 'warning'].includes(level),
    )
    demand(errors.length === 0, `the daemon logs ${JSON.stringify(errors[0])}`)
    // The lines of the log and what spamd would print are kept by the test alone.
    this.#daemon.logger.lines.length = 0
    this.#daemon.debug.lines.length = 0
  }
}

/** Takes random steps until `endMs` of performance.now() or for `steps`; throws for the first broken rule. */
export async function fuzzDaemon({
  seed,
  endMs,
  steps,
}: {
  seed: number
  endMs: number
  steps: number
}): Promise<void> {
  const fuzz = new Fuzz(seed)
  const counts = new Map<string, number>()
  const startMs = performance.now()
  let firstBytes = 0
  let step = 0
  await fuzz.start()
  try {
    for (; step < steps && performance.now() < endMs; step += 1) {
      const name = await fuzz.step()
      counts.set(name, (counts.get(name) ?? 0) + 1)
      if (step === 300) firstBytes = process.memoryUsage().rss
    }
  } catch (error) {
    throw new Error(`daemon: seed ${seed}, step ${step}`, { cause: error })
  } finally {
    await fuzz.stop()
  }
  const grown = firstBytes === 0 ? 0 : process.memoryUsage().rss - firstBytes
  demand(grown < MAX_GROWTH_BYTES, `the process has grown by ${grown} bytes`)
  const seconds = ((performance.now() - startMs) / 1000).toFixed(0)
  process.stdout.write(
    `daemon: ${step} steps in ${seconds} s, none breaks a rule; ${JSON.stringify(Object.fromEntries(counts))}\n`,
  )
}
