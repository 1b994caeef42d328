/** Levels by their syslog(3) severity names, most severe first. */
export const LOG_LEVELS = ['err', 'warning', 'notice', 'info', 'debug'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/** Details of a line for `--log-format json`. */
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>

/**
 * Where a program's log lines go. `message` is the whole classic line without program name or line end, its
 * untrusted parts already passed through `escapeControl`; `fields` repeat its facts for JSON.
 */
export interface Logger {
  log(level: LogLevel, message: string, fields?: LogFields): void
  /** Resolves when everything logged so far has left the process. */
  flush(): Promise<void>
}
