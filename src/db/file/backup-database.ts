import { chmodSync, closeSync, fsyncSync, openSync, renameSync, rmSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { AppError } from '../../platform/app-error.js'
import { inRightsFor } from '../../platform/lesser-rights.js'
import { temporaryPathFor } from '../../platform/temporary-path.js'
import type { Connection } from '../connection.js'
import { damageError, openErrno, toDbError } from '../db-error.js'
import { openSqlite } from '../sqlite-driver.js'
import type { StoreRights } from '../store-rights.js'
import { DATABASE_MODE, inspectFile, refuseForeignSymlink, syncFolder } from './database-file.js'

/** All pages in one step: SQLite restarts a backup whenever another process writes between two steps. */
const ALL_PAGES = 0x7fffffff

/**
 * Copies the live database to a file that appears whole or not at all. An earlier backup under that name is
 * replaced, any other file is refused. The copy is made with the privileges held before the database was
 * opened, or as the user who could interfere with its path.
 */
export async function backupDatabase(
  connection: Connection,
  targetPath: string,
  rights?: StoreRights,
): Promise<void> {
  const { database } = connection
  const target = resolve(targetPath)
  const write = (): Promise<void> => inRightsFor(target, () => writeBackup(connection, target)).catch(rethrow)
  if (rights === undefined) return await write()
  // A reader that has started no longer uses paths beside the database, so the privileges may change in the
  // meantime.
  database.exec('BEGIN')
  try {
    database.prepare('SELECT count(*) FROM sqlite_schema').get()
    await rights.lift(write)
  } finally {
    database.exec('ROLLBACK')
  }
}

function rethrow(error: unknown): never {
  throw error instanceof AppError && error.code === 'ERR_UNSAFE_FOLDER'
    ? new AppError('ERR_DB_OPEN', error.message, { hint: error.hint, cause: error })
    : error
}

async function writeBackup(connection: Connection, target: string): Promise<void> {
  refuseForeignSymlink(target)
  refuseOtherFile(connection, target)
  const temporaryPath = temporaryPathFor(target)
  try {
    closeSync(openSync(temporaryPath, 'wx', DATABASE_MODE))
    chmodSync(temporaryPath, DATABASE_MODE)
    await connection.database.backup(temporaryPath, { progress: () => ALL_PAGES })
    finishCopy(temporaryPath)
    const file = openSync(temporaryPath, 'r+')
    fsyncSync(file)
    closeSync(file)
    renameSync(temporaryPath, target)
    syncFolder(dirname(target))
  } catch (error) {
    throw toDbError(error)
  } finally {
    rmSync(temporaryPath, { force: true })
  }
}

/**
 * Checks that the copy is sound, so that damage never replaces a good backup, and makes it a single file,
 * also for readers; the first opening for writing undoes that.
 */
function finishCopy(path: string): void {
  const database = openSqlite(path, { fileMustExist: true })
  try {
    if (database.pragma('quick_check(1)', { simple: true }) !== 'ok') throw damageError()
    database.pragma('journal_mode = DELETE')
  } finally {
    database.close()
  }
}

function refuseOtherFile(connection: Connection, target: string): void {
  if (statSync(target, { throwIfNoEntry: false }) === undefined) return
  const found = inspectFile(target, 'read')
  if (found.isEmpty) return
  if (connection.isSameFile(found)) {
    throw openErrno('EEXIST', { hint: 'name another file: this is the database itself' })
  }
  if (statSync(`${found.realPath}-wal`, { throwIfNoEntry: false }) !== undefined) {
    throw openErrno('EEXIST', { hint: 'name another file: this is a database in use' })
  }
}
