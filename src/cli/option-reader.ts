/** Shared by programs that read their options one by one, in the given order. */
import { type NumberProblem, strtonum } from '../codec/strtonum.js'
import type { ParsedOption } from './getopt.js'

/** An error in the middle of the options: the text for stderr. */
export class OptionProblem extends Error {
  readonly stderr: string

  constructor(stderr: string) {
    super(stderr)
    this.stderr = stderr
  }
}

/**
 * What one option does to the draft of a configuration; `value` is empty for an option without one. Throws
 * `OptionProblem`.
 */
export type ApplyOption<Draft> = (draft: Draft, value: string, name: string) => void

/** By the name of the option, letter or long. Contains every option of the program. */
export type OptionTable<Draft> = Readonly<Record<string, ApplyOption<Draft>>>

/** Applies one option to the draft. */
export function applyOption<Draft>(
  table: OptionTable<Draft>,
  { name, value = '' }: ParsedOption,
  draft: Draft,
): void {
  const apply = Object.hasOwn(table, name) ? table[name] : undefined
  // getopt's table has it and this one does not: a bug.
  if (apply === undefined) throw new TypeError(`option ${name} is in no table`)
  apply(draft, value, name)
}

/** A number from `min` to `max`, else an error made by `fail` from the problem. */
export function numberIn(
  value: string,
  [min, max]: readonly [min: number, max: number],
  fail: (problem: NumberProblem) => OptionProblem,
): number {
  const number = strtonum(value, min, max)
  if (!number.ok) throw fail(number.problem)
  return number.value
}
