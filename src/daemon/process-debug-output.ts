import { losesUnwritable } from '../platform/lossy-output.js'
import type { DebugOutput } from './debug-output.js'

/** The output of -d on this process's standard output and standard error; what they do not accept is lost. */
export function openProcessDebugOutput(): DebugOutput {
  const out = losesUnwritable(process.stdout)
  const err = losesUnwritable(process.stderr)
  return {
    out: (line) => out.write(`${line}\n`, 'latin1'),
    err: (line) => err.write(`${line}\n`, 'latin1'),
  }
}
