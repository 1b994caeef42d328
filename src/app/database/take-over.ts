/** Moves the database of version 0.1.0 from the folder that it shared with others to its own. */
import {
  chownSync,
  closeSync,
  constants,
  existsSync,
  fchmodSync,
  fchownSync,
  mkdirSync,
  openSync,
  renameSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { DATABASE_MODE } from '../../db/file/database-file.js'
import { AppError } from '../../platform/app-error.js'
import { reasonOf } from '../../platform/errno-text.js'
import { distrustOf } from '../../platform/trusted-folder.js'
import { type DatabaseOwner, openDatabase } from './open-database.js'

/** What SQLite keeps beside a database. */
const COMPANIONS = ['', '-wal', '-shm', '-journal']

/**
 * Copies the database whole, gives copy and folder to `owner`, and renames the former one to `.old`. The copy
 * is made while the folder is still ours: root uses no path inside a folder that another user can write.
 * Throws `AppError` `ERR_DB_OPEN` and others of the store; then the former database is where it was.
 */
export async function takeOverDatabase(
  from: string,
  to: string,
  owner?: DatabaseOwner,
  mode = DATABASE_MODE,
): Promise<void> {
  const folder = dirname(to)
  prepareFolder(from, folder)
  const store = await openDatabase(from, 'read')
  try {
    await store.backup(to)
  } finally {
    await store.close()
  }
  const file = openSync(to, constants.O_RDWR | constants.O_NOFOLLOW)
  try {
    fchmodSync(file, mode)
    if (owner !== undefined) fchownSync(file, owner.uid, owner.gid)
  } finally {
    closeSync(file)
  }
  for (const suffix of COMPANIONS) {
    if (existsSync(from + suffix)) renameSync(from + suffix, `${from}.old${suffix}`)
  }
  if (owner !== undefined) chownSync(folder, owner.uid, owner.gid)
}

function prepareFolder(from: string, folder: string): void {
  try {
    if (!existsSync(folder)) mkdirSync(folder, { mode: 0o750 })
    const distrust = distrustOf(folder)
    if (distrust === undefined) return
    throw new AppError('ERR_DB_OPEN', distrust, {
      hint: `copy it by hand: "spamdctl export --db ${from}", then "spamdctl init-db" and "spamdctl import"`,
    })
  } catch (error) {
    const hint = error instanceof AppError ? error.hint : undefined
    throw new AppError('ERR_DB_OPEN', `cannot take over ${from}: ${reasonOf(error)}`, { hint, cause: error })
  }
}
