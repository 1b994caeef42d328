/** The file of the database: whether it is ours, and where and how one may be created. */
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  linkSync,
  lstatSync,
  openSync,
  readSync,
  realpathSync,
  type Stats,
  statSync,
  unlinkSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { temporaryPathFor } from '../../platform/temporary-path.js'
import { NOT_OURS, openErrno, openError, toDbError } from '../db-error.js'
import { APPLICATION_ID, SCHEMA_VERSION } from '../schema.js'

/** The owner may write, the group may read: addresses of correspondents are private. */
export const DATABASE_MODE = 0o640

/** Fixed header of a SQLite file. Source: sqlite.org/fileformat2.html section 1.3. */
const HEADER_BYTES = 100
/** Text at its beginning, 16 bytes. */
export const SQLITE_MAGIC = 'SQLite format 3\0'
/** Two bytes: versions needed to write and to read, 2 in WAL mode, else 1. */
export const JOURNAL_VERSIONS_OFFSET = 18
export const ROLLBACK_JOURNAL_VERSIONS = Uint8Array.of(1, 1)
const WAL_VERSION = 2
const USER_VERSION_OFFSET = 60
const APPLICATION_ID_OFFSET = 68

/** The file to which a path led, to detect later that it leads elsewhere. */
export interface FileIdentity {
  dev: number
  ino: number
}

/** What was determined before SQLite may open the file. */
export interface InspectedFile extends FileIdentity {
  /** Path without symbolic links, beside which SQLite puts its files. */
  realPath: string
  isEmpty: boolean
  /** The file says that it uses a write-ahead log. */
  isWal: boolean
}

/**
 * Examines a database file without changing anything on disk. Throws `ERR_DB_OPEN` for a missing file, one
 * that may not be read (or written, with `write`), a directory, a file of another program, or a newer schema:
 * in this order, which is that of the original.
 */
export function inspectFile(path: string, mode: 'read' | 'write'): InspectedFile {
  let file: number
  try {
    file = openSync(path, (mode === 'read' ? constants.O_RDONLY : constants.O_RDWR) | constants.O_NONBLOCK)
  } catch (error) {
    throw toDbError(error)
  }
  try {
    const stats = fstatSync(file)
    if (stats.isDirectory()) throw openErrno('EISDIR')
    if (!stats.isFile()) throw openErrno(NOT_OURS)
    const isEmpty = stats.size === 0
    const isWal = !isEmpty && checkHeader(file)
    return { dev: stats.dev, ino: stats.ino, realPath: realpathSync.native(path), isEmpty, isWal }
  } catch (error) {
    throw toDbError(error)
  } finally {
    closeSync(file)
  }
}

/** True for a file in WAL mode. */
function checkHeader(file: number): boolean {
  const header = Buffer.alloc(HEADER_BYTES)
  const isWhole = readSync(file, header, 0, HEADER_BYTES, 0) === HEADER_BYTES
  if (!isWhole || header.toString('latin1', 0, SQLITE_MAGIC.length) !== SQLITE_MAGIC)
    throw openErrno(NOT_OURS)
  if (header.readInt32BE(APPLICATION_ID_OFFSET) !== APPLICATION_ID) throw openErrno(NOT_OURS)
  refuseOtherSchema(header.readInt32BE(USER_VERSION_OFFSET))
  return header[JOURNAL_VERSIONS_OFFSET] === WAL_VERSION
}

/** Throws `ERR_DB_OPEN` for a schema that only a later version understands, and for an unknown one. */
export function refuseOtherSchema(version: number): void {
  if (version < 1) {
    throw openErrno(NOT_OURS, {
      hint: `the database says that it has schema ${version}, which no version uses: restore a backup`,
    })
  }
  if (version <= SCHEMA_VERSION) return
  throw openErrno(NOT_OURS, {
    hint: `the database has schema ${version}, this version supports ${SCHEMA_VERSION}: install a newer spamdctl`,
  })
}

/** Refuses to write through a symbolic link that another user could have placed. */
export function refuseForeignSymlink(path: string): void {
  let stats: Stats | undefined
  try {
    stats = lstatSync(path, { throwIfNoEntry: false })
  } catch (error) {
    throw toDbError(error)
  }
  if (stats?.isSymbolicLink() !== true) return
  const ownUid = process.geteuid?.() ?? 0
  if (stats.uid === 0 || stats.uid === ownUid) return
  throw openError('symbolic link owned by another user', {
    hint: 'name the file itself, or have root create the link',
  })
}

/** True while the path still leads to the file that was opened. */
export function isSameFile(path: string, identity: FileIdentity): boolean {
  const stats = statSync(path, { throwIfNoEntry: false })
  return stats !== undefined && stats.ino === identity.ino && stats.dev === identity.dev
}

/**
 * Creates a new file, with DATABASE_MODE by default, at `path`; `fill` writes its content under a temporary
 * name in the same folder, so that no other program ever sees half of it. Throws `ERR_DB_OPEN`: the file
 * exists, the folder is missing, is not a folder, or lets other users replace files.
 */
export function placeNewFile(
  path: string,
  owner: { uid: number; gid: number } | undefined,
  fill: (temporaryPath: string) => void,
  mode = DATABASE_MODE,
): void {
  const folder = dirname(path)
  checkFolder(folder)
  const staleLogs = findStaleLogs(path)
  const temporaryPath = temporaryPathFor(path)
  try {
    const file = openSync(temporaryPath, 'wx', mode)
    try {
      fill(temporaryPath)
      fchmodSync(file, mode)
      // Last of all: from now on that user controls the file.
      if (owner !== undefined) fchownSync(file, owner.uid, owner.gid)
      fsyncSync(file)
      removeStaleLogs(staleLogs)
      linkSync(temporaryPath, path)
    } finally {
      closeSync(file)
      unlinkSync(temporaryPath)
    }
    syncFolder(folder)
  } catch (error) {
    throw toDbError(error)
  }
}

interface StaleLog {
  path: string
  ino: number
  ctimeMs: number
}

/**
 * Files that SQLite left beside a database that was deleted while it was open. They would be mistaken for the
 * log of the new database and corrupt it.
 */
function findStaleLogs(path: string): StaleLog[] {
  const logs = ['-wal', '-shm', '-journal'].flatMap((suffix) => {
    const stats = statSync(path + suffix, { throwIfNoEntry: false })
    return stats === undefined ? [] : [{ path: path + suffix, ino: stats.ino, ctimeMs: stats.ctimeMs }]
  })
  // Checked after the logs: if there is a database, they may be its own.
  if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) throw openErrno('EEXIST')
  return logs
}

/** Leaves logs that belong to a database which another program has created in the meantime. */
function removeStaleLogs(logs: readonly StaleLog[]): void {
  for (const log of logs) {
    const stats = statSync(log.path, { throwIfNoEntry: false })
    if (stats?.ino === log.ino && stats.ctimeMs === log.ctimeMs) unlinkSync(log.path)
  }
}

/** Makes a new or replaced name in a folder survive a power failure. */
export function syncFolder(folder: string): void {
  const file = openSync(folder, 'r')
  try {
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}

const OTHERS_MAY_WRITE = 0o002
const STICKY = 0o1000

/**
 * Throws `ERR_DB_OPEN` for a folder in which no database may be created: a missing one, or one that everyone
 * may write.
 */
export function checkFolder(folder: string): void {
  let stats: Stats
  try {
    stats = statSync(folder)
  } catch (error) {
    const reason = toDbError(error)
    if (!(reason instanceof Error)) throw reason
    throw openError(reason.message, {
      cause: error,
      hint: `create the folder first: install -d -m 0750 -o _spamd ${folder}`,
    })
  }
  if (!stats.isDirectory()) throw openErrno('ENOTDIR')
  if ((stats.mode & OTHERS_MAY_WRITE) !== 0 && (stats.mode & STICKY) === 0) {
    throw openError('the folder can be written by every user', { hint: `run chmod o-w ${folder}` })
  }
}
