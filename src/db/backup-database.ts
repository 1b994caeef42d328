import { chmodSync, closeSync, fsyncSync, openSync, renameSync, rmSync, statSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { errnoText } from '../platform/errno-text.js'
import type { Connection } from './connection.js'
import { DATABASE_MODE, inspectFile, isSameFile, refuseForeignSymlink, syncFolder } from './database-file.js'
import { openError, toDbError } from './db-error.js'
import { openSqlite } from './sqlite-driver.js'

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
    leaveWalMode(temporaryPath)
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

/** So that the backup is one file, also when it is read; the first opening for writing undoes it. */
function leaveWalMode(path: string): void {
  const database = openSqlite(path, { fileMustExist: true })
  try {
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
