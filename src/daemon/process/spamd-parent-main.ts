/**
 * The life of spamd's privileged process: starts the unprivileged one, serves its requests, passes signals
 * on, and ends when it ends. It loads neither the database nor any parser of data from outside.
 */
import type { Server, Socket } from 'node:net'
import { resolve } from 'node:path'
import { serialize } from 'node:v8'
import type { SpamdConfig } from '../../app/spamd-config.js'
import { escapeControl } from '../../codec/escape.js'
import type { Firewall } from '../../firewall/backend.js'
import { AppError } from '../../platform/app-error.js'
import { hasRelativePath, isBackgroundProcess, reportReady } from '../../platform/daemonize.js'
import { reasonOf } from '../../platform/errno-text.js'
import { freeMemorySoon } from '../../platform/free-memory.js'
import type { Logger } from '../../platform/log.js'
import { writePidFile } from '../../platform/pid-file.js'
import { databaseFileOf, resolveLocation } from '../../platform/postgres-location.js'
import { findUser, hasRights, isRoot, type SystemUser } from '../../platform/privileges.js'
import type { ChildProcess } from '../../platform/run-process.js'
import { notifySystemd } from '../../platform/sd-notify.js'
import { type DaemonSignal, onDaemonSignal } from '../daemon-signal.js'
import { checkProgramsFor, findLauncher, type Launcher, launchChild } from './child-launch.js'
import { prepareDatabaseFolder, prepareSocketFolder } from './daemon-folder.js'
import { FrameReader, writeFrame } from './message-frames.js'
import { PrivilegedParent } from './privileged-parent.js'
import {
  decodeChildMessage,
  fromErrorMessage,
  MAX_WORDS_BYTES,
  type ParentMessage,
  PIECE_BYTES,
} from './privileged-protocol.js'
import { SocketChannel } from './socket-channel.js'
import type { PrivilegedResources } from './spamd-resources.js'
import { listeningPlaces } from './start-warnings.js'

/** A stop that takes longer is ended by SIGKILL, so that all of it takes less than five seconds. */
const STOP_TIMEOUT_MS = 4_500
/** Descriptor of the messages in the child. */
const MESSAGES_FD = 4
/** What the child prints on stderr in the background is logged by lines of at most this length. */
const MAX_STDERR_LINE = 2_000

/** Maximum wait for a hung helper at a stop. */
const HELPER_TIMEOUT_MS = 1_500
/** Maximum duration of a stop, logger included. */
const LAST_RESORT_MS = 4_900

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
 * Resolves only after a successful start; before that, writes the pid file and notifies systemd and a waiting shell.
 */
export async function runSpamdParent(parts: SpamdParentParts): Promise<number> {
  const { settings } = parts.config
  const user = isRoot() ? await spamdUser(settings.user) : undefined
  if (!parts.config.isBlackOnly) prepareDatabaseFolder(databaseFileOf(settings), user)
  prepareSocketFolder(settings.controlSocket)
  if (user !== undefined) checkProgramsFor(user, parts.childModule)
  return new ParentLife(parts, user, await findLauncher(user, parts.logger)).run()
}

/** The unprivileged user, who must exist: rejects with `ERR_SPAMD_USER` otherwise. */
export async function spamdUser(name: string): Promise<SystemUser> {
  const user = await findUser(name)
  if (user !== undefined) return user
  throw new AppError('ERR_SPAMD_USER', `no such user ${name}`, {
    hint: `create it (Debian: useradd --system --home-dir /nonexistent --shell /usr/sbin/nologin ${name}) or name another with --user`,
  })
}

class ParentLife {
  readonly #parts: SpamdParentParts
  readonly #user: SystemUser | undefined
  readonly #child: ChildProcess
  readonly #messages: Socket
  readonly #sockets: SocketChannel
  readonly #privileged: PrivilegedParent
  readonly #isDetached = isBackgroundProcess()
  #isReady = false
  #isStopping = false
  #startError: AppError | undefined
  #isChildForeign = false
  readonly #timers: NodeJS.Timeout[] = []
  #removePidFile: (() => void) | undefined

  constructor(parts: SpamdParentParts, user: SystemUser | undefined, launcher: Launcher | undefined) {
    this.#parts = parts
    this.#user = user
    this.#child = launchChild(parts.childModule, {
      user,
      launcher,
      // In the background nobody reads our stderr after the start: then it goes to the log.
      hasStderrPipe: this.#isDetached,
    })
    this.#messages = this.#child.stdio[MESSAGES_FD] as Socket
    this.#sockets = new SocketChannel(this.#child, () => this.#killChild('sent more than it may'))
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
    if (!this.#sockets.guard()) {
      this.#parts.logger.log(
        'warning',
        'cannot guard the channel to the child: this Node stores it in an unknown way',
      )
    }
    const frames = new FrameReader({ maxWordsBytes: MAX_WORDS_BYTES, maxBytes: PIECE_BYTES })
    this.#messages.on('data', (chunk: Buffer) => this.#takeFrames(frames, chunk))
    // The end of the child is noticed by its exit event.
    this.#messages.on('error', () => undefined)
    this.#child.stderr?.on('data', (chunk: Buffer) => this.#relayStderr(chunk))
    try {
      return await this.#ended()
    } finally {
      removeSignals()
      this.#removePidFile?.()
      this.#privileged.close()
      await this.#parts.logger.flush()
      for (const timer of this.#timers) clearTimeout(timer)
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

  #takeFrames(frames: FrameReader, chunk: Buffer): void {
    if (this.#isChildForeign) return
    try {
      for (const frame of frames.push(chunk)) this.#take(decodeChildMessage(frame))
    } catch (error) {
      const isLength = error instanceof RangeError
      this.#killChild(isLength ? `sent ${error.message}` : reasonOf(error))
    }
  }

  #take(message: unknown): void {
    const event = this.#privileged.take(message)
    if (event?.kind === 'hello') {
      void this.#send({
        kind: 'start',
        config: withAbsolutePaths(this.#parts.config),
        user: this.#user,
      }).catch(() => undefined)
    } else if (event?.kind === 'failed') this.#startError = fromErrorMessage(event.error)
    else if (event?.kind === 'ready' && !this.#isReady) void this.#becomeReady()
  }

  /** It did what our child never would: it is compromised. */
  #killChild(what: string): void {
    if (this.#isChildForeign) return
    this.#isChildForeign = true
    this.#messages.destroy()
    const text = what.startsWith('the ') ? what : `the unprivileged process ${what}`
    this.#parts.logger.log('err', `${escapeControl(text)}: killing it`)
    this.#child.kill('SIGKILL')
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
    this.#parts.logger.log('notice', `listening on ${escapeControl(listeningPlaces(this.#parts.config))}`, {
      event: 'listening',
    })
    const { key, allowedDomains, controlSocket } = settings
    const pathsNeededLater = [pidFile, key, allowedDomains, controlSocket, tls?.certificateFile, tls?.keyFile]
    reportReady(process.env, { keepsFolder: hasRelativePath(pathsNeededLater) })
    await notifySystemd('READY=1')
    freeMemorySoon()
  }

  #stop(): void {
    if (this.#isStopping) return
    this.#isStopping = true
    void notifySystemd('STOPPING=1')
    this.#passOn('stop')
    this.#timers.push(setTimeout(() => this.#privileged.abandonHelpers(), HELPER_TIMEOUT_MS))
    this.#timers.push(setTimeout(() => process.exit(1), LAST_RESORT_MS))
    const kill = (): void => {
      this.#parts.logger.log('err', 'the unprivileged process did not end in time: killing it')
      this.#child.kill('SIGKILL')
    }
    this.#timers.push(setTimeout(kill, this.#parts.stopTimeoutMs ?? STOP_TIMEOUT_MS))
  }

  #passOn(signal: DaemonSignal): void {
    // The end of the child is noticed by its exit event.
    void this.#send({ kind: 'signal', signal }).catch(() => undefined)
  }

  #send(message: ParentMessage, handle?: Server): Promise<void> {
    const follows = message.kind === 'answer' && message.follows === true
    if (handle !== undefined || follows) return this.#sockets.send(message, handle)
    return writeFrame(this.#messages, { words: '', bytes: serialize(message) })
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

/** The child works in `/`: what the administrator named from another folder must still be found. */
function withAbsolutePaths(config: SpamdConfig): SpamdConfig {
  const { settings } = config
  return {
    ...config,
    settings: {
      ...settings,
      db: resolveLocation(settings.db),
      localDb: resolve(settings.localDb),
      stateDir: resolve(settings.stateDir),
    },
  }
}
