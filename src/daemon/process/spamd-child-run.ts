/**
 * The unprivileged process of spamd from its first message to its end. It becomes the unprivileged user before it
 * reads anything else, and it ends when its parent does.
 */
import type { Server } from 'node:net'
import type { SpamdConfig } from '../../app/spamd-config.js'
import type { Firewall } from '../../firewall/backend.js'
import { dropPrivileges } from '../../platform/privileges.js'
import type { DaemonSignal } from '../daemon-signal.js'
import { PrivilegedClient } from './privileged-client.js'
import { type ParentMessage, toErrorMessage } from './privileged-protocol.js'
import type { SpamdResources } from './spamd-resources.js'

/** A put-together spamd; `SpamdService` is one. */
export interface SpamdInstance {
  /** Opens everything; rejects with `AppError` when something cannot be. */
  start(): Promise<void>
  reload(): Promise<void>
  stop(): Promise<void>
  logStatistics(): void
}

/** Puts spamd together in the child, after privileges were given up. */
export type BuildSpamd = (surroundings: {
  config: SpamdConfig
  resources: SpamdResources
  firewall: Firewall
}) => SpamdInstance | Promise<SpamdInstance>

/** How long a stop may take when the parent is gone and cannot kill us. */
const ORPHAN_STOP_MS = 4_000

/**
 * Runs in a process that `runSpamdParent` forked; resolves with the exit code: 0 after a stop, 1 when the start
 * failed (the parent has been told why) or the parent died.
 */
export async function runSpamdChild(build: BuildSpamd): Promise<number> {
  if (process.send === undefined) {
    process.stderr.write('spamd: this is the unprivileged half of spamd: start spamd itself\n')
    return 1
  }
  const child = new SpamdChild(build)
  return child.run()
}

class SpamdChild {
  readonly #build: BuildSpamd
  #client: PrivilegedClient | undefined
  #instance: SpamdInstance | undefined
  #end: (exitCode: number) => void = () => undefined
  #isStarted = false
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
    process.on('disconnect', () => {
      setTimeout(() => this.#end(1), ORPHAN_STOP_MS).unref()
      this.#requestStop(1)
    })
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGQUIT'] as const) {
      process.on(signal, () => this.#requestStop(0))
    }
    // Both processes of a group get these; the parent passes them on once.
    for (const signal of ['SIGHUP', 'SIGUSR1'] as const) process.on(signal, () => undefined)
    void send({ kind: 'hello' })
    return ended
  }

  #take(message: ParentMessage, handle: Server | undefined): void {
    if (message.kind === 'start') void this.#start(message)
    else if (message.kind === 'signal') this.#takeSignal(message.signal)
    else this.#client?.take(message, handle)
  }

  async #start({ config, user }: Extract<ParentMessage, { kind: 'start' }>): Promise<void> {
    try {
      if (user !== undefined) dropPrivileges(user)
      const client = new PrivilegedClient(config.settings.firewall, send)
      this.#client = client
      this.#instance = await this.#build({ config, resources: client, firewall: client })
      await this.#instance.start()
    } catch (error) {
      await send({ kind: 'failed', error: toErrorMessage(error) }).catch(() => undefined)
      this.#end(1)
      return
    }
    this.#isStarted = true
    if (this.#stopCode !== undefined) {
      await this.#stop(this.#stopCode)
      return
    }
    // A parent that is gone is noticed by the disconnection.
    await send({ kind: 'ready' }).catch(() => undefined)
  }

  #takeSignal(signal: DaemonSignal): void {
    if (signal === 'stop') this.#requestStop(0)
    else if (signal === 'reload' && this.#isStarted) void this.#instance?.reload()
    else if (signal === 'statistics' && this.#isStarted) this.#instance?.logStatistics()
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
      // It has logged what went wrong; the exit code says that the end was not clean.
      code = 1
    }
    this.#end(Math.max(code, this.#stopCode ?? 0))
  }
}

/** Sends to the parent; resolves when it has left. */
function send(message: object): Promise<void> {
  return new Promise((resolve, reject) => {
    process.send!(message, undefined, {}, (error: Error | null) =>
      error === null ? resolve() : reject(error),
    )
  })
}
