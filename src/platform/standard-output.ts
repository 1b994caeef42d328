import { fstatSync, statSync, writeSync } from 'node:fs'
import { isatty } from 'node:tty'
import { toTerminalText } from '../codec/terminal-text.js'
import { AppError } from './app-error.js'
import { reasonOf } from './errno-text.js'

/** Milliseconds between two tries on a non-blocking descriptor that is full. */
const RETRY_MS = 5

/**
 * Writes all bytes to a descriptor and returns when they are taken: results must be on their way before
 * the exit code is given, whatever the descriptor is. A terminal gets nothing that it would obey
 * (`toTerminalText`), anything else the bytes as they are. A reader that is gone ends the program as SIGPIPE
 * would (see `dieOfBrokenPipe`); other failures throw `AppError` `ERR_OUTPUT`.
 */
export function writeFully(descriptor: 1 | 2, text: Uint8Array): void {
  const bytes = isTerminal(descriptor) ? toTerminalText(text) : text
  let offset = 0
  while (offset < bytes.length) {
    try {
      offset += writeSync(descriptor, bytes, offset)
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code
      if (code === 'EAGAIN') {
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS)
        continue
      }
      if (code === 'EPIPE') dieOfBrokenPipe()
      throw outputFailure(descriptor, error)
    }
  }
}

/**
 * The same as isatty(3), which Node has in a module that brings its whole network with it: what is no device, or is the one
 * to which a cron job writes, is told by its kind.
 */
function isTerminal(descriptor: 1 | 2): boolean {
  try {
    const status = fstatSync(descriptor)
    if (!status.isCharacterDevice() || status.rdev === statSync('/dev/null').rdev) return false
  } catch {
    // A descriptor that is closed, or a system without that device: isatty says what it is.
  }
  return isatty(descriptor)
}

/**
 * Writes messages to standard error. What it cannot take (a log on a full disk) is lost, as in a C program: the work
 * that is being told about must not stop half-way for it.
 */
export function writeMessage(text: string): void {
  try {
    writeFully(2, Buffer.from(text))
  } catch (error) {
    if (!(error instanceof AppError)) throw error
  }
}

/** `ERR_OUTPUT`: what is told when standard output or standard error cannot be written. */
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
