/** Permanently giving up root. Source: setusercontext(3)/setresuid(2) order as in OpenBSD daemons. */
import { readFileSync } from 'node:fs'
import { AppError } from './app-error.js'
import { runProcess } from './run-process.js'
import { type UserIds, userIds } from './user-ids.js'

export interface SystemUser {
  name: string
  uid: number
  gid: number
  /** Home directory, if passwd(5) has it. */
  home?: string
}

/** CAP_NET_ADMIN. Source: linux/capability.h. */
const NET_ADMIN_BIT = 12n

/** What the process may do. */
export interface ProcessRights {
  isRoot: boolean
  /** May change the packet filter of Linux without being root. */
  hasNetAdmin: boolean
}

/** The privileges of this process. */
export function ownRights(statusPath = '/proc/self/status'): ProcessRights {
  let hasNetAdmin = false
  try {
    const mask = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync(statusPath, 'latin1'))
    hasNetAdmin = mask !== null && ((BigInt(`0x${mask[1]!}`) >> NET_ADMIN_BIT) & 1n) === 1n
  } catch {
    // Not Linux: only root may.
  }
  return { isRoot: process.geteuid?.() === 0, hasNetAdmin }
}

/** This process may do what ordinary users may not. */
export function hasRights(): boolean {
  const { isRoot, hasNetAdmin } = ownRights()
  return isRoot || hasNetAdmin
}

/** True when the process may do what only root may. */
export function isRoot(): boolean {
  return process.geteuid?.() === 0
}

/**
 * A user by name: from passwd(5), else from id(1), which also knows directory services.
 * `undefined` when there is none.
 */
export async function findUser(name: string, passwdPath = '/etc/passwd'): Promise<SystemUser | undefined> {
  for (const line of readFileSync(passwdPath, 'utf8').split('\n')) {
    const [userName, , uid, gid, , home] = line.split(':')
    if (userName === name) return { name, uid: Number(uid), gid: Number(gid), ...(home ? { home } : {}) }
  }
  // Anything else could be parsed by id(1) as an option.
  if (!/^[A-Za-z_][A-Za-z0-9_.-]*$/.test(name)) return undefined
  const [uid, gid] = await Promise.all([numberOf(['-u', name]), numberOf(['-g', name])])
  return uid === undefined || gid === undefined ? undefined : { name, uid, gid }
}

async function numberOf(args: string[]): Promise<number | undefined> {
  const result = await runProcess({ program: 'id', args, timeoutMs: 10_000, maxStdoutBytes: 1_000 })
  const text = result.stdout.toString('latin1').trim()
  return result.exitCode === 0 && /^[0-9]+$/.test(text) ? Number(text) : undefined
}

/**
 * Becomes `user` permanently: groups (its own and `moreGroups`, as numbers), then gid, then uid. Throws
 * `AppError` `ERR_PRIVILEGES_DROP` when the system refuses, or when root could still be regained afterwards.
 */
export function dropPrivileges(user: SystemUser, moreGroups: readonly number[] = []): void {
  let ids: UserIds
  try {
    ids = userIds()
    ids.setgroups([user.gid, ...moreGroups])
    ids.setgid(user.gid)
    ids.setuid(user.uid)
  } catch (error) {
    throw new AppError('ERR_PRIVILEGES_DROP', `failed to drop privs: ${(error as Error).message}`, {
      hint: error instanceof AppError ? error.hint : undefined,
      cause: error,
    })
  }
  if (user.uid === 0) return
  try {
    ids.setuid(0)
  } catch {
    return
  }
  throw new AppError(
    'ERR_PRIVILEGES_DROP',
    `failed to drop privs: could take root back after becoming ${user.name}`,
  )
}

/**
 * Runs `action` (which must not be asynchronous) with the file permissions of `user`, when we are root.
 * Everything it opens is opened as that user would; nobody gains power over us in the meantime, because only
 * the effective ids change.
 */
export function actAs<Result>(user: SystemUser, action: () => Result): Result {
  if (!isRoot()) return action()
  const back = stepDown(user)
  try {
    return action()
  } finally {
    back()
  }
}

/** Takes the file permissions of `user` for any length of time, as root; the result restores root. */
export function stepDown(user: Pick<SystemUser, 'uid' | 'gid'>): () => void {
  const [gid, groups] = [process.getegid!(), process.getgroups!()]
  const ids = userIds()
  const back = (): void => {
    ids.seteuid(0)
    ids.setegid(gid)
    ids.setgroups(groups)
  }
  try {
    ids.setgroups([user.gid])
    ids.setegid(user.gid)
    ids.seteuid(user.uid)
  } catch (error) {
    back()
    throw error
  }
  return back
}
