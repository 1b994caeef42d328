import type { LogFields, Logger, LogLevel } from '../../src/platform/log.js'

/** Collects lines. */
export class MemoryLogger implements Logger {
  readonly lines: { level: LogLevel; message: string; fields: LogFields | undefined }[] = []

  log(level: LogLevel, message: string, fields?: LogFields): void {
    this.lines.push({ level, message, fields })
  }

  async flush(): Promise<void> {}
}
