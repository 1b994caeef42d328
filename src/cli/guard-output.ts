import { outputFailure, writeMessage } from '../platform/standard-output.js'
import { EXIT, formatFailure } from './report-error.js'

/**
 * For programs that print through the streams of Node, as oclif does with help: when standard output cannot
 * be written, one line of `program` on standard error and exit code 1; silence if its reader has exited. Node
 * reports a failed write on the next turn of the event loop.
 */
export function guardStandardOutput(program: string): void {
  // oclif's listener throws, which prints a stack.
  process.stdout.removeAllListeners('error')
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') return
    writeMessage(formatFailure(program, outputFailure(1, error))!)
    process.exit(EXIT.failure)
  })
}
