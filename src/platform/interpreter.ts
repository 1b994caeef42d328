/**
 * The path of the running Node, for starting it again. If the system does not know the file of a running
 * program (OpenBSD), Node builds `process.execPath` from the word by which it was called and the current
 * folder: a file `node` that someone put there would then be run with our privileges.
 */
import { accessSync, constants, statSync } from 'node:fs'
import { isAbsolute, join } from 'node:path'
import { AppError } from './app-error.js'

/** How this process was started. */
export interface InterpreterTraces {
  platform: string
  /** First word of the call. */
  argv0: string
  execPath: string
  searchPath: string
}

/** Systems that know the file of a running program. Source: uv_exepath() of libuv. */
const EXACT_SYSTEMS: readonly string[] = ['linux', 'freebsd', 'darwin', 'netbsd', 'sunos', 'android']

/** Throws `AppError` `ERR_INTERPRETER` when the path cannot be known for certain. */
export function interpreterPath(
  traces: InterpreterTraces = {
    platform: process.platform,
    argv0: process.argv0,
    execPath: process.execPath,
    searchPath: process.env.PATH ?? '',
  },
  isProgram: (path: string) => boolean = isExecutableFile,
): string {
  const { platform, argv0, execPath, searchPath } = traces
  if (EXACT_SYSTEMS.includes(platform)) return execPath
  // A call by path means that file.
  if (argv0.includes('/')) return isAbsolute(argv0) ? argv0 : execPath
  for (const folder of searchPath.split(':')) {
    const path = join(folder, argv0)
    // A relative entry of PATH would be resolved in the current folder.
    if (isAbsolute(folder) && isProgram(path)) return path
  }
  throw new AppError('ERR_INTERPRETER', 'cannot tell which node runs this program', {
    hint: 'put the folder of node into PATH, or start the program with the full path of node',
  })
}

function isExecutableFile(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}
