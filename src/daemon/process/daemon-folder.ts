import { chownSync, mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { AppError } from '../../platform/app-error.js'
import { reasonOf } from '../../platform/errno-text.js'
import { hasRights, type SystemUser } from '../../platform/privileges.js'
import { distrustOf } from '../../platform/trusted-folder.js'

/** The daemon's user writes there (the database creates files beside itself), its group may list it. */
const DATABASE_FOLDER_MODE = 0o750
/** The mode of the socket in it decides who may use it. */
const SOCKET_FOLDER_MODE = 0o755

/**
 * Creates the folder of the database for the unprivileged user if it is missing. An existing folder is left
 * unchanged, and none is created if its own parent is missing, not accessible, or can be written by others:
 * the caller that opens the file reports the error. Throws `AppError` `ERR_SPAMD_FOLDER` when the folder was
 * created but could not be given to the user.
 */
export function prepareDatabaseFolder(path: string, user: SystemUser | undefined): void {
  const folder = dirname(path)
  if (!makeFolder(folder, DATABASE_FOLDER_MODE) || user === undefined) return
  try {
    chownSync(folder, user.uid, user.gid)
  } catch (error) {
    throw new AppError('ERR_SPAMD_FOLDER', `cannot give ${folder} to ${user.name}: ${reasonOf(error)}`, {
      cause: error,
    })
  }
}

/**
 * Creates the folder of the Unix socket in the same way; it stays ours, so that nobody else can put anything
 * into it.
 */
export function prepareSocketFolder(path: string): void {
  makeFolder(dirname(path), SOCKET_FOLDER_MODE)
}

function makeFolder(folder: string, mode: number): boolean {
  const previousMask = process.umask(0o022)
  try {
    if (hasRights() && distrustOf(dirname(folder)) !== undefined) return false
    mkdirSync(folder, mode)
    return true
  } catch {
    return false
  } finally {
    process.umask(previousMask)
  }
}
