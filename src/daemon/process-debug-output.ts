import type { DebugOutput } from './debug-output.js'

/** The chatter of -d on this process's standard output and standard error. */
export const PROCESS_DEBUG_OUTPUT: DebugOutput = {
  out: (line) => process.stdout.write(`${line}\n`, 'latin1'),
  err: (line) => process.stderr.write(`${line}\n`, 'latin1'),
}
