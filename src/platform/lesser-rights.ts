/**
 * Root in a folder that a less privileged user can write: any file there may be a link of that user to a file
 * of root. So root becomes that user first, and the system itself refuses what the user may not do.
 */
import { lstatSync, readFileSync, readlinkSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { AppError, isSystemError } from './app-error.js'
import { reasonOf } from './errno-text.js'
import { dropPrivileges, isRoot, stepDown } from './privileges.js'
import { type Distrust, findDistrust } from './trusted-folder.js'

/** As which user to work, and why. */
export interface LesserUser {
  name: string
  uid: number
  gid: number
  /** The path that belongs to that user. */
  owned: string
}

/** `nobody`'s group, for a user without an entry in passwd(5). */
const NO_GROUP = 65_534
/** Source: MAXSYMLINKS and similar limits, 32 to 40 on all systems. */
const MAX_LINKS = 32

/**
 * The user that root must become to work on the file at `path` (whether or not it exists) and beside it; undefined
 * when only root could interfere, and when we are not root. In a folder with the sticky bit (/tmp), that is
 * the owner of the file; a new one is root's. `daemonUser` is used in a folder that a group may write, for a
 * file that does not exist yet.
 *
 * Throws `AppError` `ERR_UNSAFE_FOLDER`, its message the reason alone, when no single user's rights are
 * sufficient.
 */
// eslint-disable-next-line complexity -- one walk along a path, in which each step rests on the one before
export function lesserUserAt(path: string, daemonUser?: () => string | undefined): LesserUser | undefined {
  if (!isRoot()) return undefined
  let file = resolve(path)
  for (let links = 0; links < MAX_LINKS; links += 1) {
    const folder = dirname(file)
    const distrust = orMissing(() => findDistrust(folder))
    if (distrust?.uid !== undefined) return userByNumber(distrust.uid, distrust.path)
    const status = orMissing(() => lstatSync(file))
    if (distrust !== undefined) {
      if (distrust.isLast && status !== undefined && status.uid !== 0) return userByNumber(status.uid, file)
      if (!distrust.isSticky) {
        const user = status === undefined && distrust.isLast ? userNamed(daemonUser?.(), folder) : undefined
        if (user !== undefined && user.uid !== 0) return user
        throw unsafe(distrust)
      }
      refuseForeignCompanions(file)
    }
    if (status?.isSymbolicLink() !== true) return undefined
    file = resolve(folder, readlinkSync(file))
  }
  throw new AppError('ERR_UNSAFE_FOLDER', 'too many symbolic links in a chain')
}

/** What SQLite would read or write beside a file of root in /tmp, if someone else put it there. */
function refuseForeignCompanions(file: string): void {
  for (const suffix of ['-wal', '-shm', '-journal']) {
    const status = orMissing(() => lstatSync(file + suffix))
    if (status === undefined || (status.isFile() && status.uid === 0 && status.nlink === 1)) continue
    throw new AppError('ERR_UNSAFE_FOLDER', `${file}${suffix} belongs to another user`, {
      hint: `inspect it, remove it, and keep the database in a folder of its own, not in ${dirname(file)}`,
    })
  }
}

/** The same words as for a folder in which no database is created. */
function unsafe({ reason, fault, path, writers, isLast }: Distrust): AppError {
  return new AppError('ERR_UNSAFE_FOLDER', isLast ? `the folder ${fault}` : reason, {
    hint: writers === undefined ? undefined : `run chmod ${writers === 'group' ? 'g-w' : 'o-w'} ${path}`,
  })
}

/** If the file is missing, the caller that opens it reports this. */
function orMissing<Result>(look: () => Result): Result | undefined {
  try {
    return look()
  } catch (error) {
    if (isSystemError(error) && ['ENOENT', 'ENOTDIR', 'EACCES'].includes(error.code)) return undefined
    throw error
  }
}

function userByNumber(uid: number, owned: string): LesserUser {
  return (
    findInPasswd((fields) => Number(fields[2]) === uid, owned) ?? {
      name: String(uid),
      uid,
      gid: NO_GROUP,
      owned,
    }
  )
}

function userNamed(name: string | undefined, owned: string): LesserUser | undefined {
  return name === undefined ? undefined : findInPasswd((fields) => fields[0] === name, owned)
}

/** Reads passwd(5) synchronously: the program has nothing else to wait for, and must start fast. */
function findInPasswd(isWanted: (fields: string[]) => boolean, owned: string): LesserUser | undefined {
  for (const line of readFileSync('/etc/passwd', 'utf8').split('\n')) {
    const fields = line.split(':')
    if (fields.length < 7 || !isWanted(fields)) continue
    return { name: fields[0]!, uid: Number(fields[2]), gid: Number(fields[3]), owned }
  }
  return undefined
}

/**
 * The privileges during one task. `lift` runs something with the previous privileges; `release` restores them
 * permanently. Both do nothing special when root did not change users, or did so permanently.
 */
export class TaskRights {
  readonly user: LesserUser | undefined
  #back: (() => void) | undefined

  /** Throws `AppError` `ERR_UNSAFE_FOLDER`, its message the reason alone. */
  constructor(user: LesserUser | undefined, { isForGood = false }: { isForGood?: boolean } = {}) {
    this.user = user
    if (user === undefined) return
    try {
      if (isForGood) dropPrivileges(user)
      else this.#back = stepDown(user)
    } catch (error) {
      throw new AppError(
        'ERR_UNSAFE_FOLDER',
        `${user.owned} belongs to ${user.name}, and root cannot change to that user: ${reasonOf(error)}`,
        { hint: error instanceof AppError ? error.hint : undefined, cause: error },
      )
    }
  }

  async lift<Result>(action: () => Promise<Result>): Promise<Result> {
    const { user } = this
    if (user === undefined || this.#back === undefined) return await action()
    this.#back()
    try {
      return await action()
    } finally {
      this.#back = stepDown(user)
    }
  }

  release(): void {
    this.#back?.()
    this.#back = undefined
  }
}

/** Runs `action` on the file at `path` as the user that `lesserUserAt` determines. */
export async function inRightsFor<Result>(
  path: string,
  action: (rights: TaskRights) => Result | Promise<Result>,
  daemonUser?: () => string | undefined,
): Promise<Result> {
  const rights = new TaskRights(lesserUserAt(path, daemonUser))
  try {
    return await action(rights)
  } finally {
    rights.release()
  }
}
