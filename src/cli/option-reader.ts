/** The options of every program: their values, and problems with them. */
import { type NumberProblem, strtonum } from '../codec/strtonum.js'
import { AppError } from '../platform/app-error.js'
import type { ParsedOption } from './getopt.js'

interface ProblemForm {
  hint?: string | undefined
  /** Usage text to print below. */
  usage?: string
  /** Text of the original instead of `PROGRAM: MESSAGE`; it may be empty. */
  line?: string
}

/** A problem with the options or operands; `formatFailure` makes the text for stderr. */
export class OptionProblem extends AppError {
  readonly usage: string
  readonly line: string | undefined

  constructor(message: string, { hint, usage = '', line }: ProblemForm = {}) {
    super('ERR_USAGE', message, { hint })
    this.usage = usage
    this.line = line
  }
}

/** The options of a call, by name: for programs in which their order does not matter. */
export class OptionValues {
  readonly #options: readonly ParsedOption[]

  constructor({ options }: { readonly options: readonly ParsedOption[] }) {
    this.#options = options
  }

  /** True when no option was given. */
  get isEmpty(): boolean {
    return this.#options.length === 0
  }

  /** True when the option was given at all. */
  has(name: string): boolean {
    return this.#options.some((option) => option.name === name)
  }

  /** The last value given, as getopt(3) programs take it. */
  last(name: string): string | undefined {
    return this.#options.findLast((option) => option.name === name)?.value
  }

  /** Every value given, in order. */
  all(name: string): string[] {
    return this.#options.flatMap((option) =>
      option.name === name && option.value !== undefined ? [option.value] : [],
    )
  }

  /** The option that was given last of these. */
  lastOf(names: readonly string[]): string | undefined {
    return this.#options.findLast(({ name }) => names.includes(name))?.name
  }

  /** The last value as a number from `min` to `max`; throws `OptionProblem` when it is not `wanted`. */
  number(
    name: string,
    [min, max]: readonly [min: number, max: number],
    wanted = `a number from ${min} to ${max}`,
    hint?: string,
  ): number | undefined {
    const text = this.last(name)
    if (text === undefined) return undefined
    return numberIn(
      text,
      [min, max],
      () => new OptionProblem(`--${name}: ${JSON.stringify(text)} is not ${wanted}`, { hint }),
    )
  }
}

/**
 * What one option does to the draft of a configuration; `value` is empty for an option without one. Throws
 * `OptionProblem`.
 */
export type ApplyOption<Draft> = (draft: Draft, value: string, name: string) => void

/** By the name of the option, letter or long. Contains every option of the program. */
export type OptionTable<Draft> = Readonly<Record<string, ApplyOption<Draft>>>

/** Applies one option to the draft: for programs that check their options in the given order. */
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
