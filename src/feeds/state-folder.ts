/**
 * The owner of the state folder. spamd-setup uses it as its unprivileged user; only root and that user may be
 * able to rename anything in it or above it. What root does here happens before any process of that user
 * exists, in folders that only root can write.
 */
import {
  chmodSync,
  closeSync,
  constants,
  fchownSync,
  fstatSync,
  lchownSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
} from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { AppError } from '../platform/app-error.js'
import { reasonOf } from '../platform/errno-text.js'
import type { SystemUser } from '../platform/privileges.js'
import { replaceFile } from '../platform/replace-file.js'
import { distrustOf } from '../platform/trusted-folder.js'

const FOLDER_MODE = 0o755
const FILE_MODE = 0o644
const WRITABLE_BY_OTHERS = 0o022
const READ_BYTES = 1024 * 1024
/** A few files for each of at most a few hundred lists. */
const MAX_FORMER_FILES = 4_096

/** Names that spamd-setup gives to its files. */
const OWN_NAME =
  /^(?:(?:loaded|told)\.json|run\.lock(?:\..*|-.*)?|.+\.(?:list|state|lines?)|\..*\.spamdctl-tmp-.*)$/
/** The files worth taking over from the folder of an earlier version. */
const KEPT_NAME = /^(?:loaded\.json|[^.].*\.(?:list|state|line))$/

/** The files of an earlier version's folder, opened while that was possible. */
export interface FormerState {
  files: { name: string; fd: number }[]
}

/** True when only root and we can replace what is in `folder`. */
export function isSafeFolder(folder: string): boolean {
  try {
    return distrustOf(folder) === undefined
  } catch {
    return false
  }
}

/**
 * As root: creates the folder, or gives one that root created earlier to `user`. Nothing is done if a less
 * privileged user could interfere, or if a folder contains anything but our files: the first write as `user`
 * then reports the error.
 */
export function giveStateFolder(path: string, user: SystemUser): void {
  const folder = resolve(path)
  if (!isSafeFolder(dirname(folder))) return
  let isNew = true
  try {
    mkdirSync(folder, FOLDER_MODE)
  } catch {
    isNew = false
  }
  let fd: number
  try {
    fd = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW)
  } catch {
    return
  }
  try {
    const { uid, mode } = fstatSync(fd)
    if (uid !== 0 || (mode & WRITABLE_BY_OTHERS) !== 0) return
    const names = readdirSync(folder)
    if (!isNew && !names.every((name) => OWN_NAME.test(name))) return
    // Until the folder changes owner, only root can put anything there.
    for (const name of names) lchownSync(join(folder, name), user.uid, user.gid)
    if (isNew) chmodSync(folder, FOLDER_MODE)
    fchownSync(fd, user.uid, user.gid)
  } finally {
    closeSync(fd)
  }
}

/**
 * Opens the files of an earlier version's folder, none when there is no such folder or it does not belong to
 * root or us alone. The folder may be in one that a less privileged user can write (/var/lib/spamd of
 * _spamd), so it is opened once, without following a link, and everything in it is reached through that
 * descriptor; files belong to the folder's owner.
 */
export function openFormerState(path: string): FormerState | undefined {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW
  let folderFd: number
  try {
    folderFd = openSync(path, flags | constants.O_DIRECTORY)
  } catch {
    return undefined
  }
  const files: FormerState['files'] = []
  try {
    const { uid, mode } = fstatSync(folderFd)
    if ((uid !== 0 && uid !== process.geteuid?.()) || (mode & WRITABLE_BY_OTHERS) !== 0) return undefined
    const throughFd = process.platform === 'linux' ? `/proc/self/fd/${folderFd}` : path
    if (process.platform !== 'linux' && !isSafeFolder(dirname(path))) return undefined
    for (const name of readdirSync(throughFd)
      .filter((name) => KEPT_NAME.test(name))
      .slice(0, MAX_FORMER_FILES)) {
      const fd = openSync(join(throughFd, name), flags | constants.O_NONBLOCK)
      const facts = fstatSync(fd)
      if (facts.isFile() && facts.uid === uid && facts.nlink === 1) files.push({ name, fd })
      else closeSync(fd)
    }
    return { files }
  } catch {
    closeFormerState({ files })
    return undefined
  } finally {
    closeSync(folderFd)
  }
}

/** True when nothing was ever stored in the folder, so an earlier version's may be taken over. */
export function isStateFolderUnused(path: string): boolean {
  try {
    return !readdirSync(path).some((name) => KEPT_NAME.test(name))
  } catch {
    return true
  }
}

/** Copies the files of an earlier version into the folder, the index last, and closes them. `ERR_LISTS_WRITE`. */
export async function takeOverFormerState(former: FormerState, folder: string): Promise<void> {
  const isIndex = (name: string) => Number(!name.includes('.line') && !name.includes('.list'))
  try {
    for (const { name, fd } of former.files.sort((left, right) => isIndex(left.name) - isIndex(right.name))) {
      const replacement = await replaceFile(join(folder, basename(name)), FILE_MODE)
      try {
        const buffer = Buffer.allocUnsafe(READ_BYTES)
        for (let at = 0, read = 1; read > 0; at += read) {
          read = readSync(fd, buffer, 0, buffer.length, at)
          await replacement.write(buffer.subarray(0, read))
        }
        await replacement.commit('durable')
      } finally {
        await replacement.discard()
      }
    }
  } catch (error) {
    throw new AppError(
      'ERR_LISTS_WRITE',
      `cannot take over earlier lists into ${folder}: ${reasonOf(error)}`,
      {
        cause: error,
      },
    )
  } finally {
    closeFormerState(former)
  }
}

/** Closes what `openFormerState` opened. */
export function closeFormerState(former: FormerState): void {
  for (const { fd } of former.files.splice(0)) closeSync(fd)
}
