import { chmodSync, closeSync, fsyncSync, openSync, renameSync, rmSync, statSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { errnoText } from '../../platform/errno-text.js'
import type { Connection } from '../connection.js'
import { damageError, openError, toDbError } from '../db-error.js'
import { openSqlite } from '../sqlite-driver.js'
import { DATABASE_MODE, inspectFile, isSameFile, refuseForeignSymlink, syncFolder } from './database-file.js'

/** All pages in one step: SQLite starts a backup over whenever another process writes between two steps. */
const ALL_PAGES = 0x7fffffff

/**
 * Copies the live database to a file that appears whole or not at all. An earlier backup under that name is
 * replaced, any other file is refused.
 */
export async function backupDatabase(connection: Connection, targetPath: string): Promise<void> {
  const target = resolve(targetPath)
  refuseForeignSymlink(target)
  refuseOtherFile(connection, target)
  const temporaryPath = join(dirname(target), `.${basename(target)}.${process.pid}.backup`)
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
 * Looks whether the copy is sound, so that no damage ever takes the place of a good backup, and makes it one file,
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
  if (isSameFile(connection.location, found)) {
    throw openError(errnoText('EEXIST'), { hint: 'name another file: this one is the database itself' })
  }
  if (statSync(`${found.realPath}-wal`, { throwIfNoEntry: false }) !== undefined) {
    throw openError(errnoText('EEXIST'), { hint: 'name another file: this one is a database in use' })
  }
}
