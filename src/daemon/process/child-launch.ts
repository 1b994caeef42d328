/** Starts the unprivileged process with as little as it needs: no rights, no way to more, no environment of ours. */
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
/** Variables that the child keeps: time zone and language of log lines, and whether stderr is the journal. */
const KEPT_VARIABLES: ReadonlySet<string> = new Set(['TZ', 'LANG', 'LC_ALL', 'LC_TIME', 'JOURNAL_STREAM'])
/** Those of a database on a server: where the file of passwords is, and the like. Source: PostgreSQL manual, "Environment Variables". */
const SERVER_VARIABLE = /^PG[A-Z]+$/
const CHILD_PATH = '/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin'
/**
 * How glibc hands memory back: lists and tables come and go in pieces of megabytes, and by itself it raises the size from which
 * it does so with each that is freed, and gives each thread a heap of its own. Other systems do not know these names.
 */
const MEMORY_VARIABLES = {
  MALLOC_ARENA_MAX: '1',
  MALLOC_MMAP_THRESHOLD_: '131072',
  MALLOC_TRIM_THRESHOLD_: '131072',
}
/** What the child loads besides its own modules, by name as seen from them. */
const NATIVE_PACKAGE = 'better-sqlite3/package.json'

/** A program that takes rights from itself and then becomes the one named behind its arguments. */
export interface Launcher {
  program: string
  args: readonly string[]
}

/**
 * setpriv(1) of util-linux with all that it can take here, or undefined where it is missing or refuses, which is logged:
 * Node itself can change the user, but cannot give up capabilities, the bounding set and the way to setuid programs.
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
    // The bounding set can be emptied by those only who hold CAP_SETPCAP.
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

/** Runs the launcher on a program that does nothing; what went wrong, or undefined. */
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
 * Throws `AppError` `ERR_SPAMD_PROGRAMS` when the user cannot read what the child is made of, as in a checkout below
 * /root: Node would end with a page of its own words.
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
