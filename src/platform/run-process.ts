/**
 * The only place that starts programs. Never through a shell: a program by absolute path or PATH name, and a
 * fixed argument vector; lists are passed on stdin.
 */
import { type ChildProcess, fork, type StdioOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Readable, Writable } from 'node:stream'
import { AppError, errnoOf } from './app-error.js'
import { reasonOf } from './errno-text.js'
import { guardedExecArgv } from './inspector-guard.js'
import { interpreterPath } from './interpreter.js'

export type { ChildProcess }

/** Time between SIGTERM and SIGKILL for a program that exceeded its time-out. */
const KILL_GRACE_MS = 2_000
/** How much of a program's stderr is kept: enough for the last lines of any diagnostic. */
const STDERR_TAIL_BYTES = 8_192

export interface ProcessRequest {
  program: string
  args: readonly string[]
  /**
   * What the program reads. Absent: a pipe that is closed at once. When the source throws, the program is
   * killed before its pipe is closed, so that it never mistakes half an input for the whole (pfctl.md section
   * 11). `{ fd }` is an open file at offset 0: the program gets all of it even if we are killed in the
   * meantime.
   */
  stdin?: Uint8Array | AsyncIterable<Uint8Array> | Iterable<Uint8Array> | { fd: number }
  /** SIGTERM after this time, SIGKILL 2 s later; Infinity for a program that runs as long as we do. */
  timeoutMs: number
  /** Replaces the environment; absent: inherited. */
  env?: NodeJS.ProcessEnv
  cwd?: string
  uid?: number
  gid?: number
  /**
   * Processes that the program leaves running in its group may continue to print for this long after its end
   * and are then killed. Absent: they are left alone.
   */
  orphanMs?: number
  /** Aborting kills the program with SIGKILL. */
  signal?: AbortSignal
}

export interface ProcessEnd {
  /** Exit status, or null when a signal ended it. */
  exitCode: number | null
  signal: NodeJS.Signals | null
  hasTimedOut: boolean
  /** The last 8 KiB of stderr, one character per byte; pass it through `escapeControl` before showing. */
  stderrTail: string
}

export interface ProcessResult extends ProcessEnd {
  stdout: Buffer
}

/** A running program whose stdout is read as it arrives. */
export interface RunningProcess {
  readonly pid: number
  /** Chunks of stdout; leaving the loop early kills the program. */
  readonly stdout: AsyncIterable<Uint8Array>
  /**
   * Resolves when the program has ended and stdout is drained or abandoned; rejects when its stdin source
   * threw.
   */
  readonly ended: Promise<ProcessEnd>
  kill(signal: NodeJS.Signals): void
  /** Closes its pipes and forgets it, if it does not end although it was told to. */
  leave(): void
}

/** Runs programs; the firewall and feeds take it as an argument so that tests can stand in for it. */
export type ProcessRunner = (request: ProcessRequest & { maxStdoutBytes: number }) => Promise<ProcessResult>

/**
 * Runs a program to its end and collects stdout.
 *
 * Errors: `ERR_PROCESS_MISSING` (no such program), `ERR_PROCESS_DENIED`, `ERR_PROCESS_START`,
 * `ERR_PROCESS_OUTPUT` (more than `maxStdoutBytes`; the program is killed). An exit status other than 0 is a
 * result, not an error.
 */
export const runProcess: ProcessRunner = async (request) => {
  const running = await startProcess(request)
  const chunks: Uint8Array[] = []
  let sizeBytes = 0
  for await (const chunk of running.stdout) {
    sizeBytes += chunk.length
    if (sizeBytes > request.maxStdoutBytes) {
      throw new AppError(
        'ERR_PROCESS_OUTPUT',
        `${request.program}: printed more than ${request.maxStdoutBytes} bytes`,
      )
    }
    chunks.push(chunk)
  }
  return { ...(await running.ended), stdout: Buffer.concat(chunks) }
}

/** Starts a program and hands out its stdout as a stream. Errors as in `runProcess`. */
export async function startProcess(request: ProcessRequest): Promise<RunningProcess> {
  const source = request.stdin
  const child = spawn(request.program, [...request.args], {
    // A separate process group: a time-out must also end what the program started.
    detached: true,
    stdio: [source !== undefined && 'fd' in source ? source.fd : 'pipe', 'pipe', 'pipe'],
    ...(request.env === undefined ? {} : { env: request.env }),
    ...(request.cwd === undefined ? {} : { cwd: request.cwd }),
    ...(request.uid === undefined ? {} : { uid: request.uid }),
    ...(request.gid === undefined ? {} : { gid: request.gid }),
  })
  try {
    await once(child, 'spawn')
  } catch (error) {
    throw startError(request.program, error)
  }
  // Attached before anything is awaited: the events of a short program come early.
  const stdout = child.stdout!
  // When a program ends, Node discards what nobody listens for; our reader may come later.
  stdout.on('readable', () => undefined)
  const exit = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>
  const closed = once(child, 'close')
  const stderr = collectTail(child.stderr!)

  let hasTimedOut = false
  let areClosedByUs = false
  const kill = (signal: NodeJS.Signals) => killGroup(child, signal)
  const giveUp = () => {
    kill('SIGKILL')
    // Processes that left the group may still hold our pipes open.
    timers.push(setTimeout(closePipes, KILL_GRACE_MS))
  }
  const closePipes = () => {
    areClosedByUs = true
    for (const stream of [stdout, child.stderr!]) stream.destroy()
  }
  const timers: NodeJS.Timeout[] = []
  const endInTime = () => {
    hasTimedOut = true
    kill('SIGTERM')
    timers.push(setTimeout(giveUp, KILL_GRACE_MS))
  }
  const { orphanMs } = request
  if (orphanMs !== undefined) {
    runningGroups.add(child.pid!)
    void exit.then(() => timers.push(setTimeout(giveUp, orphanMs)))
  }
  if (request.timeoutMs !== Infinity) timers.push(setTimeout(endInTime, request.timeoutMs))
  if (request.signal?.aborted) giveUp()
  request.signal?.addEventListener('abort', giveUp, { once: true })

  const feeding =
    source !== undefined && 'fd' in source ? Promise.resolve() : feedStdin(child, child.stdin!, source, exit)
  // Awaited below, after the end: until then its rejection must not count as unhandled.
  feeding.catch(() => undefined)
  const ended = (async (): Promise<ProcessEnd> => {
    const [exitCode, signal] = await exit
    const stderrTail = await stderr
    await closed
    if (orphanMs !== undefined) {
      kill('SIGKILL')
      runningGroups.delete(child.pid!)
    }
    for (const timer of timers) clearTimeout(timer)
    request.signal?.removeEventListener('abort', giveUp)
    await feeding
    return { exitCode, signal, hasTimedOut, stderrTail }
  })()
  // The caller may be reading stdout when stdin's source fails; the rejection must still reach it.
  ended.catch(() => undefined)

  const leave = (): void => {
    for (const timer of timers) clearTimeout(timer)
    for (const stream of child.stdio) stream?.destroy()
    child.unref()
  }
  return { pid: child.pid!, stdout: readThenKill(stdout, giveUp, () => areClosedByUs), ended, kill, leave }
}

/** Groups that must not outlive us. */
const runningGroups = new Set<number>()

/**
 * Kills every program that was started with `orphanMs`, and what it started: for a process that is about to
 * end.
 */
export function killRunningPrograms(): void {
  for (const pid of runningGroups) {
    try {
      process.kill(-pid, 'SIGKILL')
    } catch {
      // Everything in the group has ended already.
    }
  }
}

/**
 * Starts another of our Node programs with an IPC channel for text; stdio is inherited unless given.
 * `launcher` is a program that changes its own state and then becomes the one named by its last arguments.
 * Its inspector stays disabled.
 */
export function forkProgram(
  modulePath: string,
  args: readonly string[],
  options: {
    env?: NodeJS.ProcessEnv
    stdio?: StdioOptions
    launcher?: { program: string; args: readonly string[] } | undefined
    cwd?: string
    uid?: number
    gid?: number
  } = {},
): ChildProcess {
  const { launcher, ...rest } = options
  const interpreter = interpreterPath()
  return fork(modulePath, [...args], {
    ...rest,
    serialization: 'json',
    execPath: launcher?.program ?? interpreter,
    execArgv: [...(launcher === undefined ? [] : [...launcher.args, interpreter]), ...guardedExecArgv()],
    stdio: options.stdio ?? ['inherit', 'inherit', 'inherit', 'ipc'],
  })
}

/** Starts another of our Node programs without such a channel; its inspector stays disabled. */
export function spawnProgram(modulePath: string, args: readonly string[], stdio: StdioOptions): ChildProcess {
  return spawn(interpreterPath(), [...guardedExecArgv(), modulePath, ...args], { stdio })
}

/**
 * Starts a program in a new session, without a terminal, that outlives us: stdin and stdout are /dev/null,
 * and we read its stderr and what it writes to descriptor 3.
 */
export function spawnDetached(
  program: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): { child: ChildProcess; readyPipe: Readable; stderr: Readable } {
  const child = spawn(program, [...args], {
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
    env,
  })
  return { child, readyPipe: child.stdio[3] as Readable, stderr: child.stderr! }
}

/** Starts a program that reads lines from us for as long as we live (logger(1)). */
export function spawnLineSink(
  program: string,
  args: readonly string[],
): { child: ChildProcess; stdin: Writable } {
  const child = spawn(program, [...args], { stdio: ['pipe', 'ignore', 'ignore'] })
  return { child, stdin: child.stdin }
}

function startError(program: string, error: unknown): AppError {
  const errno = errnoOf(error)
  const isDenied = errno === 'EACCES' || errno === 'EPERM'
  const code =
    errno === 'ENOENT' ? 'ERR_PROCESS_MISSING' : isDenied ? 'ERR_PROCESS_DENIED' : 'ERR_PROCESS_START'
  return new AppError(code, `cannot run ${program}: ${reasonOf(error)}`, { cause: error })
}

async function feedStdin(
  child: ChildProcess,
  stdin: Writable,
  source: Uint8Array | AsyncIterable<Uint8Array> | Iterable<Uint8Array> | undefined,
  exit: Promise<unknown>,
): Promise<void> {
  // A program that stops reading (EPIPE) has an exit status that explains why; the caller gets that.
  let isClosed = false
  let wake = () => {}
  const wakeUp = () => wake()
  stdin.on('drain', wakeUp)
  stdin.on('error', () => {
    isClosed = true
    wake()
  })
  stdin.on('close', () => {
    isClosed = true
    wake()
  })
  void exit.then(wakeUp, wakeUp)
  try {
    for await (const chunk of source instanceof Uint8Array ? [source] : (source ?? [])) {
      if (isClosed || child.exitCode !== null || child.signalCode !== null) return
      const resumed = new Promise<void>((resolve) => {
        wake = resolve
      })
      if (!stdin.write(chunk)) await resumed
    }
  } catch (error) {
    killGroup(child, 'SIGKILL')
    await exit
    stdin.destroy()
    throw error
  }
  stdin.end()
}

/** Ends when stdout does, even if we closed it: how the program ended explains the rest. */
async function* readThenKill(
  stdout: Readable,
  giveUp: () => void,
  isClosedByUs: () => boolean,
): AsyncGenerator<Uint8Array> {
  let isDrained = false
  try {
    // Killed before its pipe is closed, so that SIGPIPE does not come first.
    for await (const chunk of stdout.iterator({ destroyOnReturn: false })) yield chunk as Uint8Array
    isDrained = true
  } catch (error) {
    if (!isClosedByUs()) throw error
    isDrained = true
  } finally {
    if (!isDrained) giveUp()
    stdout.destroy()
  }
}

function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  try {
    process.kill(-child.pid!, signal)
  } catch {
    // Everything in the group has ended already.
  }
}

async function collectTail(stream: Readable): Promise<string> {
  let tail = ''
  stream.setEncoding('latin1')
  stream.on('data', (text: string) => {
    tail = (tail + text).slice(-STDERR_TAIL_BYTES)
  })
  await once(stream, 'close')
  return tail
}
