/**
 * A lock between runs of one program. It is a lock of the kernel on a file (through SQLite, since Node has
 * none of its own), so it ends with its holder in any case and cannot become stale.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { AppError, isSystemError } from '../../platform/app-error.js'
import { reasonOf } from '../../platform/errno-text.js'
import { loadDriver, openSqlite, type SqliteDatabase } from '../sqlite-driver.js'

/** How often a waiting run checks again. */
const RETRY_MS = 100

export interface RunLock {
  release(): void
}

/** Loads what a lock needs: for a process that may read less later. */
export function loadLocks(): void {
  loadDriver()
}

/**
 * Takes the lock at `path` (created when missing, and never removed), waiting up to `waitMs`. A file beside
 * it, `PATH.holder`, tells people who has it.
 *
 * Errors: `ERR_LOCK_BUSY` naming the holder, `ERR_LOCK_OPEN`.
 */
export async function acquireRunLock(
  path: string,
  options: { waitMs: number; holder: string; sleep(durationMs: number): Promise<void> },
): Promise<RunLock> {
  const database = openLockFile(path)
  const deadlineMs = performance.now() + options.waitMs
  try {
    while (!tryLock(database, path)) {
      if (performance.now() >= deadlineMs) {
        throw new AppError('ERR_LOCK_BUSY', `another run is in progress: ${readHolder(path)}`, {
          hint: 'use --wait SECONDS to wait until it ends',
        })
      }
      await options.sleep(RETRY_MS)
    }
    writeHolder(path, options.holder)
  } catch (error) {
    database.close()
    throw error
  }
  return { release: () => database.close() }
}

function openLockFile(path: string): SqliteDatabase {
  try {
    return openSqlite(path, { timeout: 0 })
  } catch (error) {
    throw openFailure(path, error)
  }
}

function tryLock(database: SqliteDatabase, path: string): boolean {
  try {
    database.exec('BEGIN EXCLUSIVE')
    return true
  } catch (error) {
    if ((error as { code?: string }).code === 'SQLITE_BUSY') return false
    throw openFailure(path, error)
  }
}

function openFailure(path: string, error: unknown): AppError {
  const reason = isSystemError(error) ? reasonOf(error) : (error as Error).message
  return new AppError('ERR_LOCK_OPEN', `cannot lock ${path}: ${reason}`, { cause: error })
}

function holderPath(path: string): string {
  return `${path}.holder`
}

function writeHolder(path: string, holder: string): void {
  try {
    writeFileSync(holderPath(path), `${holder}\n`)
  } catch {
    // It only improves a message; the lock itself is held.
  }
}

function readHolder(path: string): string {
  try {
    return readFileSync(holderPath(path), 'utf8').slice(0, 200).trim()
  } catch {
    return 'its process is unknown'
  }
}
