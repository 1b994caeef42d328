import { fstatSync, statSync, writeSync } from 'node:fs'
import { isatty } from 'node:tty'
import { toTerminalText } from '../codec/terminal-text.js'
import { AppError } from './app-error.js'
import { reasonOf } from './errno-text.js'

/**
 * Milliseconds between two attempts on a full non-blocking descriptor (Node makes pipes so once its own stream of them is
 * used): an active reader makes room in a fraction of the longest, and a waiting one costs little.
 */
const SHORTEST_RETRY_MS = 0.1
const LONGEST_RETRY_MS = 5

/**
 * Writes all bytes to a descriptor and returns when they are accepted: results must be written before the
 * exit code is set, whatever the descriptor is. For a terminal, control characters are escaped
 * (`toTerminalText`); anything else gets the bytes unchanged. A closed reader ends the program as SIGPIPE
 * would (see `dieOfBrokenPipe`); other failures throw `AppError` `ERR_OUTPUT`.
 */
export function writeFully(descriptor: 1 | 2, text: Uint8Array): void {
  const bytes = isTerminal(descriptor) ? toTerminalText(text) : text
  let offset = 0
  let retryMs = SHORTEST_RETRY_MS
  while (offset < bytes.length) {
    try {
      offset += writeSync(descriptor, bytes, offset)
      retryMs = SHORTEST_RETRY_MS
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code
      if (code === 'EAGAIN') {
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, retryMs)
        retryMs = Math.min(2 * retryMs, LONGEST_RETRY_MS)
        continue
      }
      if (code === 'EPIPE') dieOfBrokenPipe()
      throw outputFailure(descriptor, error)
    }
  }
}

/**
 * The same as isatty(3), which in Node is in a module that loads all of its network code: a descriptor that
 * is not a device, or is the null device of a cron job, is recognised by its kind.
 */
function isTerminal(descriptor: 1 | 2): boolean {
  try {
    const status = fstatSync(descriptor)
    if (!status.isCharacterDevice() || status.rdev === statSync('/dev/null').rdev) return false
  } catch {
    // A closed descriptor, or a system without that device: isatty decides.
  }
  return isatty(descriptor)
}

/**
 * Writes messages to standard error. What it cannot accept (a log on a full disk) is lost, as in a C program:
 * the actual work must not stop for it.
 */
export function writeMessage(text: string): void {
  try {
    writeFully(2, Buffer.from(text))
  } catch (error) {
    if (!(error instanceof AppError)) throw error
  }
}

/** `ERR_OUTPUT`: the message when standard output or standard error cannot be written. */
export function outputFailure(descriptor: 1 | 2, error: unknown): AppError {
  const name = descriptor === 1 ? 'standard output' : 'standard error'
  return new AppError('ERR_OUTPUT', `cannot write to ${name}: ${reasonOf(error)}`, { cause: error })
}

/**
 * Ends the process silently as a C program ends when `| head -1` closes its pipe: by SIGPIPE, which the
 * shell shows as 141. Node ignores the signal; dropping a listener puts its default action back.
 */
function dieOfBrokenPipe(): never {
  const listener = (): void => undefined
  process.on('SIGPIPE', listener)
  process.removeListener('SIGPIPE', listener)
  process.kill(process.pid, 'SIGPIPE')
  process.exit(141)
}
