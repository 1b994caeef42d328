import { existsSync, linkSync, lstatSync, type Stats, unlinkSync } from 'node:fs'
import { connect, type Server } from 'node:net'
import { basename, dirname } from 'node:path'
import { AppError, isSystemError } from '../../platform/app-error.js'
import { errnoText, reasonOf } from '../../platform/errno-text.js'
import { distrustOf } from '../../platform/trusted-folder.js'
import { userIds } from '../../platform/user-ids.js'

/** Results in 0660: members of the group, that of the daemon's user, may use the socket. */
const SOCKET_MASK = 0o117

/**
 * A longer path would be truncated silently. Source: sun_path of struct sockaddr_un, sys/un.h, minus its NUL.
 */
const MAX_PATH_BYTES = process.platform === 'linux' ? 107 : 103

export interface PathOptions {
  /** Group of the socket; needs root. Absent: the one that the system gives it. */
  gid?: number | undefined
  /** We have privileges that others lack: the folder must then be one that nobody else can write. */
  isPrivileged?: boolean
}

/**
 * Listens on a path, mode 0660 from the first moment on, and returns a function that removes the socket
 * again, unless another process owns it by then. A socket left behind by a dead daemon is replaced.
 * `AppError` `ERR_CONTROL_SOCKET_TAKEN` when another daemon answers there, `ERR_CONTROL_SOCKET` for
 * everything else.
 *
 * The socket is created under a private name and then linked to the wanted one: so there is never a moment in
 * which two daemons could both believe that they own the path, and closing the server, which removes the name
 * to which it was bound, does not remove another's socket.
 */
export async function listenOnPath(
  server: Server,
  path: string,
  options: PathOptions = {},
): Promise<() => void> {
  const ownName = withFolder(path, `.${process.pid}`)
  if (Math.max(Buffer.byteLength(path), Buffer.byteLength(ownName)) > MAX_PATH_BYTES) {
    throw cannotListen(path, `longer than ${MAX_PATH_BYTES} bytes, the limit of a socket path`)
  }
  checkFolder(path, options.isPrivileged === true)
  await removeStaleSocket(path)
  try {
    // From an earlier process with our process id.
    if (statusOf(ownName)?.isSocket() === true) unlinkSync(ownName)
    await bind(server, ownName, options.gid)
    try {
      linkSync(ownName, path)
      const own = identityOf(path)
      return () => removeOwn(path, own)
    } finally {
      unlinkSync(ownName)
    }
  } catch (error) {
    server.close()
    // Another one appeared while we created ours.
    if (isSystemError(error) && error.code === 'EEXIST') throw taken(path, error)
    throw cannotListen(path, reasonOf(error), undefined, error)
  }
}

/**
 * The path of a file beside `path`, always with a slash: Node takes a bare name such as `.123` for a port
 * number.
 */
function withFolder(path: string, name = basename(path)): string {
  return `${dirname(path)}/${name}`
}

function checkFolder(path: string, isPrivileged: boolean): void {
  const folder = dirname(path)
  // libuv reports a missing folder as a missing permission.
  if (!existsSync(folder)) {
    throw cannotListen(path, errnoText('ENOENT'), `create its folder first: mkdir -p ${folder}`)
  }
  const distrust = isPrivileged ? distrustOf(folder) : undefined
  if (distrust === undefined) return
  throw cannotListen(
    path,
    `${distrust}, who could misuse our privileges on other files`,
    `put the socket into a folder that only root can write: install -d -m 0755 -o root ${folder}`,
  )
}

/** Mode and group are set while the socket is created: a later change by name could affect another file. */
function bind(server: Server, path: string, gid: number | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    const previousMask = process.umask(SOCKET_MASK)
    const previousGid = process.getegid?.()
    try {
      if (gid !== undefined) userIds().setegid(gid)
      server.listen(path, () => {
        server.removeListener('error', reject)
        resolve()
      })
    } finally {
      if (gid !== undefined) userIds().setegid(previousGid!)
      process.umask(previousMask)
    }
  })
}

async function removeStaleSocket(path: string): Promise<void> {
  const status = statusOf(path)
  if (status === undefined) return
  if (!status.isSocket()) throw cannotListen(path, 'exists and is not a socket')
  if (await answers(path)) throw taken(path)
  removeOwn(path, identityOf(path))
}

/** What distinguishes one socket from another with the same name: inode numbers are reused. */
function identityOf(path: string): string {
  const { dev, ino, mtimeNs } = lstatSync(path, { bigint: true })
  return `${dev}:${ino}:${mtimeNs}`
}

/** Removes the file at `path` if it is still the same one. */
function removeOwn(path: string, identity: string): void {
  try {
    if (identityOf(path) === identity) unlinkSync(path)
  } catch {
    // Gone already; a start replaces one that is left.
  }
}

function statusOf(path: string): Stats | undefined {
  try {
    return lstatSync(path)
  } catch {
    return undefined
  }
}

/**
 * Only a refused connection shows that nobody listens any more; a full queue or a missing permission means a
 * running daemon.
 */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(withFolder(path))
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', (error: NodeJS.ErrnoException) =>
      resolve(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT'),
    )
  })
}

function taken(path: string, cause?: unknown): AppError {
  return new AppError(
    'ERR_CONTROL_SOCKET_TAKEN',
    `cannot listen on ${path}: another daemon is listening there`,
    {
      hint: 'stop it first, or use another --config-socket',
      cause,
    },
  )
}

function cannotListen(path: string, why: string, hint?: string, cause?: unknown): AppError {
  return new AppError('ERR_CONTROL_SOCKET', `cannot listen on ${path}: ${why}`, { hint, cause })
}
