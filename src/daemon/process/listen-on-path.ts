import { lstatSync, unlinkSync } from 'node:fs'
import { chmod } from 'node:fs/promises'
import { connect, type Server } from 'node:net'
import { AppError, isSystemError } from '../../platform/app-error.js'
import { reasonOf } from '../../platform/errno-text.js'

/** Group members may use the socket: the group of the daemon's user. */
const SOCKET_MODE = 0o660

/**
 * Listens on a path, mode 0660. A socket left behind by a daemon that is gone is replaced; `AppError`
 * `ERR_CONTROL_SOCKET` when another daemon answers there or the path is something else.
 */
export async function listenOnPath(server: Server, path: string): Promise<void> {
  await removeStaleSocket(path)
  const previousMask = process.umask(0o177)
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(path, () => {
        server.removeListener('error', reject)
        resolve()
      })
    })
  } catch (error) {
    throw new AppError('ERR_CONTROL_SOCKET', `cannot listen on ${path}: ${reasonOf(error)}`, { cause: error })
  } finally {
    process.umask(previousMask)
  }
  await chmod(path, SOCKET_MODE)
}

async function removeStaleSocket(path: string): Promise<void> {
  try {
    if (!lstatSync(path).isSocket()) {
      throw new AppError('ERR_CONTROL_SOCKET', `cannot listen on ${path}: it exists and is not a socket`)
    }
  } catch (error) {
    if (isSystemError(error)) return
    throw error
  }
  if (await answers(path)) {
    throw new AppError('ERR_CONTROL_SOCKET', `cannot listen on ${path}: another daemon listens there`, {
      hint: 'stop it first, or give this one another --config-socket',
    })
  }
  unlinkSync(path)
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
