/**
 * The life of spamd's privileged process: starts the unprivileged one, serves its requests, passes signals on, and
 * ends when it ends. It loads neither the database nor anything that reads what strangers send.
 */
import { existsSync } from 'node:fs'
import type { Server } from 'node:net'
import type { SpamdConfig } from '../../app/spamd-config.js'
import { escapeControl } from '../../codec/escape.js'
import type { Firewall } from '../../firewall/backend.js'
import { AppError } from '../../platform/app-error.js'
import { hasRelativePath, isBackgroundProcess, reportReady } from '../../platform/daemonize.js'
import { reasonOf } from '../../platform/errno-text.js'
import type { Logger } from '../../platform/log.js'
import { writePidFile } from '../../platform/pid-file.js'
import { findUser, hasRights, isRoot, ownRights, type SystemUser } from '../../platform/privileges.js'
import { forkProgram } from '../../platform/run-process.js'
import { notifySystemd } from '../../platform/sd-notify.js'
import { type DaemonSignal, onDaemonSignal } from '../daemon-signal.js'
import { prepareDatabaseFolder, prepareSocketFolder } from './daemon-folder.js'
import { PrivilegedParent } from './privileged-parent.js'
import { fromErrorMessage, type ParentMessage } from './privileged-protocol.js'
import type { PrivilegedResources } from './spamd-resources.js'

/** A stop that takes longer is ended by SIGKILL, so that all of it takes less than five seconds. */
const STOP_TIMEOUT_MS = 4_500
/** What the child prints on stderr in the background is logged by lines of at most this length. */
const MAX_STDERR_LINE = 2_000

const SETPRIV = '/usr/bin/setpriv'

export interface SpamdParentParts {
  config: SpamdConfig
  /** Path of the module that calls `runSpamdChild`. */
  childModule: string
  logger: Logger
  resources: PrivilegedResources
  firewall: Firewall
  /** For tests. */
  stopTimeoutMs?: number
}

/**
 * Runs spamd to its end and resolves with the exit code: 0 after SIGTERM or SIGINT, 1 when the unprivileged
 * process died by itself. Rejects with `AppError` when spamd could not be started; nothing is left open then.
 * Resolves only after the start when that succeeds: pid file, systemd and a waiting shell are told in between.
 */
export async function runSpamdParent(parts: SpamdParentParts): Promise<number> {
  const { settings } = parts.config
  const user = isRoot() ? await spamdUser(settings.user) : undefined
  if (!parts.config.isBlackOnly) prepareDatabaseFolder(settings.db, user)
  prepareSocketFolder(settings.controlSocket)
  return new ParentLife(parts, user).run()
}

/** The unprivileged user, who must exist: rejects with `ERR_SPAMD_USER` otherwise. */
export async function spamdUser(name: string): Promise<SystemUser> {
  const user = await findUser(name)
  if (user !== undefined) return user
  throw new AppError('ERR_SPAMD_USER', `no such user ${name}`, {
    hint: `create it (Debian: useradd --system --home-dir /nonexistent --shell /usr/sbin/nologin ${name}) or name another with --user`,
  })
}

/**
 * What keeps our own rights from the child when we are not root but hold capabilities, as under systemd with
 * AmbientCapabilities=CAP_NET_ADMIN: Node cannot drop them, setpriv(1) of util-linux can.
 */
function capabilityDropper(logger: Logger): { program: string; args: string[] } | undefined {
  if (!ownRights().hasNetAdmin) return undefined
  if (existsSync(SETPRIV)) {
    return { program: SETPRIV, args: ['--no-new-privs', '--inh-caps=-all', '--ambient-caps=-all', '--'] }
  }
  logger.log('warning', `${SETPRIV} is missing: the unprivileged process keeps the capability CAP_NET_ADMIN`)
  return undefined
}

class ParentLife {
  readonly #parts: SpamdParentParts
  readonly #user: SystemUser | undefined
  readonly #child: ReturnType<typeof forkProgram>
  readonly #privileged: PrivilegedParent
  readonly #isDetached = isBackgroundProcess()
  #isReady = false
  #isStopping = false
  #startError: AppError | undefined
  #killTimer: NodeJS.Timeout | undefined
  #removePidFile: (() => void) | undefined

  constructor(parts: SpamdParentParts, user: SystemUser | undefined) {
    this.#parts = parts
    this.#user = user
    this.#child = forkProgram(parts.childModule, [], {
      launcher: user === undefined ? capabilityDropper(parts.logger) : undefined,
      // In the background nobody reads our stderr after the start: then it goes to the log.
      stdio: this.#isDetached ? ['ignore', 'ignore', 'pipe', 'ipc'] : ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    this.#privileged = new PrivilegedParent({
      resources: parts.resources,
      firewall: parts.firewall,
      controlSocket: { gid: user?.gid, isPrivileged: hasRights() },
      send: (message, handle) => this.#send(message, handle),
    })
  }

  async run(): Promise<number> {
    const removeSignals = onDaemonSignal((signal) =>
      signal === 'stop' ? this.#stop() : this.#passOn(signal),
    )
    this.#child.on('message', (message: unknown) => this.#take(message))
    this.#child.stderr?.on('data', (chunk: Buffer) => this.#relayStderr(chunk))
    try {
      return await this.#ended()
    } finally {
      removeSignals()
      clearTimeout(this.#killTimer)
      this.#removePidFile?.()
      this.#privileged.close()
      await this.#parts.logger.flush()
    }
  }

  /** Resolves or rejects when the child has ended. */
  #ended(): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#child.once('error', (error) => {
        reject(new AppError('ERR_SPAMD_START', `cannot start: ${reasonOf(error)}`, { cause: error }))
      })
      this.#child.once('exit', (exitCode, signal) => {
        const ending = signal === null ? `exited with status ${exitCode}` : `died on signal ${signal}`
        if (this.#startError !== undefined) reject(this.#startError)
        else if (this.#isStopping && exitCode === 0) resolve(0)
        else if (!this.#isReady && !this.#isStopping) {
          reject(new AppError('ERR_SPAMD_START', `the unprivileged process ${ending} while starting`))
        } else {
          this.#parts.logger.log('err', `the unprivileged process ${ending}, exiting`)
          resolve(1)
        }
      })
    })
  }

  #take(raw: unknown): void {
    try {
      const event = this.#privileged.take(raw)
      if (event?.kind === 'hello') {
        void this.#send({ kind: 'start', config: this.#parts.config, user: this.#user }).catch(
          () => undefined,
        )
      } else if (event?.kind === 'failed') this.#startError = fromErrorMessage(event.error)
      else if (event?.kind === 'ready' && !this.#isReady) void this.#becomeReady()
    } catch (error) {
      this.#parts.logger.log('err', `${reasonOf(error)}, killing it`)
      this.#child.kill('SIGKILL')
    }
  }

  async #becomeReady(): Promise<void> {
    const { pidFile, settings, tls } = this.#parts.config
    try {
      if (pidFile !== undefined) this.#removePidFile = writePidFile(pidFile)
    } catch (error) {
      this.#startError = error as AppError
      this.#stop()
      return
    }
    this.#isReady = true
    const { key, allowedDomains, controlSocket } = settings
    const pathsNeededLater = [pidFile, key, allowedDomains, controlSocket, tls?.certificateFile, tls?.keyFile]
    reportReady(process.env, { keepsFolder: hasRelativePath(pathsNeededLater) })
    await notifySystemd('READY=1')
  }

  #stop(): void {
    if (this.#isStopping) return
    this.#isStopping = true
    void notifySystemd('STOPPING=1')
    this.#passOn('stop')
    this.#killTimer = setTimeout(() => {
      this.#parts.logger.log('err', 'the unprivileged process did not end in time, killing it')
      this.#child.kill('SIGKILL')
    }, this.#parts.stopTimeoutMs ?? STOP_TIMEOUT_MS)
  }

  #passOn(signal: DaemonSignal): void {
    // A child that is gone is noticed by its exit.
    void this.#send({ kind: 'signal', signal }).catch(() => undefined)
  }

  #send(message: ParentMessage, handle?: Server): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#child.send(message, handle, {}, (error) => (error === null ? resolve() : reject(error)))
    })
  }

  #relayStderr(chunk: Buffer): void {
    if (!this.#isReady) {
      process.stderr.write(chunk)
      return
    }
    for (const line of chunk.toString('utf8').split('\n')) {
      if (line !== '') this.#parts.logger.log('err', escapeControl(line.slice(0, MAX_STDERR_LINE)))
    }
  }
}
