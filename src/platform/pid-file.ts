import { closeSync, constants, openSync, readFileSync, renameSync, unlinkSync, writeSync } from 'node:fs'
import { AppError } from './app-error.js'
import { reasonOf } from './errno-text.js'

/**
 * Writes our process id to a file (mode 0644), in one step, never through a symbolic link. Returns what removes it again,
 * which leaves the file alone when another process has written its own id meanwhile.
 * Errors: `AppError` `ERR_PIDFILE`.
 */
export function writePidFile(path: string, pid: number = process.pid): () => void {
  const temporaryPath = `${path}.${pid}`
  try {
    const fd = openSync(
      temporaryPath,
      constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW,
      0o644,
    )
    writeSync(fd, `${pid}\n`)
    closeSync(fd)
    renameSync(temporaryPath, path)
  } catch (error) {
    throw new AppError('ERR_PIDFILE', `cannot write pid file ${path}: ${reasonOf(error)}`, { cause: error })
  }
  return () => {
    try {
      if (readFileSync(path, 'latin1') === `${pid}\n`) unlinkSync(path)
    } catch {
      // Gone already, or the unprivileged user may not remove it: a stale pid file harms nobody.
    }
  }
}
