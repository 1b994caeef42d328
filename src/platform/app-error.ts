/**
 * An operational failure that a user can understand and perhaps mend. Programs print it as
 * `PROGRAM: MESSAGE` and, when there is a known fix, `PROGRAM: hint: HINT`.
 *
 * `code` is stable (`ERR_<AREA>_<WHAT>`) and is what callers branch on; `message` is lower case,
 * has no full stop and says what failed, on what and why.
 */
export class AppError extends Error {
  readonly code: string
  readonly hint: string | undefined

  constructor(code: string, message: string, options: { hint?: string | undefined; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'AppError'
    this.code = code
    this.hint = options.hint
  }
}

/** True for an error of the system that carries an errno name such as `ENOENT`. */
export function isSystemError(error: unknown): error is NodeJS.ErrnoException & { code: string } {
  return (
    error instanceof Error && typeof (error as NodeJS.ErrnoException).code === 'string' && 'syscall' in error
  )
}
