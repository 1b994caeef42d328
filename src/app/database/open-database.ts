import { accessSync, chownSync, closeSync, constants, mkdirSync, openSync, readSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { isBerkeleyHash } from '../../codec/database/berkeley-hash.js'
import { SQLITE_MAGIC } from '../../db/file/database-file.js'
import { createDatabase, openStore } from '../../db/open-store.js'
import type { Store } from '../../db/store.js'
import { AppError } from '../../platform/app-error.js'
import { errnoText, reasonOf } from '../../platform/errno-text.js'

const NO_SUCH_FILE = errnoText('ENOENT')
const NO_PERMISSION = errnoText('EACCES')
const NOT_A_DATABASE = errnoText('EFTYPE')
const IS_A_FOLDER = errnoText('EISDIR')
const NOT_A_FOLDER = errnoText('ENOTDIR')
const BACKUP_HINT = 'restore a file made by "spamdctl backup"'

/**
 * Opens the database for one command. Failures carry the original's text:
 * `cannot open FILE for reading: No such file or directory`, code `ERR_DB_OPEN` or another of the store, with a
 * hint where the fix is known.
 */
export async function openDatabase(path: string, mode: 'read' | 'write'): Promise<Store> {
  try {
    return await openStore(path, { mode, durability: 'full' })
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    const purpose = mode === 'read' ? 'reading' : 'writing'
    // What cannot be opened cannot be checked either.
    const hint = error.code === 'ERR_DB_CORRUPT' ? BACKUP_HINT : (error.hint ?? hintFor(error.message, path))
    throw new AppError(error.code, `cannot open ${path} for ${purpose}: ${error.message}`, {
      hint,
      cause: error,
    })
  }
}

/**
 * Opens the database for one command, uses it and closes it. What the store complains of meanwhile becomes
 * `cannot read FILE: REASON` or `cannot write FILE: REASON`, code and hint kept.
 */
export async function useDatabase<Result>(
  path: string,
  mode: 'read' | 'write',
  use: (store: Store) => Promise<Result>,
): Promise<Result> {
  const store = await openDatabase(path, mode)
  try {
    return await use(store)
  } catch (error) {
    if (!isStoreFailure(error)) throw error
    throw new AppError(error.code, `cannot ${mode} ${path}: ${error.message}`, {
      hint: error.hint,
      cause: error,
    })
  } finally {
    await store.close()
  }
}

/** True for what the store itself throws; its message is the reason alone. */
export function isStoreFailure(error: unknown): error is AppError {
  return error instanceof AppError && error.code.startsWith('ERR_DB_')
}

/** True for a file of no bytes that a write would make a database: a refused request must leave it as it is. */
export function isWritableEmptyFile(path: string): boolean {
  try {
    accessSync(path, constants.W_OK)
    const status = statSync(path)
    return status.isFile() && status.size === 0
  } catch {
    // Whatever is wrong, opening the database is what reports it.
    return false
  }
}

function hintFor(reason: string, path: string): string | undefined {
  if (reason === NO_SUCH_FILE) {
    return 'no database yet: create it with "spamdctl init-db", or start spamd'
  }
  if (reason === NO_PERMISSION) {
    return 'run it as root, or as a member of the group that owns the file'
  }
  if (reason === IS_A_FOLDER) return 'name a file in that folder with --db or SPAMD_DB'
  if (reason === NOT_A_FOLDER)
    return 'what stands in front of a slash is a file: name the database with --db or SPAMD_DB'
  return reason === NOT_A_DATABASE ? hintForForeignFile(path) : undefined
}

function hintForForeignFile(path: string): string {
  if (isWritableEmptyFile(path)) return 'the file is empty: the first entry added makes it a database'
  const start = readStart(path)
  if (start === undefined) return 'name the database with --db or SPAMD_DB'
  if (start.length === 0) return 'the file is empty: the first entry that root adds makes it a database'
  if (isBerkeleyHash(start)) {
    return `this is a file of OpenBSD's spamd: move it away, then "spamdctl init-db" and "spamdctl import" it`
  }
  if (start.toString('latin1') === SQLITE_MAGIC) {
    return 'this is a database of another program: name that of spamd with --db or SPAMD_DB'
  }
  return 'this is no database: name it with --db or SPAMD_DB; "spamdctl import" reads lists and listings'
}

/** The first bytes of a file; undefined for what cannot be read or is no file (reading a pipe would wait). */
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

/** The user whom a new database belongs to: the one that the daemons become. */
export interface DatabaseOwner {
  uid: number
  gid: number
}

/**
 * Creates an empty database, owned by `owner` when given, and its folder when only that is missing (mode 0750, or 0755
 * for a database that all may read):
 * SQLite keeps files beside the database, so the folder has to be the daemons' own. False when there is a
 * database already, which stays as it is. Throws `AppError` `ERR_DB_OPEN`: `cannot create FILE: REASON`, also
 * for a file that is not a database.
 */
export async function initDatabase(path: string, owner?: DatabaseOwner, mode?: number): Promise<boolean> {
  try {
    const store = await openStore(path, { mode: 'write' })
    await store.close()
    return false
  } catch (error) {
    const isMissing = error instanceof AppError && error.message === NO_SUCH_FILE
    if (!isMissing) throw cannotCreate(path, error)
  }
  try {
    makeFolder(dirname(resolve(path)), owner, mode !== undefined && (mode & 0o004) !== 0 ? 0o755 : 0o750)
    createDatabase(path, { ...(owner && { owner }), ...(mode !== undefined && { mode }) })
    return true
  } catch (error) {
    throw cannotCreate(path, error)
  }
}

function makeFolder(folder: string, owner: DatabaseOwner | undefined, mode: number): void {
  if (statSync(folder, { throwIfNoEntry: false }) !== undefined) return
  try {
    mkdirSync(folder, { mode })
    if (owner !== undefined) chownSync(folder, owner.uid, owner.gid)
  } catch (error) {
    throw new AppError('ERR_DB_OPEN', reasonOf(error), { cause: error })
  }
}

function cannotCreate(path: string, error: unknown): unknown {
  if (!(error instanceof AppError) || error.code !== 'ERR_DB_OPEN') return error
  const folder = dirname(path)
  const hint =
    error.message === NO_SUCH_FILE
      ? `there is no folder to put it in: mkdir -p ${folder}`
      : (error.hint ?? hintFor(error.message, path))
  return new AppError('ERR_DB_OPEN', `cannot create ${path}: ${error.message}`, { hint, cause: error })
}
