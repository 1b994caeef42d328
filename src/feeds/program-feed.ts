/** Methods `exec` and `ftp`: another program prints the list. */
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { escapeControl } from '../codec/escape.js'
import { reasonOf } from '../platform/errno-text.js'
import type { SystemUser } from '../platform/privileges.js'
import { type ProcessEnd, startProcess } from '../platform/run-process.js'
import type { Environment } from '../platform/settings.js'
import { type FeedAnswer, FeedError, type FeedLimits, type FeedRequest } from './feed.js'

/** Maximum excerpt of a failed program's output: one line on a terminal. */
const MAX_EXCERPT = 200

/** FTP clients that print to stdout, with their arguments before the URL. */
const FTP_CLIENTS: readonly { program: string; args: readonly string[] }[] = [
  { program: 'curl', args: ['--silent', '--show-error', '--fail', '--globoff', '--proto', '=ftp', '--'] },
  { program: 'ftp', args: ['-V', '-o', '-'] },
]

export interface ProgramFeedOptions {
  limits: Pick<FeedLimits, 'totalTimeoutMs'>
  /** User to run the program as; undefined: the current one. */
  user: SystemUser | undefined
  environment: Environment
  /** Receives the standard error of a program that succeeded, one character per byte. */
  onMessages?: ((text: string) => void) | undefined
}

/** Where commands are searched if our own environment does not say. */
const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
/** How long processes started by a command may continue to print after it has ended. */
const ORPHAN_MS = 2_000

/**
 * Method `exec`: the words of the command line, split at blanks and tabs, without shell, quoting or
 * expansion. The command has PATH, HOME and LANG as its whole environment and its own process group, which
 * ends with it: processes that it leaves running are killed. A non-zero exit, a signal and the time-out are
 * failures (`ERR_FEED_PROGRAM`, `ERR_FEED_TIMEOUT`), known only after the last byte.
 */
export async function openExecFeed(request: FeedRequest, options: ProgramFeedOptions): Promise<FeedAnswer> {
  const [program, ...args] = request.location.split(/[ \t]+/).filter((word) => word !== '')
  if (program === undefined) throw new FeedError('ERR_FEED_PROGRAM', 'no command given')
  return openProgram(program, args, options, cleanEnvironment(options))
}

function cleanEnvironment({ environment, user }: ProgramFeedOptions): Record<string, string> {
  const { PATH = DEFAULT_PATH, HOME = '/', LANG } = environment
  return {
    PATH,
    HOME: user === undefined ? HOME : (user.home ?? '/'),
    ...(LANG === undefined ? {} : { LANG }),
  }
}

/** Method `ftp`, through curl(1) or ftp(1) of the system. `ERR_FEED_NO_CLIENT` when there is neither. */
export async function openFtpFeed(request: FeedRequest, options: ProgramFeedOptions): Promise<FeedAnswer> {
  const path = options.environment.PATH ?? ''
  for (const client of FTP_CLIENTS) {
    const program = findProgram(client.program, path)
    if (program !== undefined) {
      return openProgram(program, [...client.args, `ftp://${request.location}`], options)
    }
  }
  throw new FeedError('ERR_FEED_NO_CLIENT', 'no program that supports ftp is installed', {
    hint: 'install curl, or use an https address of the list',
  })
}

async function openProgram(
  program: string,
  args: readonly string[],
  options: ProgramFeedOptions,
  env?: Record<string, string>,
): Promise<FeedAnswer> {
  const { user, limits } = options
  try {
    const running = await startProcess({
      program,
      args,
      timeoutMs: limits.totalTimeoutMs,
      cwd: '/',
      orphanMs: ORPHAN_MS,
      ...(env === undefined ? {} : { env }),
      ...(user === undefined ? {} : { uid: user.uid, gid: user.gid }),
    })
    return {
      kind: 'body',
      body: readOutput(running, program, options),
      validator: {},
      freshUntilSec: undefined,
    }
  } catch (error) {
    throw new FeedError('ERR_FEED_PROGRAM', escapeControl(reasonOf(error)), { cause: error })
  }
}

async function* readOutput(
  running: { stdout: AsyncIterable<Uint8Array>; ended: Promise<ProcessEnd> },
  program: string,
  { limits, onMessages }: ProgramFeedOptions,
): AsyncGenerator<Uint8Array> {
  yield* running.stdout
  const end = await running.ended
  if (end.hasTimedOut) {
    throw new FeedError(
      'ERR_FEED_TIMEOUT',
      `${escapeControl(program)} did not end within ${limits.totalTimeoutMs / 1000} s`,
    )
  }
  if (end.exitCode !== 0) throw programFailure(program, end)
  if (end.stderrTail !== '') onMessages?.(end.stderrTail)
}

function programFailure(program: string, end: ProcessEnd): FeedError {
  const how = end.exitCode === null ? `was ended by ${end.signal}` : `ended with status ${end.exitCode}`
  const lastLine = end.stderrTail.trimEnd().split('\n').at(-1) ?? ''
  const excerpt = lastLine === '' ? '' : `: ${escapeControl(lastLine.slice(0, MAX_EXCERPT))}`
  return new FeedError('ERR_FEED_PROGRAM', `${escapeControl(program)} ${how}${excerpt}`)
}

function findProgram(name: string, path: string): string | undefined {
  for (const folder of path.split(delimiter)) {
    if (!folder.startsWith('/')) continue
    const candidate = join(folder, name)
    try {
      accessSync(candidate, constants.X_OK)
      return candidate
    } catch {
      // Not in this folder.
    }
  }
  return undefined
}
