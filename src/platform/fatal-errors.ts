import { escapeControl } from '../codec/escape.js'
import type { Logger } from './log.js'

/** Maximum wait for a log that does not accept its last line. */
const FLUSH_MS = 1_000
/** Number of stack frames that are logged: where it happened, not how Node got there. */
const MAX_FRAMES = 3

/**
 * From now on an unhandled error ends the process with exit code 1 and a line in the log that names it; Node
 * would write to standard error, which a daemon does not have.
 */
export function logFatalErrors(logger: Logger): void {
  let isEnding = false
  const end = (error: unknown): void => {
    if (isEnding) return
    isEnding = true
    logger.log('err', `internal error: ${describe(error)}`, { event: 'internal-error' })
    const exit = (): void => process.exit(1)
    setTimeout(exit, FLUSH_MS)
    logger.flush().then(exit, exit)
  }
  process.on('uncaughtException', end)
  process.on('unhandledRejection', end)
}

function describe(error: unknown): string {
  try {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
    const lines = text.split('\n').map((line) => line.trim())
    return escapeControl(lines.slice(0, 1 + MAX_FRAMES).join(' '))
  } catch {
    return 'an error that cannot be shown'
  }
}
