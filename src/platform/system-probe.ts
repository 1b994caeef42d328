/**
 * The only interface through which the state of the machine is read: programs that only print, files, users,
 * disk space, processes, ports. `spamdctl doctor`, `status` and `why` use nothing else, so tests can
 * substitute recorded outputs of any system. A probe changes nothing and never throws: what could not be read
 * is a result.
 */
import { accessSync, constants, readdirSync, readFileSync, statfsSync, statSync } from 'node:fs'
import { connect } from 'node:net'
import { AppError, errnoOf, isSystemError } from './app-error.js'
import { reasonOf } from './errno-text.js'
import { readWithoutWaiting } from './file-io.js'
import { findUser, isRoot, type SystemUser } from './privileges.js'
import { runProcess } from './run-process.js'
import { currentSystem, type SystemName } from './settings.js'

/** What a program printed, or why there is no output. `reason` is for people. */
export type CommandOutput =
  | { kind: 'ended'; status: number; stdout: string; stderr: string }
  | { kind: 'missing'; reason: string }
  | { kind: 'failed'; reason: string; errno?: string | undefined }

/** Text of a file, or why there is none. */
export type FileText =
  | { kind: 'text'; text: string }
  | { kind: 'missing' }
  | { kind: 'unreadable'; reason: string }

/** Permissions of a file or folder, or why they are unknown. */
export type FileFacts =
  | { kind: 'found'; uid: number; gid: number; mode: number; isFolder: boolean; sizeBytes: number }
  | { kind: 'missing' }
  | { kind: 'unreadable'; reason: string }

/** A running process. */
export interface ProcessFacts {
  pid: number
  parentPid: number
  /** Name, or the number if it has none. */
  user: string
  /** Seconds since the Epoch; undefined when unknown. */
  startedSec: number | undefined
  /** Words joined by blanks, as ps(1) shows them. */
  command: string
}

/** The machine as the checks see it. */
export interface SystemProbe {
  readonly system: SystemName
  readonly isRoot: boolean
  /** Version of the running Node, `v22.14.0`. */
  readonly nodeVersion: string
  nowSec(): number
  /** Runs a program that only prints; `program` is a name or an absolute path. Output as latin-1. */
  run(program: string, args: readonly string[]): Promise<CommandOutput>
  readFile(path: string): FileText
  stat(path: string): FileFacts
  /** True when this process may read the file. */
  canRead(path: string): boolean
  /** Free and total bytes on the file system of `path`; undefined when unknown. */
  diskSpace(path: string): { freeBytes: number; totalBytes: number } | undefined
  findUser(name: string): Promise<SystemUser | undefined>
  /** All processes; undefined when they cannot be listed. */
  processes(): Promise<ProcessFacts[] | undefined>
  /** Whether something accepts TCP connections there; otherwise a text says why not. */
  answersTcp(host: string, port: number): Promise<true | string>
}

/** Where system programs are, regardless of the caller's PATH. */
const PROGRAM_PATH = '/sbin:/bin:/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin'
const RUN_TIMEOUT_MS = 10_000
const CONNECT_TIMEOUT_MS = 2_000
/** Rules and listings are kilobytes; a table's addresses can be more. */
const MAX_OUTPUT_BYTES = 256 * 1024 * 1024

/** The running machine. */
export class LiveSystem implements SystemProbe {
  readonly system: SystemName = currentSystem()
  readonly isRoot = isRoot()
  readonly nodeVersion = process.version

  nowSec(): number {
    return Math.floor(Date.now() / 1000)
  }

  async run(program: string, args: readonly string[]): Promise<CommandOutput> {
    try {
      const result = await runProcess({
        program,
        args,
        timeoutMs: RUN_TIMEOUT_MS,
        maxStdoutBytes: MAX_OUTPUT_BYTES,
        // Messages in English, and no pager.
        env: { PATH: PROGRAM_PATH, LC_ALL: 'C', SYSTEMD_PAGER: '', TZ: 'UTC' },
      })
      if (result.hasTimedOut) return { kind: 'failed', reason: `${program} did not end within 10 seconds` }
      if (result.exitCode === null) return { kind: 'failed', reason: `${program} died on ${result.signal}` }
      const stdout = result.stdout.toString('latin1')
      return { kind: 'ended', status: result.exitCode, stdout, stderr: result.stderrTail }
    } catch (error) {
      const reason = reasonOf(error)
      if (error instanceof AppError && error.code === 'ERR_PROCESS_MISSING')
        return { kind: 'missing', reason }
      return { kind: 'failed', reason, errno: errnoOf(error) }
    }
  }

  readFile(path: string): FileText {
    try {
      return { kind: 'text', text: readWithoutWaiting(path).toString('latin1') }
    } catch (error) {
      return notSeen(error)
    }
  }

  stat(path: string): FileFacts {
    try {
      const stats = statSync(path)
      const { uid, gid, mode, size } = stats
      return { kind: 'found', uid, gid, mode: mode & 0o7777, isFolder: stats.isDirectory(), sizeBytes: size }
    } catch (error) {
      return notSeen(error)
    }
  }

  canRead(path: string): boolean {
    try {
      accessSync(path, constants.R_OK)
      return true
    } catch {
      return false
    }
  }

  diskSpace(path: string): { freeBytes: number; totalBytes: number } | undefined {
    try {
      const { bavail, blocks, bsize } = statfsSync(path)
      return { freeBytes: bavail * bsize, totalBytes: blocks * bsize }
    } catch {
      return undefined
    }
  }

  findUser(name: string): Promise<SystemUser | undefined> {
    return findUser(name)
  }

  async processes(): Promise<ProcessFacts[] | undefined> {
    const listed = await this.run('ps', PS_ARGUMENTS)
    if (listed.kind === 'ended' && listed.status === 0) return parsePs(listed.stdout)
    return this.system === 'linux' ? readProc() : undefined
  }

  answersTcp(host: string, port: number): Promise<true | string> {
    return new Promise((resolve) => {
      const socket = connect({ host, port })
      const end = (result: true | string): void => {
        socket.destroy()
        resolve(result)
      }
      socket.setTimeout(CONNECT_TIMEOUT_MS, () => end('no answer within 2 seconds'))
      socket.on('connect', () => end(true))
      socket.on('error', (error) => end(reasonOf(error)))
    })
  }
}

/**
 * Options of ps(1) that OpenBSD, FreeBSD and Linux all support; `lstart` is the only start time that all
 * print alike.
 */
const PS_ARGUMENTS = ['-axww', '-o', 'pid=', '-o', 'ppid=', '-o', 'user=', '-o', 'lstart=', '-o', 'args=']

const PS_LINE =
  /^\s*([0-9]+)\s+([0-9]+)\s+(\S+)\s+([A-Z][a-z]{2} [A-Z][a-z]{2} +[0-9]+ [0-9:]{8} [0-9]{4})\s+(.*)$/

/**
 * Lines of ps(1) as called with `PS_ARGUMENTS` in UTC; lines in another format are ignored.
 * @internal Tests read what ps printed on other systems.
 */
export function parsePs(listing: string): ProcessFacts[] {
  return listing.split('\n').flatMap((line) => {
    const [, pid, parentPid, user, started, command] = PS_LINE.exec(line) ?? []
    if (pid === undefined) return []
    const startedMs = Date.parse(`${started} UTC`)
    return {
      pid: Number(pid),
      parentPid: Number(parentPid),
      user: user!,
      startedSec: Number.isNaN(startedMs) ? undefined : Math.floor(startedMs / 1000),
      command: command!,
    }
  })
}

/** The same from proc(5), for machines without procps. */
function readProc(): ProcessFacts[] | undefined {
  let names: string[]
  try {
    names = readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name))
  } catch {
    return undefined
  }
  return names.flatMap((name) => {
    try {
      const command = readFileSync(`/proc/${name}/cmdline`, 'latin1').replace(/\0/g, ' ').trim()
      const parent = /^PPid:\s*([0-9]+)$/m.exec(readFileSync(`/proc/${name}/status`, 'latin1'))?.[1]
      const { uid, mtimeMs } = statSync(`/proc/${name}`)
      const startedSec = Math.floor(mtimeMs / 1000)
      return { pid: Number(name), parentPid: Number(parent ?? 0), user: String(uid), startedSec, command }
    } catch {
      // It has ended meanwhile.
      return []
    }
  })
}

function notSeen(error: unknown): { kind: 'missing' } | { kind: 'unreadable'; reason: string } {
  if (isSystemError(error) && error.code === 'ENOENT') return { kind: 'missing' }
  return { kind: 'unreadable', reason: reasonOf(error) }
}
