/**
 * Detaching from the terminal. Node cannot fork, so the program starts itself again in a new session, shows
 * what that process prints on stderr while it starts, and exits with its result: the caller's exit code shows
 * success.
 */
import { closeSync, openSync, writeSync } from 'node:fs'
import { isAbsolute } from 'node:path'
import { guardedExecArgv } from './inspector-guard.js'
import { interpreterPath } from './interpreter.js'
import { spawnDetached } from './run-process.js'

/** Tells the second process that it is the background one; has no other content. */
const BACKGROUND_VARIABLE = 'SPAMD_IN_BACKGROUND'
/** Descriptor on which the background process reports that it is ready. */
const READY_FD = 3

/** True in the process that `startInBackground` started. */
export function isBackgroundProcess(environment: NodeJS.ProcessEnv = process.env): boolean {
  return environment[BACKGROUND_VARIABLE] === '1'
}

/**
 * Starts this program again in the background, same arguments, and resolves with the exit code for the
 * caller: 0 as soon as the background process has called `reportReady`, else its own exit code (1 when a
 * signal ended it).
 */
export async function startInBackground(
  argv: readonly string[] = process.argv.slice(1),
  environment: NodeJS.ProcessEnv = process.env,
): Promise<number> {
  const { child, readyPipe, stderr } = spawnDetached(interpreterPath(), [...guardedExecArgv(), ...argv], {
    ...environment,
    [BACKGROUND_VARIABLE]: '1',
  })
  stderr.pipe(process.stderr, { end: false })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    readyPipe.once('data', () => {
      child.unref()
      for (const stream of [readyPipe, stderr]) stream.destroy()
      resolve(0)
    })
    // 'close' comes after the last line of stderr, so that no reason is lost.
    child.once('close', (exitCode) => resolve(exitCode ?? 1))
  })
}

/**
 * In the background process: everything is open, so let the caller's shell continue. From here on stderr is
 * discarded, and the working directory is `/`, unless relative paths of the command line are still to be
 * opened (`keepsFolder`). Does nothing in the foreground.
 */
export function reportReady(
  environment: NodeJS.ProcessEnv = process.env,
  { keepsFolder = false } = {},
): void {
  if (!isBackgroundProcess(environment)) return
  // Programs that we start must not believe to be the background process.
  delete environment[BACKGROUND_VARIABLE]
  writeSync(READY_FD, 'ready\n')
  closeSync(READY_FD)
  closeSync(2)
  // The lowest free descriptor is the one just closed.
  openSync('/dev/null', 'r+')
  if (!keepsFolder) process.chdir('/')
}

/**
 * True when a path is relative: a daemon that opens or removes it later must stay in the folder in which it
 * was started.
 */
export function hasRelativePath(paths: readonly (string | undefined)[]): boolean {
  return paths.some((path) => path !== undefined && !isAbsolute(path))
}
