import { closeSync, openSync, readSync, statSync } from 'node:fs'
import { isBerkeleyHash } from '../codec/berkeley-hash.js'
import { openStore } from '../db/open-store.js'
import type { Store } from '../db/store.js'
import { AppError } from '../platform/app-error.js'

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

/** True for a file of no bytes: a write makes it a database, but a refused request must leave it as it is. */
export function isEmptyFile(path: string): boolean {
  try {
    const status = statSync(path)
    return status.isFile() && status.size === 0
  } catch {
    // Whatever is wrong, opening the database is what reports it.
    return false
  }
}

function hintFor(reason: string, path: string): string | undefined {
  if (reason === 'No such file or directory') {
    return 'no database yet: create it with "spamdctl init-db", or start spamd'
  }
  if (reason === 'Permission denied') {
    return 'run it as root, or as a member of the group that owns the file'
  }
  return reason === 'Inappropriate file type or format' ? hintForForeignFile(path) : undefined
}

function hintForForeignFile(path: string): string | undefined {
  if (isEmptyFile(path)) return 'the file is empty: the first entry added makes it a database'
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
