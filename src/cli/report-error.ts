import { escapeControl } from '../codec/escape.js'
import { AppError } from '../platform/app-error.js'
import { OptionProblem } from './option-reader.js'

/** Exit codes of the new commands (`usage` as in sysexits(3)); the cloned programs keep those of the originals. */
export const EXIT = {
  ok: 0,
  failure: 1,
  usage: 64,
} as const

/**
 * What a program prints for an expected failure: `PROGRAM: MESSAGE` and, where the fix is known,
 * `PROGRAM: hint: HINT`, each with a line end; for wrong options also the usage. `undefined` for a bug, which
 * should show its stack.
 */
export function formatFailure(program: string, error: unknown): string | undefined {
  if (!(error instanceof AppError)) return undefined
  const hint = error.hint === undefined ? '' : `${program}: hint: ${escapeControl(error.hint)}\n`
  const line = `${program}: ${escapeControl(error.message)}\n`
  if (error instanceof OptionProblem) return `${error.line ?? line}${hint}${error.usage}`
  return `${line}${hint}`
}
