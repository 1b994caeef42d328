import { existsSync, linkSync, lstatSync, type Stats, unlinkSync } from 'node:fs'
import { connect, type Server } from 'node:net'
import { basename, dirname } from 'node:path'
import { AppError, isSystemError } from '../../platform/app-error.js'
import { errnoText, reasonOf } from '../../platform/errno-text.js'
import { distrustOf } from '../../platform/trusted-folder.js'
import { userIds } from '../../platform/user-ids.js'

/** Leaves 0660: group members may use the socket, who are those of the daemon's user. */
const SOCKET_MASK = 0o117

/** A longer path would be cut in silence. Source: sun_path of struct sockaddr_un, sys/un.h, less its NUL. */
const MAX_PATH_BYTES = process.platform === 'linux' ? 107 : 103

export interface PathOptions {
  /** Group of the socket; needs root. Absent: the one that the system gives it. */
  gid?: number | undefined
  /** We hold rights that others lack: the folder must then be one that nobody else can write. */
  isPrivileged?: boolean
}

/**
 * Listens on a path, mode 0660 from the first moment on, and returns what removes the socket again, which leaves
 * another's alone. A socket left behind by a daemon that is gone is replaced. `AppError` `ERR_CONTROL_SOCKET_TAKEN`
 * when another daemon answers there, `ERR_CONTROL_SOCKET` for everything else.
 *
 * The socket is made under a name of our own and then gets the wanted one beside it: so there is never a moment in which two
 * daemons could both believe that the path is theirs, and closing the server, which removes the name that it was bound to,
 * removes nothing of anybody's.
 */
export async function listenOnPath(
  server: Server,
  path: string,
  options: PathOptions = {},
): Promise<() => void> {
  const ownName = withFolder(path, `.${process.pid}`)
  if (Math.max(Buffer.byteLength(path), Buffer.byteLength(ownName)) > MAX_PATH_BYTES) {
    throw cannotListen(path, `longer than ${MAX_PATH_BYTES} bytes, which a socket may not be`)
  }
  checkFolder(path, options.isPrivileged === true)
  await removeStaleSocket(path)
  try {
    // Of an earlier process with our number.
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
    // Another one came while we made ours.
    if (isSystemError(error) && error.code === 'EEXIST') throw taken(path, error)
    throw cannotListen(path, reasonOf(error), undefined, error)
  }
}

/** The path of a file beside `path`, always with a slash: Node takes a bare name such as `.123` for a port number. */
function withFolder(path: string, name = basename(path)): string {
  return `${dirname(path)}/${name}`
}

function checkFolder(path: string, isPrivileged: boolean): void {
  const folder = dirname(path)
  // libuv calls a missing folder a missing right.
  if (!existsSync(folder)) {
    throw cannotListen(path, errnoText('ENOENT'), `create its folder first: mkdir -p ${folder}`)
  }
  const distrust = isPrivileged ? distrustOf(folder) : undefined
  if (distrust === undefined) return
  throw cannotListen(
    path,
    `${distrust}, who could turn our rights on other files`,
    `put the socket into a folder that only root can write: install -d -m 0755 -o root ${folder}`,
  )
}

/** Mode and group are set for the moment in which the socket is made: a change by name could hit something else. */
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

/** What tells one socket from another that took its name: numbers of files are used again. */
function identityOf(path: string): string {
  const { dev, ino, mtimeNs } = lstatSync(path, { bigint: true })
  return `${dev}:${ino}:${mtimeNs}`
}

/** Removes the file at `path` if it is still that one. */
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

/** Only a refused connection tells that nobody listens any more; a full queue or a missing right is a daemon's. */
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
