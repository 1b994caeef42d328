import { AppError, isSystemError } from '../platform/app-error.js'
import { errnoText } from '../platform/errno-text.js'

/** Reason of a file that is no database of ours, in the words of the original. Source: db(3), EFTYPE. */
export const NOT_OUR_FILE = errnoText('EFTYPE')

/** SQLite's result codes by their beginning, first match wins, as our codes and reasons. */
const REASONS: readonly (readonly [prefix: string, code: string, reason: string, hint?: string])[] = [
  [
    'SQLITE_BUSY',
    'ERR_DB_BUSY',
    'the database is locked by another program',
    'try again; fuser(1) on the file shows who holds it',
  ],
  ['SQLITE_LOCKED', 'ERR_DB_BUSY', 'the database is locked by another program'],
  ['SQLITE_FULL', 'ERR_DB_FULL', errnoText('ENOSPC'), 'free space on the file system of the database'],
  [
    'SQLITE_IOERR_SHMSIZE',
    'ERR_DB_FULL',
    errnoText('ENOSPC'),
    'free space on the file system of the database',
  ],
  ['SQLITE_READONLY_DBMOVED', 'ERR_DB_GONE', 'the database file was removed or replaced'],
  ['SQLITE_READONLY', 'ERR_DB_READONLY', 'the database cannot be written'],
  [
    'SQLITE_CORRUPT',
    'ERR_DB_CORRUPT',
    'the database is damaged',
    'spamdctl check-db tells the damage; restore a file made by spamdctl backup',
  ],
  ['SQLITE_NOTADB', 'ERR_DB_CORRUPT', NOT_OUR_FILE],
  ['SQLITE_PERM', 'ERR_DB_OPEN', errnoText('EACCES')],
  ['SQLITE_CANTOPEN', 'ERR_DB_OPEN', 'cannot open the database or its -wal and -shm files'],
  ['SQLITE_NOMEM', 'ERR_DB_IO', errnoText('ENOMEM')],
  ['SQLITE_IOERR', 'ERR_DB_IO', errnoText('EIO')],
]

/**
 * An `AppError` for anything SQLite or the file system threw: its message is the reason alone, for callers
 * to put behind what they wanted to do. Errors that are neither are bugs and come back unchanged.
 */
export function toDbError(error: unknown): unknown {
  if (error instanceof AppError) return error
  if (isSystemError(error)) return openError(errnoText(error.code), { cause: error })
  const sqliteCode = sqliteCodeOf(error)
  if (sqliteCode === undefined) return error
  for (const [prefix, code, reason, hint] of REASONS) {
    if (sqliteCode.startsWith(prefix)) return new AppError(code, reason, { hint, cause: error })
  }
  return error
}

/** Damage that was found by looking for it; the same as what SQLite's own finding becomes. */
export function damageError(): AppError {
  const [, code, reason, hint] = REASONS.find(([prefix]) => prefix === 'SQLITE_CORRUPT')!
  return new AppError(code, reason, { hint })
}

/** The result code of an error from SQLite, undefined for other errors. */
export function sqliteCodeOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined
  const { code } = error as { code?: unknown }
  return typeof code === 'string' && code.startsWith('SQLITE_') ? code : undefined
}

/** Failure to open or create the database; `reason` in the words of strerror(3) where there are such. */
export function openError(reason: string, options: { hint?: string; cause?: unknown } = {}): AppError {
  return new AppError('ERR_DB_OPEN', reason, options)
}
