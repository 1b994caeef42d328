import { accessSync, chownSync, closeSync, constants, mkdirSync, openSync, readSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isBerkeleyHash } from '../../codec/database/berkeley-hash.js'
import { SQLITE_MAGIC } from '../../db/file/database-file.js'
import { createDatabase, openStore } from '../../db/open-store.js'
import { loadDriver } from '../../db/sqlite-driver.js'
import type { Store } from '../../db/store.js'
import { AppError, errnoOf } from '../../platform/app-error.js'
import { reasonOf } from '../../platform/errno-text.js'
import { isDatabaseCode } from '../../platform/error-codes.js'
import { inRightsFor, type LesserUser, lesserUserAt, TaskRights } from '../../platform/lesser-rights.js'
import { isPostgresLocation } from '../../platform/postgres-location.js'
import { actAs, isRoot } from '../../platform/privileges.js'
import { resolveSettings } from '../../platform/settings.js'

const BACKUP_HINT = 'restore a file made by "spamdctl backup"'

/**
 * Opens the database for one command. Failures carry the original's text:
 * `cannot open FILE for reading: No such file or directory`, code `ERR_DB_OPEN` or another of the store, with a
 * hint where the fix is known.
 */
export async function openDatabase(
  path: string,
  mode: 'read' | 'write',
  options: OpenDatabaseOptions = {},
): Promise<Store> {
  return (await openWithRights(path, mode, options)).store
}

/** How root drops its privileges where a less privileged user can write. */
interface OpenDatabaseOptions {
  /** Nothing after this needs root, which is not taken back when the store is closed. */
  isForGood?: boolean
}

async function openWithRights(
  path: string,
  mode: 'read' | 'write',
  { isForGood = false }: OpenDatabaseOptions,
): Promise<{ store: Store; rights: TaskRights }> {
  let rights: TaskRights | undefined
  try {
    rights = isPostgresLocation(path) ? new TaskRights(undefined) : await takeRights(path, isForGood)
    return { store: await openStore(path, { mode, durability: 'full', rights }), rights }
  } catch (error) {
    rights?.release()
    if (!(error instanceof AppError)) throw error
    const purpose = mode === 'read' ? 'reading' : 'writing'
    // What cannot be opened cannot be checked either.
    const hint =
      error.code === 'ERR_DB_CORRUPT'
        ? BACKUP_HINT
        : (hintForRights(error, path, rights?.user) ?? error.hint ?? hintFor(error.errno, path))
    throw withName(error, `cannot open ${path} for ${purpose}: ${error.message}`, hint)
  }
}

/** Errors that name their database: if two are in use, one must not be reported as that of the other. */
const named = new WeakSet<Error>()

function withName(cause: AppError, message: string, hint: string | undefined): AppError {
  const error = new AppError(cause.code, message, { hint, cause })
  named.add(error)
  return error
}

/**
 * Opens the database for one command, uses it and closes it. Its errors become `cannot read FILE: REASON` or
 * `cannot write FILE: REASON`, code and hint kept. `asCaller` does what only root may do elsewhere while root
 * has changed users for the database.
 */
export async function useDatabase<Result>(
  path: string,
  mode: 'read' | 'write',
  use: (store: Store, asCaller: TaskRights['lift']) => Promise<Result>,
  options: OpenDatabaseOptions = {},
): Promise<Result> {
  const { store, rights } = await openWithRights(path, mode, options)
  try {
    return await use(store, (action) => rights.lift(action))
  } catch (error) {
    if (!isStoreFailure(error) || named.has(error)) throw error
    throw withName(error, `cannot ${mode} ${path}: ${error.message}`, error.hint)
  } finally {
    await store.close()
  }
}

/** Becomes the user who can write where the database is, see src/platform/lesser-rights.ts. */
async function takeRights(path: string, isForGood: boolean): Promise<TaskRights> {
  try {
    const user = lesserUserAt(path, daemonUser)
    if (user === undefined) return new TaskRights(undefined)
    loadDriver()
    if (!mayReadPrograms(user)) await (await import('./load-parts.js')).loadParts()
    return new TaskRights(user, { isForGood })
  } catch (error) {
    throw unsafeAsOpenError(error)
  }
}

const daemonUser = (): string => resolveSettings({}).user

/** A checkout in /root can only be read by root. */
function mayReadPrograms(user: LesserUser): boolean {
  try {
    actAs(user, () => closeSync(openSync(fileURLToPath(import.meta.url), 'r')))
    return true
  } catch {
    return false
  }
}

function hintForRights(error: AppError, path: string, user: LesserUser | undefined): string | undefined {
  if (user === undefined || error.errno !== 'EACCES') return undefined
  return `${user.owned} belongs to ${user.name}, so root uses it as that user, who must be able to read and write ${path}`
}

/** True for errors that the store itself throws; their message is only the reason. */
export function isStoreFailure(error: unknown): error is AppError {
  return error instanceof AppError && isDatabaseCode(error.code)
}

/** True for an empty file that a write would make a database: a refused request must leave it unchanged. */
export function isWritableEmptyFile(path: string): boolean {
  if (isPostgresLocation(path)) return false
  try {
    accessSync(path, constants.W_OK)
    const status = statSync(path)
    return status.isFile() && status.size === 0
  } catch {
    // Whatever is wrong, opening the database is what reports it.
    return false
  }
}

function hintFor(errno: string | undefined, path: string): string | undefined {
  switch (errno) {
    case 'ENOENT':
      return 'no database yet: create it with "spamdctl init-db", or start spamd'
    case 'EACCES':
      return 'run it as root, or as a member of the group that owns the file'
    case 'EISDIR':
      return 'name a file in that folder with --db or SPAMD_DB'
    case 'ENOTDIR':
      return 'part of the path is a file, not a folder: name the database with --db or SPAMD_DB'
    case 'EFTYPE':
      return hintForForeignFile(path)
    default:
      return undefined
  }
}

function hintForForeignFile(path: string): string {
  if (isWritableEmptyFile(path)) return 'the file is empty: adding the first entry makes it a database'
  const start = readStart(path)
  if (start === undefined) return 'name the database with --db or SPAMD_DB'
  if (start.length === 0) return 'the file is empty: it becomes a database when root adds the first entry'
  if (isBerkeleyHash(start)) {
    return `this is a file of OpenBSD's spamd: move it away, run "spamdctl init-db", then "spamdctl import" it`
  }
  if (start.toString('latin1') === SQLITE_MAGIC) {
    return "this is a database of another program: name spamd's with --db or SPAMD_DB"
  }
  return 'this is not a database: name it with --db or SPAMD_DB; "spamdctl import" reads lists and listings'
}

/**
 * The first bytes of a file; undefined when it cannot be read or is not a regular file (reading a pipe would
 * wait).
 */
function readStart(path: string): Buffer | undefined {
  let descriptor: number | undefined
  try {
    if (!statSync(path).isFile()) return undefined
    descriptor = openSync(path, 'r')
    const start = Buffer.alloc(SQLITE_MAGIC.length)
    return start.subarray(0, readSync(descriptor, start))
  } catch {
    return undefined
  } finally {
    if (descriptor !== undefined) closeSync(descriptor)
  }
}

/** The owner of a new database: the user of the daemons. */
export interface DatabaseOwner {
  uid: number
  gid: number
}

/**
 * Creates an empty database, owned by `owner` when given, and its folder when only that is missing (mode
 * 0750, or 0755 for a database that all may read): SQLite keeps files beside the database, so the folder must
 * belong to the daemons. False when there is a database already, which is left unchanged. Throws `AppError`
 * `ERR_DB_OPEN`: `cannot create FILE: REASON`, also for a file that is not a database.
 */
export async function initDatabase(path: string, owner?: DatabaseOwner, mode?: number): Promise<boolean> {
  let rights: TaskRights | undefined
  try {
    rights = await takeRights(path, false)
    const store = await openStore(path, { mode: 'write', rights })
    await store.close()
    return false
  } catch (error) {
    rights?.release()
    const isMissing = errnoOf(error) === 'ENOENT'
    if (!isMissing) throw cannotCreate(path, error, rights?.user)
  }
  let user: LesserUser | undefined
  try {
    const folder = dirname(resolve(path))
    await makeFolder(folder, owner, mode !== undefined && (mode & 0o004) !== 0 ? 0o755 : 0o750)
    // The folder may be the daemons' now.
    const ownRights = await takeRights(path, false)
    user = ownRights.user
    try {
      createDatabase(path, { ...(owner && isRoot() && { owner }), ...(mode !== undefined && { mode }) })
    } finally {
      ownRights.release()
    }
    return true
  } catch (error) {
    throw cannotCreate(path, error, user)
  }
}

/**
 * Creates schema, roles and tables on a server, or upgrades them to this version; see
 * src/db/postgres/init-server.ts. Throws `AppError`: `cannot prepare LOCATION: REASON`.
 */
export async function initServerDatabase(
  location: string,
  partitionCount?: number,
): Promise<{ isChanged: boolean; fromVersion: number; version: number; grants: readonly string[] }> {
  const { initServer } = await import('../../db/postgres/init-server.js')
  try {
    return await initServer(location, partitionCount === undefined ? {} : { partitionCount })
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    throw new AppError(error.code, `cannot prepare ${location}: ${error.message}`, {
      hint: error.hint,
      cause: error,
    })
  }
}

async function makeFolder(folder: string, owner: DatabaseOwner | undefined, mode: number): Promise<void> {
  if (statSync(folder, { throwIfNoEntry: false }) !== undefined) return
  // The group of the daemons may read it, such as the user for pulls, whatever the administrator's umask.
  const previousMask = process.umask(0)
  try {
    await inRightsFor(folder, () => {
      mkdirSync(folder, { mode })
      if (owner !== undefined && isRoot()) chownSync(folder, owner.uid, owner.gid)
    })
  } catch (error) {
    if (error instanceof AppError) throw unsafeAsOpenError(error)
    throw new AppError('ERR_DB_OPEN', reasonOf(error), { cause: error })
  } finally {
    process.umask(previousMask)
  }
}

/** What makes a place unsafe is a reason not to open a file there. */
function unsafeAsOpenError(error: unknown): unknown {
  if (!(error instanceof AppError)) return error
  return new AppError('ERR_DB_OPEN', error.message, { hint: error.hint, cause: error })
}

function cannotCreate(path: string, error: unknown, user: LesserUser | undefined): unknown {
  if (!(error instanceof AppError) || error.code !== 'ERR_DB_OPEN') return error
  const folder = dirname(path)
  const hint =
    error.errno === 'ENOENT'
      ? `create its folder first: mkdir -p ${folder}`
      : (hintForRights(error, path, user) ?? error.hint ?? hintFor(error.errno, path))
  return new AppError('ERR_DB_OPEN', `cannot create ${path}: ${error.message}`, { hint, cause: error })
}
