import { chownSync, mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { AppError } from '../../platform/app-error.js'
import { reasonOf } from '../../platform/errno-text.js'
import type { SystemUser } from '../../platform/privileges.js'

/** The daemon's user writes there (the database makes files beside itself), its group may look. */
const FOLDER_MODE = 0o750

/**
 * Makes the folder of a file for the unprivileged user when it is missing. A folder that is there is left
 * alone, and one whose own parent is missing or forbidden is not made: whoever opens the file says what is wrong.
 * Throws `AppError` `ERR_SPAMD_FOLDER` when the folder could be made but not given to the user.
 */
export function prepareFolderOf(path: string, user: SystemUser | undefined): void {
  const folder = dirname(path)
  try {
    mkdirSync(folder, FOLDER_MODE)
  } catch {
    return
  }
  if (user === undefined) return
  try {
    chownSync(folder, user.uid, user.gid)
  } catch (error) {
    throw new AppError('ERR_SPAMD_FOLDER', `cannot give ${folder} to ${user.name}: ${reasonOf(error)}`, {
      cause: error,
    })
  }
}
