import { fstatSync, readSync } from 'node:fs'
import type { ProcessResult, ProcessRunner } from '../../src/platform/run-process.js'

/** One call of a program: its name, arguments and input. */
export interface RecordedCall {
  program: string
  args: readonly string[]
  stdin: string | undefined
}

/** How a scripted program ends; absent fields are those of a success without output. */
export type ScriptedEnd = Partial<Omit<ProcessResult, 'stdout'>> & { stdout?: string }

/** A runner that starts no program: `script` returns how each call ends, or throws. */
export function scriptedRunner(script: (call: RecordedCall) => ScriptedEnd | undefined): {
  runner: ProcessRunner
  calls: RecordedCall[]
} {
  const calls: RecordedCall[] = []
  return {
    calls,
    runner: async ({ program, args, stdin }) => {
      const call = { program, args, stdin: readInput(stdin) }
      calls.push(call)
      const { stdout = '', ...end } = script(call) ?? {}
      return {
        exitCode: 0,
        signal: null,
        hasTimedOut: false,
        stderrTail: '',
        ...end,
        stdout: Buffer.from(stdout),
      }
    },
  }
}

/** The input from its start, as a program that inherited the descriptor would read it. */
function readInput(stdin: unknown): string | undefined {
  if (stdin === undefined) return undefined
  if (stdin instanceof Uint8Array) return Buffer.from(stdin).toString('latin1')
  const { fd } = stdin as { fd: number }
  const bytes = Buffer.alloc(fstatSync(fd).size)
  // Without a position: reading continues at the offset of the descriptor, which must be the start.
  let length = 0
  while (length < bytes.length) length += readSync(fd, bytes, length, bytes.length - length, null)
  return bytes.toString('latin1')
}
