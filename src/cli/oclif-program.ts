/** What bin/load-program.js needs of ours around a run of oclif. */

import { AppError } from '../platform/app-error.js'
import { outputFailure, writeMessage } from '../platform/standard-output.js'
import { EXIT, formatFailure } from './report-error.js'

/**
 * For programs that print through the streams of Node, as oclif does with help: when standard output cannot be
 * written, one line of `program` on standard error and exit code 1; silence when its reader is gone. Node
 * tells of a failed write on the next turn of the event loop.
 */
export function guardStandardOutput(program: string): void {
  // The listener of oclif throws, which ends in a stack.
  process.stdout.removeAllListeners('error')
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') return
    writeMessage(formatFailure(program, outputFailure(1, error))!)
    process.exit(EXIT.failure)
  })
}

/** Exit code that oclif gives to wrong calls, of which an unknown command is the only one that reaches it. */
const OCLIF_USAGE = 2

/** Tells of an unknown command as all our errors are told and sets the exit code; false for any other failure. */
export function tellUnknownCommand(program: string, error: Error & { oclif?: { exit?: number } }): boolean {
  if (error.oclif?.exit !== OCLIF_USAGE) return false
  const message = error.message.replace(/^C/, 'c').replace(/\.$/, '')
  const failure = new AppError('ERR_USAGE', message, { hint: `${program} help lists the commands` })
  writeMessage(formatFailure(program, failure)!)
  process.exitCode = EXIT.usage
  return true
}
