/**
 * Whether a folder is safe for a privileged process. A user who may write a folder may put a symbolic link
 * where we are about to open, create, rename or remove something, so we never use a path in such a folder.
 */
import { lstatSync, readlinkSync, type Stats } from 'node:fs'
import { dirname, parse, resolve, sep } from 'node:path'

const WRITABLE_BY_GROUP = 0o020
const WRITABLE_BY_ALL = 0o002
const STICKY = 0o1000
/** Source: MAXSYMLINKS and similar limits, 32 to 40 on all systems. */
const MAX_LINKS = 32

/** System calls used: `lstat` and `readlink`, which tests replace. */
export interface FolderView {
  lstat(path: string): Pick<Stats, 'uid' | 'gid' | 'mode' | 'isDirectory' | 'isSymbolicLink'>
  readlink(path: string): string
}

const realView: FolderView = { lstat: (path) => lstatSync(path), readlink: (path) => readlinkSync(path) }

/** What makes a folder unsafe: the first part of its path that someone else owns or can write. */
export interface Distrust {
  reason: string
  /** The reason without the path at its beginning. */
  fault: string
  /** The path that someone else owns or can write. */
  path: string
  /** The owner, if that is someone else. */
  uid?: number
  /** Who can write it, if that is the reason. */
  writers?: 'all' | 'group'
  /** It is the folder itself, not one above it. */
  isLast: boolean
  /** Others may put files there, but cannot replace anyone else's (/tmp). */
  isSticky: boolean
}

/**
 * Why a user other than root and us could change what paths in `folder` refer to, or undefined when nobody
 * could: the folder and all above it belong to root or us and nobody else can write them. In a folder with
 * the sticky bit (/tmp), files of root or us are safe, but the folder itself is not. Throws the system's
 * error when one is missing.
 */
export function distrustOf(folder: string, ownUid?: number, view?: FolderView): string | undefined {
  return findDistrust(folder, ownUid, view)?.reason
}

/** The same with the details. */
export function findDistrust(
  folder: string,
  ownUid: number = process.geteuid?.() ?? 0,
  view: FolderView = realView,
): Distrust | undefined {
  const { root } = parse(resolve(folder))
  const isOurs = (uid: number): boolean => uid === 0 || uid === ownUid
  let waiting = resolve(folder).slice(root.length).split(sep)
  let path = root
  let status = view.lstat(root)
  for (let links = 0; ; ) {
    if (!isOurs(status.uid)) return ownedBy(path, status.uid)
    const writers = writersOf(status)
    const [name, ...rest] = waiting.filter((part) => part !== '')
    const isSticky = (status.mode & STICKY) !== 0
    if (writers !== undefined && (name === undefined || !isSticky)) {
      const who = writers === 'all' ? 'every user' : `the group with number ${status.gid}`
      const fault = `can be written by ${who}`
      return { reason: `${path} ${fault}`, fault, path, writers, isLast: name === undefined, isSticky }
    }
    if (name === undefined) return undefined
    const next = resolve(path, name)
    const nextStatus = view.lstat(next)
    if (nextStatus.isSymbolicLink()) {
      links += 1
      if (links > MAX_LINKS) {
        const fault = 'is a chain of too many symbolic links'
        return { reason: `${next} ${fault}`, fault, path: next, isLast: false, isSticky: false }
      }
      if (!isOurs(nextStatus.uid)) return ownedBy(next, nextStatus.uid)
      const target = resolve(dirname(next), view.readlink(next))
      waiting = [...target.slice(root.length).split(sep), ...rest]
      path = root
      status = view.lstat(root)
      continue
    }
    waiting = rest
    path = next
    status = nextStatus
  }
}

function ownedBy(path: string, uid: number): Distrust {
  const fault = `belongs to user number ${uid}`
  return { reason: `${path} ${fault}`, fault, path, uid, isLast: false, isSticky: false }
}

/** Who else may write there. The group of root (wheel) counts as root. */
function writersOf({ mode, gid }: Pick<Stats, 'mode' | 'gid'>): Distrust['writers'] {
  if ((mode & WRITABLE_BY_ALL) !== 0) return 'all'
  if ((mode & WRITABLE_BY_GROUP) !== 0 && gid !== 0) return 'group'
  return undefined
}
