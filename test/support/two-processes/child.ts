/**
 * A test program in place of spamd's own service. It prints its addresses on stdout, then obeys clients of its SMTP
 * sockets, one command per line, answering with one line of JSON.
 */
import { readdirSync, readFileSync, readlinkSync, renameSync, symlinkSync, writeSync } from 'node:fs'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { runSpamdChild } from '../../../src/daemon/process/spamd-child-run.js'
import type { SpamdResources } from '../../../src/daemon/process/spamd-resources.js'
import type { Firewall, TableContent } from '../../../src/firewall/backend.js'
import { AppError } from '../../../src/platform/app-error.js'
import { reasonOf } from '../../../src/platform/errno-text.js'

/** Node's channel for sockets, and ours for messages. */
const SOCKETS_FD = 3
const MESSAGES_FD = 4
const WHITE = { name: 'spamd-white', content: 'hosts' } as const

class Trial {
  readonly #resources: SpamdResources
  readonly #firewall: Firewall
  #servers: Server[] = []
  readonly #way: string
  #begin: () => void = () => undefined
  #stopsNever = false

  /** `way`: 'fails' at the start, or 'starts-late', when a client says so. */
  constructor(resources: SpamdResources, firewall: Firewall, way: string) {
    this.#way = way
    this.#resources = resources
    this.#firewall = firewall
  }

  async start(): Promise<void> {
    if (this.#way === 'fails') {
      throw new AppError('ERR_SPAMD_INTERNAL', 'this start fails on purpose', { hint: 'expected' })
    }
    this.#servers = await this.#resources.openSmtpListeners()
    for (const server of this.#servers) server.on('connection', (socket) => this.#serve(socket))
    const config = createServer((socket) => socket.end('config\n'))
    await this.#resources.listenConfig(config)
    const control = createServer({ allowHalfOpen: true }, (socket) => {
      // Answers only after the client has closed its side, which needs a half-open connection.
      socket.resume().on('end', () => socket.end('control\n'))
    })
    await this.#resources.listenControl(control)
    this.#servers.push(config, control)
    const [smtp4, smtp6, configPort] = this.#servers.map(
      (server) => (server.address() as AddressInfo | null)?.port,
    )
    const begun = new Promise<void>((resolve) => {
      this.#begin = resolve
    })
    process.stdout.write(`${JSON.stringify({ pid: process.pid, smtp4, smtp6, configPort })}\n`)
    if (this.#way === 'starts-late') await begun
  }

  async reload(): Promise<void> {
    process.stdout.write('reloaded\n')
  }

  async filled(): Promise<void> {}

  logStatistics(): void {
    process.stdout.write('statistics\n')
  }

  async stop(): Promise<void> {
    if (this.#stopsNever) await new Promise(() => setInterval(() => undefined, 60_000))
    for (const server of this.#servers) server.close()
    process.stdout.write('stopped\n')
  }

  #serve(socket: Socket): void {
    socket.setEncoding('utf8')
    socket.on('error', () => socket.destroy())
    socket.on('data', (text: string) => {
      const [word = '', argument = ''] = text.trim().split(' ')
      void this.#answer(word, argument).then(
        (value) => socket.end(`${JSON.stringify(value ?? null)}\n`),
        (error: unknown) => socket.end(`${JSON.stringify({ error: reasonOf(error) })}\n`),
      )
    })
  }

  async #answer(word: string, argument: string): Promise<unknown> {
    switch (word) {
      case 'begin':
        this.#begin()
        return 'begun'
      case 'ids':
        return { uid: process.getuid!(), gid: process.getgid!(), groups: process.getgroups!() }
      case 'read':
        return { key: String(await this.#resources.readSyncKey()), own: tryRead(argument) }
      case 'domains':
        return (await this.#resources.readAllowedDomains())?.toString() ?? 'none'
      case 'tls':
        return (await this.#resources.readTls())?.key.toString() ?? 'none'
      case 'reopen':
        return (await this.#resources.openSmtpListeners()).map((server) => {
          const { port } = server.address() as AddressInfo
          server.close()
          return port
        })
      case 'replace':
        await this.#firewall.replaceTable(WHITE, hosts(Number(argument)))
        return 'replaced'
      case 'replace-text':
        await this.#firewall.replaceTable(WHITE, {
          ...hosts(0),
          ipv4: { text: Buffer.from(`${argument}\n`), count: 1 },
        })
        return 'replaced'
      case 'table':
        return (await this.#firewall.readTable(WHITE))?.length ?? 'none'
      case 'limits':
        return this.#firewall.limits()
      case 'say': {
        const words = Buffer.from(argument)
        writeSync(MESSAGES_FD, Buffer.concat([Buffer.from([0, 0, 0, words.length, 0, 0, 0, 0]), words]))
        return 'said'
      }
      case 'write':
        writeSync(MESSAGES_FD, Buffer.from(argument, 'hex'))
        return 'written'
      case 'write-channel':
        writeSync(SOCKETS_FD, `${argument}\n`)
        return 'written'
      case 'grow':
        return growFrame()
      case 'swap':
        return swapInLink(argument)
      case 'control-again':
        return this.#resources.listenControl(createServer())
      case 'descriptors':
        return readdirSync('/proc/self/fd').map((fd) => [Number(fd), tryReadLink(`/proc/self/fd/${fd}`)])
      case 'environment':
        return { names: Object.keys(process.env).sort(), folder: process.cwd() }
      case 'stop-never':
        this.#stopsNever = true
        return 'will not'
      default:
        return 'what?'
    }
  }
}

/** Acts as an attacker: replaces the folder of the socket, and the socket itself, by links. */
function swapInLink(target: string): string[] {
  const [folder, victim] = target.split(',') as [string, string]
  const attempts = [
    () => renameSync(folder, `${folder}.old`),
    () => symlinkSync(victim, folder),
    () => renameSync(`${folder}/spamd.sock`, `${folder}/other`),
    () => symlinkSync(victim, `${folder}/spamd.sock`),
  ]
  return attempts.map((attempt) => {
    try {
      attempt()
      return 'done'
    } catch (error) {
      return (error as NodeJS.ErrnoException).code ?? 'unknown'
    }
  })
}

/** Announces 1.8 GB of data, and sends them. */
async function growFrame(): Promise<string> {
  const piece = Buffer.alloc(1024 * 1024)
  writeSync(MESSAGES_FD, Buffer.from([0x70, 0, 0, 0, 0, 0, 0, 0]))
  for (let sentBytes = 0; sentBytes < 0x7000_0000; ) {
    try {
      sentBytes += writeSync(MESSAGES_FD, piece)
    } catch {
      await new Promise(setImmediate)
    }
  }
  return 'grown'
}

function tryReadLink(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return 'gone'
  }
}

function tryRead(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'unknown'
  }
}

function hosts(count: number): TableContent {
  let text = ''
  for (let index = 0; index < count; index += 1) {
    text += `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}/32\n`
  }
  return { ipv4: { text: Buffer.from(text), count }, ipv6: { text: new Uint8Array(), count: 0 } }
}

process.exit(
  await runSpamdChild(({ config, resources, firewall }) => new Trial(resources, firewall, config.hostname)),
)
