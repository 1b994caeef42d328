import {
  accessSync,
  closeSync,
  constants,
  openSync,
  readFileSync,
  renameSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { AppError } from './app-error.js'
import { reasonOf } from './errno-text.js'
import { hasRights } from './privileges.js'
import { distrustOf } from './trusted-folder.js'

/**
 * Writes our process id to a file (mode 0644), in one step, never through a symbolic link. Returns a function
 * that removes it again, unless another process has written its own id in the meantime. A privileged process
 * writes none where another user could interfere. Errors: `AppError` `ERR_PIDFILE`.
 */
export function writePidFile(path: string, pid: number = process.pid): () => void {
  const temporaryPath = `${path}.${pid}`
  try {
    refuseForeignFolder(path)
    const fd = openSync(
      temporaryPath,
      constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW,
      0o644,
    )
    writeSync(fd, `${pid}\n`)
    closeSync(fd)
    renameSync(temporaryPath, path)
  } catch (error) {
    if (error instanceof AppError) throw error
    throw new AppError('ERR_PIDFILE', `cannot write pid file ${path}: ${reasonOf(error)}`, { cause: error })
  }
  return () => {
    try {
      if (readFileSync(path, 'latin1') === `${pid}\n`) unlinkSync(path)
    } catch {
      // Already removed, or the unprivileged user may not remove it: a stale pid file is harmless.
    }
  }
}

/**
 * Throws the `ERR_PIDFILE` with which `writePidFile` would fail, as far as the folder shows; writes nothing.
 */
export function checkPidFile(path: string): void {
  try {
    refuseForeignFolder(path)
    accessSync(dirname(path), constants.W_OK)
  } catch (error) {
    if (error instanceof AppError) throw error
    throw new AppError('ERR_PIDFILE', `cannot write pid file ${path}: ${reasonOf(error)}`, { cause: error })
  }
}

function refuseForeignFolder(path: string): void {
  const distrust = hasRights() ? distrustOf(dirname(path)) : undefined
  if (distrust === undefined) return
  throw new AppError('ERR_PIDFILE', `cannot write pid file ${path}: ${distrust}`, {
    hint: 'name a file in a folder that only root can write, such as /run or /var/run',
  })
}
