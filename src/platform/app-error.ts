import type { ErrorCode } from './error-codes.js'

/**
 * An operational failure that a user can understand and possibly fix. Programs print it as `PROGRAM: MESSAGE`
 * and, when there is a known fix, `PROGRAM: hint: HINT`.
 *
 * `code` and `errno` are what callers branch on, never `message`, which is lower case, has no full stop and
 * says what failed, on what and why.
 */
export class AppError extends Error {
  readonly code: ErrorCode
  /** Name of the underlying system error, such as `ENOENT`: as given, or that of the cause. */
  readonly errno: string | undefined
  readonly hint: string | undefined

  constructor(
    code: ErrorCode,
    message: string,
    options: { hint?: string | undefined; cause?: unknown; errno?: string | undefined } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'AppError'
    this.code = code
    this.hint = options.hint
    this.errno = options.errno ?? errnoOf(options.cause)
  }
}

/** True for an error of the system that carries an errno name such as `ENOENT`. */
export function isSystemError(error: unknown): error is NodeJS.ErrnoException & { code: string } {
  return (
    error instanceof Error && typeof (error as NodeJS.ErrnoException).code === 'string' && 'syscall' in error
  )
}

/** Name of the system error that a thrown value is or stands for, such as `ENOENT`. */
export function errnoOf(error: unknown): string | undefined {
  if (error instanceof AppError) return error.errno
  return isSystemError(error) ? error.code : undefined
}
