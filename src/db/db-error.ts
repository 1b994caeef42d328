import { AppError, isSystemError } from '../platform/app-error.js'
import { errnoText } from '../platform/errno-text.js'
import type { ErrorCode } from '../platform/error-codes.js'

/** Errno of a file that is not one of our databases, as in the original. Source: db(3). */
export const NOT_OURS = 'EFTYPE'

interface SqliteReason {
  prefix: string
  code: ErrorCode
  /** In our words, else in those of `errno`. */
  reason?: string
  errno?: string
  hint?: string
}

const NO_ROOM = 'free space on the file system of the database'

/** SQLite's result codes by prefix, first match wins, with our codes and reasons. */
const REASONS: readonly SqliteReason[] = [
  {
    prefix: 'SQLITE_BUSY',
    code: 'ERR_DB_BUSY',
    reason: 'the database is locked by another program',
    hint: 'try again; fuser(1) shows which process has the file open',
  },
  { prefix: 'SQLITE_LOCKED', code: 'ERR_DB_BUSY', reason: 'the database is locked by another program' },
  { prefix: 'SQLITE_FULL', code: 'ERR_DB_FULL', errno: 'ENOSPC', hint: NO_ROOM },
  { prefix: 'SQLITE_IOERR_SHMSIZE', code: 'ERR_DB_FULL', errno: 'ENOSPC', hint: NO_ROOM },
  {
    prefix: 'SQLITE_READONLY_DBMOVED',
    code: 'ERR_DB_GONE',
    reason: 'the database file was removed or replaced',
  },
  { prefix: 'SQLITE_READONLY', code: 'ERR_DB_READONLY', reason: 'the database cannot be written' },
  {
    prefix: 'SQLITE_CORRUPT',
    code: 'ERR_DB_CORRUPT',
    reason: 'the database is damaged',
    hint: 'run "spamdctl check-db" for details; restore a file made by "spamdctl backup"',
  },
  { prefix: 'SQLITE_NOTADB', code: 'ERR_DB_CORRUPT', errno: NOT_OURS },
  { prefix: 'SQLITE_PERM', code: 'ERR_DB_OPEN', errno: 'EACCES' },
  {
    prefix: 'SQLITE_CANTOPEN',
    code: 'ERR_DB_OPEN',
    reason: 'cannot open the database or its -wal and -shm files',
  },
  { prefix: 'SQLITE_NOMEM', code: 'ERR_DB_IO', errno: 'ENOMEM' },
  { prefix: 'SQLITE_IOERR', code: 'ERR_DB_IO', errno: 'EIO' },
]

/**
 * An `AppError` for anything SQLite or the file system threw: its message is only the reason, which callers
 * append to what they wanted to do. Errors that are neither are bugs and come back unchanged.
 */
export function toDbError(error: unknown): unknown {
  if (error instanceof AppError) return error
  if (isSystemError(error)) return openErrno(error.code, { cause: error })
  const sqliteCode = sqliteCodeOf(error)
  if (sqliteCode === undefined) return error
  const known = REASONS.find(({ prefix }) => sqliteCode.startsWith(prefix))
  return known === undefined ? error : errorOf(known, error)
}

/** Damage that was found by a check; the same as SQLite's own finding. */
export function damageError(): AppError {
  return errorOf(REASONS.find(({ prefix }) => prefix === 'SQLITE_CORRUPT')!)
}

function errorOf({ code, reason, errno, hint }: SqliteReason, cause?: unknown): AppError {
  return new AppError(code, reason ?? errnoText(errno ?? 'EIO'), { hint, errno, cause })
}

/** The result code of an error from SQLite, undefined for other errors. */
export function sqliteCodeOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined
  const { code } = error as { code?: unknown }
  return typeof code === 'string' && code.startsWith('SQLITE_') ? code : undefined
}

/** Failure to open or create the database, where the system has no error for the reason. */
export function openError(reason: string, options: { hint?: string; cause?: unknown } = {}): AppError {
  return new AppError('ERR_DB_OPEN', reason, options)
}

/** Failure to open or create the database with an error of the system: `ENOENT`, in the words of strerror(3). */
export function openErrno(errno: string, options: { hint?: string; cause?: unknown } = {}): AppError {
  return new AppError('ERR_DB_OPEN', errnoText(errno), { ...options, errno })
}
