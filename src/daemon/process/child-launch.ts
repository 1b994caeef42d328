/**
 * Starts the unprivileged process with as little as possible: no privileges, no way to regain them, and a
 * clean environment.
 */
import { closeSync, existsSync, openSync } from 'node:fs'
import { createRequire } from 'node:module'
import { escapeControl } from '../../codec/escape.js'
import { AppError } from '../../platform/app-error.js'
import { reasonOf } from '../../platform/errno-text.js'
import { interpreterPath } from '../../platform/interpreter.js'
import type { Logger } from '../../platform/log.js'
import { actAs, hasRights, type SystemUser } from '../../platform/privileges.js'
import { type ChildProcess, forkProgram, type ProcessRunner, runProcess } from '../../platform/run-process.js'

const SETPRIV = '/usr/bin/setpriv'
const TRIAL_TIMEOUT_MS = 10_000
/** Variables that are kept: time zone and language of log lines, and whether stderr is the journal. */
const KEPT_VARIABLES: ReadonlySet<string> = new Set(['TZ', 'LANG', 'LC_ALL', 'LC_TIME', 'JOURNAL_STREAM'])
/**
 * Variables for a database on a server: the location of the password file, etc. Source: PostgreSQL manual,
 * "Environment Variables".
 */
const SERVER_VARIABLE = /^PG[A-Z]+$/
const CHILD_PATH = '/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin'
/**
 * How glibc returns memory: lists and tables are allocated in blocks of megabytes, and by default it raises
 * the threshold with each freed block, and gives each thread its own heap. Other systems ignore these
 * variables.
 */
const MEMORY_VARIABLES = {
  MALLOC_ARENA_MAX: '1',
  MALLOC_MMAP_THRESHOLD_: '131072',
  MALLOC_TRIM_THRESHOLD_: '131072',
}
/** What the child loads besides its own modules, by name as seen from them. */
const NATIVE_PACKAGE = 'better-sqlite3/package.json'

/** A program that drops its own privileges and then becomes the one named after its arguments. */
export interface Launcher {
  program: string
  args: readonly string[]
}

/**
 * setpriv(1) of util-linux with all options supported here, or undefined if it is missing or refuses, which
 * is logged: Node itself can change the user, but cannot drop capabilities, the bounding set and setuid
 * programs.
 */
export async function findLauncher(
  user: SystemUser | undefined,
  logger: Logger,
  run: ProcessRunner = runProcess,
  program: string = SETPRIV,
): Promise<Launcher | undefined> {
  if (process.platform !== 'linux') return undefined
  const becoming = user === undefined ? [] : [`--reuid=${user.uid}`, `--regid=${user.gid}`, '--clear-groups']
  const always = ['--no-new-privs', '--inh-caps=-all', '--ambient-caps=-all']
  const attempts = [
    [...becoming, ...always, '--bounding-set=-all', '--'],
    // Only a holder of CAP_SETPCAP can empty the bounding set.
    [...becoming, ...always, '--'],
  ]
  let failure = `${program} is missing (package util-linux)`
  if (existsSync(program)) {
    for (const args of attempts) {
      const problem = await trial(run, program, args)
      if (problem === undefined) {
        if (args !== attempts[0] && hasRights()) {
          logger.log('notice', `the unprivileged process keeps its bounding set: ${failure}`)
        }
        return { program, args }
      }
      failure = problem
    }
  }
  logger.log(
    'warning',
    `${failure}: the unprivileged process runs without no_new_privs${user === undefined && hasRights() ? ' and keeps the capabilities of this one' : ''}`,
  )
  return undefined
}

/** Runs the launcher with a program that does nothing; returns the error, or undefined. */
async function trial(
  run: ProcessRunner,
  program: string,
  args: readonly string[],
): Promise<string | undefined> {
  try {
    const { exitCode, stderrTail } = await run({
      program,
      args: [...args, 'true'],
      timeoutMs: TRIAL_TIMEOUT_MS,
      maxStdoutBytes: 1_000,
    })
    if (exitCode === 0) return undefined
    const [line = `status ${exitCode}`] = stderrTail.split('\n')
    return escapeControl(line === '' ? `${program} returned status ${exitCode}` : line)
  } catch (error) {
    return reasonOf(error)
  }
}

/**
 * Throws `AppError` `ERR_SPAMD_PROGRAMS` when the user cannot read the child's program files, as in a
 * checkout below /root: Node would end with a long message of its own.
 */
export function checkProgramsFor(user: SystemUser, childModule: string): void {
  const paths = [interpreterPath(), childModule, createRequire(childModule).resolve(NATIVE_PACKAGE)]
  actAs(user, () => {
    for (const path of paths) {
      try {
        closeSync(openSync(path, 'r'))
      } catch (error) {
        throw new AppError(
          'ERR_SPAMD_PROGRAMS',
          `the user ${user.name} cannot read the programs: ${path}: ${reasonOf(error)}`,
          {
            hint: 'install them where every user can read them (a package, or npm install -g), or make the folders above searchable: chmod o+x',
            cause: error,
          },
        )
      }
    }
  })
}

/** Starts the child: descriptor 3 is Node's channel for sockets, 4 the one for messages. */
export function launchChild(
  childModule: string,
  options: { user: SystemUser | undefined; launcher: Launcher | undefined; hasStderrPipe: boolean },
): ChildProcess {
  const { user, launcher, hasStderrPipe } = options
  const output = hasStderrPipe ? (['ignore', 'pipe'] as const) : (['inherit', 'inherit'] as const)
  return forkProgram(childModule, [], {
    launcher,
    stdio: ['ignore', ...output, 'ipc', 'pipe'],
    env: childEnvironment(),
    cwd: '/',
    // The launcher changes the user by itself.
    ...(user === undefined || launcher !== undefined ? {} : { uid: user.uid, gid: user.gid }),
  })
}

function childEnvironment(): NodeJS.ProcessEnv {
  const environment: NodeJS.ProcessEnv = { PATH: CHILD_PATH, HOME: '/', ...MEMORY_VARIABLES }
  for (const [name, value] of Object.entries(process.env)) {
    if (KEPT_VARIABLES.has(name) || SERVER_VARIABLE.test(name)) environment[name] = value
  }
  return environment
}
