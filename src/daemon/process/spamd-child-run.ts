/**
 * The unprivileged process of spamd from its first message to its end. It is started as the unprivileged user, and it
 * ends when its parent does.
 */
import { type Server, Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { deserialize } from 'node:v8'
import type { SpamdConfig } from '../../app/spamd-config.js'
import type { Firewall } from '../../firewall/backend.js'
import { AppError } from '../../platform/app-error.js'
import { freeMemorySoon } from '../../platform/free-memory.js'
import type { SystemUser } from '../../platform/privileges.js'
import type { DaemonSignal } from '../daemon-signal.js'
import { FrameReader, writeFrame } from './message-frames.js'
import { PrivilegedClient } from './privileged-client.js'
import { encodeChildMessage, type ParentMessage, toErrorMessage } from './privileged-protocol.js'
import type { SpamdResources } from './spamd-resources.js'

/** An assembled spamd; `SpamdService` is one. */
export interface SpamdInstance {
  /** Opens everything; rejects with `AppError` when something cannot be. */
  start(): Promise<void>
  /** Resolves when the tables of the packet filter have been filled for the first time; never rejects. */
  filled(): Promise<void>
  reload(): Promise<void>
  stop(): Promise<void>
  logStatistics(): void
}

/** Assembles spamd in the child. */
export type BuildSpamd = (surroundings: {
  config: SpamdConfig
  resources: SpamdResources
  firewall: Firewall
}) => SpamdInstance | Promise<SpamdInstance>

/** Descriptor of the messages; sockets come through Node's own channel. */
const MESSAGES_FD = 4
/** The parent is trusted; a listing of a full table is its longest message. */
const MAX_MESSAGE_BYTES = 1024 * 1024 * 1024
/** How long startup waits for the first filling of the tables: services started next send mail here. */
const FILL_LIMIT_MS = 10_000
/** Maximum duration of a stop when the parent is gone and cannot kill us. */
const ORPHAN_STOP_MS = 4_000

/**
 * Runs in a process that `runSpamdParent` forked; resolves with the exit code: 0 after a stop, 1 when the start
 * failed (the parent has been told why) or the parent died.
 */
export async function runSpamdChild(build: BuildSpamd): Promise<number> {
  if (process.send === undefined) {
    process.stderr.write('spamd: this is the unprivileged part of spamd; start spamd instead\n')
    return 1
  }
  const child = new SpamdChild(build)
  return child.run()
}

class SpamdChild {
  readonly #build: BuildSpamd
  readonly #messages = new Socket({ fd: MESSAGES_FD, readable: true, writable: true })
  #client: PrivilegedClient | undefined
  #instance: SpamdInstance | undefined
  #end: (exitCode: number) => void = () => undefined
  #isStarted = false
  /** Signals received during the start, handled after it: the start may have read its files before them. */
  readonly #earlySignals = new Set<DaemonSignal>()
  #isStopping = false
  #stopCode: number | undefined

  constructor(build: BuildSpamd) {
    this.#build = build
  }

  run(): Promise<number> {
    const ended = new Promise<number>((resolve) => {
      this.#end = resolve
    })
    process.on('message', (message: ParentMessage, handle: Server | undefined) => this.#take(message, handle))
    const frames = new FrameReader({ maxWordsBytes: 0, maxBytes: MAX_MESSAGE_BYTES })
    this.#messages.on('data', (chunk: Buffer) => {
      for (const { bytes } of frames.push(chunk)) this.#take(deserialize(bytes) as ParentMessage, undefined)
    })
    // The end of the parent is noticed by the disconnection.
    this.#messages.on('error', () => undefined)
    process.on('disconnect', () => {
      setTimeout(() => this.#end(1), ORPHAN_STOP_MS).unref()
      this.#requestStop(1)
    })
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGQUIT'] as const) {
      process.on(signal, () => this.#requestStop(0))
    }
    // Both processes of a group get these; the parent passes them on once.
    for (const signal of ['SIGHUP', 'SIGUSR1'] as const) process.on(signal, () => undefined)
    void this.#send({ kind: 'hello' }).catch(() => undefined)
    return ended
  }

  #take(message: ParentMessage, handle: Server | undefined): void {
    if (message.kind === 'start') void this.#start(message)
    else if (message.kind === 'signal') this.#takeSignal(message.signal)
    else if (message.kind === 'tables-lost') this.#client?.tablesLost()
    else this.#client?.take(message, handle)
  }

  async #start({ config, user }: Extract<ParentMessage, { kind: 'start' }>): Promise<void> {
    try {
      checkIdentity(user)
      const client = new PrivilegedClient(config.settings.firewall, (message) => this.#send(message))
      this.#client = client
      this.#instance = await this.#build({ config, resources: client, firewall: client })
      await this.#instance.start()
    } catch (error) {
      await this.#send({ kind: 'failed', error: toErrorMessage(error) }).catch(() => undefined)
      this.#end(1)
      return
    }
    this.#isStarted = true
    if (this.#stopCode !== undefined) {
      await this.#stop(this.#stopCode)
      return
    }
    for (const signal of this.#earlySignals) this.#takeSignal(signal)
    // So that rules loaded when we are ready find every WHITE address in place.
    await Promise.race([this.#instance.filled(), pause(FILL_LIMIT_MS, undefined, { ref: false })])
    if (this.#isStopping) return
    // The end of the parent is noticed by the disconnection.
    await this.#send({ kind: 'ready' }).catch(() => undefined)
    freeMemorySoon()
  }

  #takeSignal(signal: DaemonSignal): void {
    if (signal === 'stop') this.#requestStop(0)
    else if (!this.#isStarted) this.#earlySignals.add(signal)
    else if (signal === 'reload') void this.#instance?.reload()
    else this.#instance?.logStatistics()
  }

  /** A stop during the start waits for the start, so that nothing is left half open. */
  #requestStop(exitCode: number): void {
    this.#stopCode = Math.max(this.#stopCode ?? 0, exitCode)
    if (this.#isStarted) void this.#stop(this.#stopCode)
    else if (this.#instance === undefined) this.#end(this.#stopCode)
  }

  async #stop(exitCode: number): Promise<void> {
    if (this.#isStopping) return
    this.#isStopping = true
    let code = exitCode
    try {
      await this.#instance?.stop()
    } catch {
      // The error has been logged; the exit code shows that the end was not clean.
      code = 1
    }
    this.#end(Math.max(code, this.#stopCode ?? 0))
  }

  /** Sends to the parent; resolves when it has left. */
  #send(message: object): Promise<void> {
    return writeFrame(this.#messages, encodeChildMessage(message))
  }
}

/** We were started as the intended user and have never been another. */
function checkIdentity(user: SystemUser | undefined): void {
  if (user === undefined || (process.getuid!() === user.uid && process.geteuid!() === user.uid)) return
  throw new AppError('ERR_PRIVILEGES_DROP', `failed to drop privs: this is not ${user.name}`)
}
