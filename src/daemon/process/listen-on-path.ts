import { existsSync, lstatSync, unlinkSync } from 'node:fs'
import { chmod } from 'node:fs/promises'
import { connect, type Server } from 'node:net'
import { dirname } from 'node:path'
import { AppError, isSystemError } from '../../platform/app-error.js'
import { errnoText, reasonOf } from '../../platform/errno-text.js'

/** Group members may use the socket: the group of the daemon's user. */
const SOCKET_MODE = 0o660

/** A longer path would be cut in silence. Source: sun_path of struct sockaddr_un, sys/un.h, less its NUL. */
const MAX_PATH_BYTES = process.platform === 'linux' ? 107 : 103

/**
 * Listens on a path, mode 0660. A socket left behind by a daemon that is gone is replaced. `AppError`
 * `ERR_CONTROL_SOCKET_TAKEN` when another daemon answers there, `ERR_CONTROL_SOCKET` for everything else.
 */
export async function listenOnPath(server: Server, path: string): Promise<void> {
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) {
    throw new AppError(
      'ERR_CONTROL_SOCKET',
      `cannot listen on ${path}: longer than ${MAX_PATH_BYTES} bytes, which a socket may not be`,
    )
  }
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
    await chmod(path, SOCKET_MODE)
  } catch (error) {
    server.close()
    // libuv calls a missing folder a missing right.
    const isFolderMissing = !existsSync(dirname(path))
    const reason = isFolderMissing ? errnoText('ENOENT') : reasonOf(error)
    throw new AppError('ERR_CONTROL_SOCKET', `cannot listen on ${path}: ${reason}`, {
      hint: isFolderMissing ? `make its folder first: mkdir -p ${dirname(path)}` : undefined,
      cause: error,
    })
  } finally {
    process.umask(previousMask)
  }
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
    throw new AppError('ERR_CONTROL_SOCKET_TAKEN', `cannot listen on ${path}: another daemon listens there`, {
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
