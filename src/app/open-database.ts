import { accessSync, chownSync, closeSync, constants, mkdirSync, openSync, readSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { isBerkeleyHash } from '../codec/database/berkeley-hash.js'
import { createDatabase, openStore } from '../db/open-store.js'
import type { Store } from '../db/store.js'
import { AppError } from '../platform/app-error.js'
import { errnoText, reasonOf } from '../platform/errno-text.js'

const NO_SUCH_FILE = errnoText('ENOENT')
const NO_PERMISSION = errnoText('EACCES')
const NOT_A_DATABASE = errnoText('EFTYPE')

/**
 * Opens the database for one command. Failures carry the original's text:
 * `cannot open FILE for reading: No such file or directory`, code `ERR_DB_OPEN`, with a hint where the
 * fix is known.
 */
export async function openDatabase(path: string, mode: 'read' | 'write'): Promise<Store> {
  try {
    return await openStore(path, { mode, durability: 'full' })
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'ERR_DB_OPEN') throw error
    const purpose = mode === 'read' ? 'reading' : 'writing'
    throw new AppError('ERR_DB_OPEN', `cannot open ${path} for ${purpose}: ${error.message}`, {
      hint: error.hint ?? hintFor(error.message, path),
      cause: error,
    })
  }
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
  return reason === NOT_A_DATABASE ? hintForForeignFile(path) : undefined
}

function hintForForeignFile(path: string): string | undefined {
  if (isWritableEmptyFile(path)) return 'the file is empty: the first entry added makes it a database'
  const start = Buffer.alloc(4)
  try {
    const descriptor = openSync(path, 'r')
    readSync(descriptor, start)
    closeSync(descriptor)
  } catch {
    return undefined
  }
  return isBerkeleyHash(start)
    ? `this is a file of OpenBSD's spamd: move it away, then "spamdctl init-db" and "spamdctl import" it`
    : undefined
}

/** The user whom a new database belongs to: the one that the daemons become. */
export interface DatabaseOwner {
  uid: number
  gid: number
}

/**
 * Creates an empty database, owned by `owner` when given, and its folder (mode 0750) when only that is missing:
 * SQLite keeps files beside the database, so the folder has to be the daemons' own. False when there is a
 * database already, which stays as it is. Throws `AppError` `ERR_DB_OPEN`: `cannot create FILE: REASON`, also
 * for a file that is not a database.
 */
export async function initDatabase(path: string, owner?: DatabaseOwner): Promise<boolean> {
  try {
    const store = await openStore(path, { mode: 'write' })
    await store.close()
    return false
  } catch (error) {
    const isMissing = error instanceof AppError && error.message === NO_SUCH_FILE
    if (!isMissing) throw cannotCreate(path, error)
  }
  try {
    makeFolder(dirname(resolve(path)), owner)
    createDatabase(path, owner === undefined ? {} : { owner })
    return true
  } catch (error) {
    throw cannotCreate(path, error)
  }
}

function makeFolder(folder: string, owner: DatabaseOwner | undefined): void {
  if (statSync(folder, { throwIfNoEntry: false }) !== undefined) return
  try {
    mkdirSync(folder, { mode: 0o750 })
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
