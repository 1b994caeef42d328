/** What spamlogd is put together from, so that its life can be run in a test. */
import { closeSync, createReadStream, fstatSync, openSync, read, readFileSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { promisify } from 'node:util'
import type { SightingParts } from '../../app/read-sighting.js'
import type { SpamlogdOptions } from '../../app/spamlogd-options.js'
import { PASS_SEC } from '../../domain/times.js'
import { AppError } from '../../platform/app-error.js'
import { type Clock, systemClock } from '../../platform/clock.js'
import { reasonOf } from '../../platform/errno-text.js'
import { logFatalErrors } from '../../platform/fatal-errors.js'
import { InterfaceIndexes } from '../../platform/interface-index.js'
import type { LiveCapture, LiveCaptureRequest } from '../../platform/live-capture-source.js'
import type { Logger, LogLevel } from '../../platform/log.js'
import { openLiveCapture } from '../../platform/open-live-capture.js'
import { OwnAddressSet } from '../../platform/own-address-set.js'
import { dropPrivileges, findUser, isRoot } from '../../platform/privileges.js'
import { resolveSettings } from '../../platform/settings.js'
import { writeFully } from '../../platform/standard-output.js'
import { openLog } from '../../platform/syslog.js'
import { keepYoungGenerationSmall } from '../../platform/young-generation.js'
import { type DaemonSignal, onDaemonSignal } from '../daemon-signal.js'
import { openStoreInWorker } from '../store/store-in-worker.js'
import type { OnWhitelisted, SightingStore } from './sighting-recorder.js'

/** What sightings hand over holds no tuples. */
const NO_TUPLES = { passSec: PASS_SEC, maxTuples: 1, maxTuplesPerAddress: 1 }
/** Nothing but the thread of the database waits: long enough for another program's large import. */
const BUSY_TIMEOUT_MS = 5_000
/** Large pieces, so that a replay spends its time on records. */
const READ_CHUNK_BYTES = 256 * 1024
/** Bits of CapEff in /proc/self/status. Source: linux/capability.h. */
const CAP_NET_ADMIN = 12n
const CAP_NET_RAW = 13n
const ENDING_SIGNALS = ['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGHUP'] as const
const readIntoBuffer = promisify(read)

/** The bytes of a capture. A chunk is valid until the next one is requested. */
export interface ReplaySource {
  chunks: AsyncIterable<Uint8Array>
  /** A regular file: it can wait. */
  isFile: boolean
  /** Ends the chunks, now. */
  abort(): void
}

/** Sends white entries to the peers of -Y. */
export interface WhiteAnnouncer {
  announce: OnWhitelisted
  /** For the statistics line, by name; since the start. */
  counters(): Readonly<Record<string, number>>
  /** SIGHUP: reads the key again, looks names up again. */
  reload(): Promise<void>
  /** Resolves when everything announced has left. */
  close(): Promise<void>
}

export interface SpamlogdParts {
  clock: Clock
  host: SightingParts
  openLog(options: { toStderr: boolean; isJson: boolean; threshold: LogLevel }): Logger
  /** stderr before and beside the log. */
  writeError(text: string): void
  /** A result on standard output. Errors: `ERR_OUTPUT`. */
  writeOut(text: string): void
  mayCapture(): boolean
  openCapture(request: LiveCaptureRequest): Promise<LiveCapture>
  /** The bytes of a capture file or, for `-`, standard input. Errors: `ERR_CAPTURE_OPEN`. */
  openReplay(path: string): ReplaySource
  openStore(path: string): Promise<SightingStore>
  /** Becomes the user for good when we are root. Errors: `ERR_PRIVILEGES_USER`, `ERR_PRIVILEGES_DROP`. */
  becomeUser(name: string): Promise<void>
  /** Ends the process at once. */
  endNow(exitCode: number): void
  /** Calls the handler for each signal until the returned function is called. */
  onSignal(handler: (signal: DaemonSignal) => void): () => void
  /** Opens the sender of synchronisation messages; called before privileges are given up. */
  openAnnouncer?: ((options: SpamlogdOptions, logger: Logger) => Promise<WhiteAnnouncer>) | undefined
}

/** The parts of a real spamlogd; the sender of -Y comes from `src/programs`. */
export function systemSpamlogdParts(): SpamlogdParts {
  const ownAddresses = new OwnAddressSet(systemClock)
  return {
    clock: systemClock,
    host: {
      indexOf: new InterfaceIndexes(systemClock).indexOf,
      isOwnAddress: (address) => ownAddresses.has(address),
    },
    openLog: ({ toStderr, isJson, threshold }) => {
      const log = openLog({ program: 'spamlogd', format: isJson ? 'json' : 'classic', toStderr, threshold })
      logFatalErrors(log)
      return log
    },
    writeError: (text) => void process.stderr.write(text),
    writeOut: (text) => writeFully(1, Buffer.from(text)),
    mayCapture: () => isRoot() || hasCaptureCapability(),
    openCapture: (request) => openUnlessEnded(request),
    openReplay,
    openStore: (path) =>
      openStoreInWorker(path, {
        mode: 'write',
        durability: 'normal',
        busyTimeoutMs: BUSY_TIMEOUT_MS,
        gateway: { localPath: resolveSettings({}).localDb, policy: NO_TUPLES, name: 'spamlogd' },
      }),
    becomeUser,
    endNow: (exitCode) => process.exit(exitCode),
    onSignal: onDaemonSignal,
  }
}

/**
 * Before the daemon handles signals, a signal that ends us must also end the program that opens the capture, which is in its
 * own process group.
 * @internal A test ends what opens; the parts of the system would open a capture and end the test.
 */
export async function openUnlessEnded(
  request: LiveCaptureRequest,
  open: (request: LiveCaptureRequest) => Promise<LiveCapture> = openLiveCapture,
  endBy: (signal: NodeJS.Signals) => void = (signal) => process.kill(process.pid, signal),
): Promise<LiveCapture> {
  const signals = ENDING_SIGNALS.filter((signal) => process.listenerCount(signal) === 0)
  const ended = new AbortController()
  let endedBy: NodeJS.Signals | undefined
  const end = (signal: NodeJS.Signals): void => {
    endedBy = signal
    ended.abort()
  }
  for (const signal of signals) process.on(signal, end)
  const stop = request.stop === undefined ? ended.signal : AbortSignal.any([ended.signal, request.stop])
  try {
    return await open({ ...request, stop })
  } finally {
    for (const signal of signals) process.off(signal, end)
    if (endedBy !== undefined) endBy(endedBy)
  }
}

/**
 * True when Linux capabilities allow what root would be needed for.
 * @internal A test reads the capabilities of other processes than itself.
 */
export function hasCaptureCapability(statusPath = '/proc/self/status'): boolean {
  let status: string
  try {
    status = readFileSync(statusPath, 'latin1')
  } catch {
    return false
  }
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1]
  if (effective === undefined) return false
  const bits = BigInt(`0x${effective}`)
  return ((bits >> CAP_NET_ADMIN) & 1n) === 1n || ((bits >> CAP_NET_RAW) & 1n) === 1n
}

function openReplay(path: string): ReplaySource {
  const name = path === '-' ? 'standard input' : path
  let fd: number
  let isFile: boolean
  try {
    fd = path === '-' ? 0 : openSync(path, 'r')
    const status = fstatSync(fd)
    if (status.isDirectory()) throw new AppError('ERR_CAPTURE_OPEN', `${name}: Is a directory`)
    isFile = status.isFile()
  } catch (error) {
    if (error instanceof AppError) throw error
    throw new AppError('ERR_CAPTURE_OPEN', `${name}: ${reasonOf(error)}`, { cause: error })
  }
  keepYoungGenerationSmall()
  if (isFile) return { isFile, chunks: readFileChunks(fd, name), abort: () => {} }
  const stream = path === '-' ? process.stdin : createReadStream('', { fd })
  let isAborted = false
  return {
    isFile,
    abort: () => {
      isAborted = true
      stream.destroy()
    },
    chunks: readPipeChunks(stream, name, () => isAborted),
  }
}

/** Every chunk is in the same buffer: it must be used before the next one is requested. */
async function* readFileChunks(fd: number, name: string): AsyncGenerator<Uint8Array> {
  const buffer = Buffer.alloc(READ_CHUNK_BYTES)
  try {
    for (;;) {
      const { bytesRead } = await readIntoBuffer(fd, buffer, 0, buffer.length, null)
      if (bytesRead === 0) return
      yield buffer.subarray(0, bytesRead)
    }
  } catch (error) {
    throw new AppError('ERR_CAPTURE_OPEN', `${name}: ${reasonOf(error)}`, { cause: error })
  } finally {
    // Standard input is not ours to close.
    if (fd !== 0) closeSync(fd)
  }
}

async function* readPipeChunks(
  stream: Readable,
  name: string,
  isAborted: () => boolean,
): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of stream) yield chunk as Uint8Array
  } catch (error) {
    if (isAborted()) return
    throw new AppError('ERR_CAPTURE_OPEN', `${name}: ${reasonOf(error)}`, { cause: error })
  }
}

async function becomeUser(name: string): Promise<void> {
  if (!isRoot()) return
  const user = await findUser(name)
  if (user === undefined) {
    throw new AppError('ERR_PRIVILEGES_USER', `no such user ${name}`, {
      hint: `create it (Debian: useradd --system --home-dir /nonexistent --shell /usr/sbin/nologin ${name}) or name another with --user`,
    })
  }
  dropPrivileges(user)
}
