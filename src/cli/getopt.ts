import { escapeControl } from '../codec/escape.js'

/**
 * The option grammar of a cloned program: one definition feeds the fast path, oclif's flags and the help.
 * Source: getopt(3) of OpenBSD: clusters (`-aT`), values joined or apart, parsing ends at the first operand
 * or after `--`.
 */
export interface OptionSpec {
  /** One letter of the original, or undefined for an extension that has only a long name. */
  short?: string
  long?: string
  /** Name of the value in help texts; absent for a switch. */
  value?: string
  summary: string
  /** May be given more than once (every value counts). */
  isRepeatable?: boolean
  /** Allowed values, for help and checks. */
  choices?: readonly string[]
}

export interface ParsedOption {
  /** The spec's `long` name, or its letter when it has none. */
  name: string
  value: string | undefined
}

export type GetoptResult =
  | { ok: true; options: ParsedOption[]; operands: string[] }
  /**
   * `message` is the original's text, without program name and safe for a terminal: `unknown option -- x`. `options`
   * are those before the mistake: the original acts on each as it comes, so that an earlier bad value is reported first.
   */
  | { ok: false; message: string; options: ParsedOption[] }

/** Parses argv as getopt(3) does; long options (`--name value`, `--name=value`) may stand among the short ones. */
export function getopt(argv: readonly string[], specs: readonly OptionSpec[]): GetoptResult {
  const options: ParsedOption[] = []
  let index = 0
  while (index < argv.length) {
    const word = argv[index]!
    if (word === '--') {
      index += 1
      break
    }
    if (word === '-' || !word.startsWith('-')) break
    index += 1
    if (word.startsWith('--')) {
      const [longName = '', ...rest] = word.slice(2).split('=')
      const spec = specs.find((candidate) => candidate.long === longName)
      if (spec === undefined)
        return { ok: false, message: `unknown option -- ${escapeControl(longName)}`, options }
      let value: string | undefined = rest.length > 0 ? rest.join('=') : undefined
      if (spec.value === undefined && value !== undefined) {
        return { ok: false, message: `option doesn't take an argument -- ${longName}`, options }
      }
      if (spec.value !== undefined && value === undefined) {
        value = argv[index]
        if (value === undefined)
          return { ok: false, message: `option requires an argument -- ${longName}`, options }
        index += 1
      }
      options.push({ name: nameOf(spec), value })
      continue
    }
    for (let position = 1; position < word.length; position += 1) {
      const letter = String.fromCodePoint(word.codePointAt(position)!)
      // A dash at the end of a cluster ends the options, and the word itself is the first operand.
      if (letter === '-' && position === word.length - 1) {
        return { ok: true, options, operands: argv.slice(index - 1) }
      }
      const spec = specs.find((candidate) => candidate.short === letter)
      if (spec === undefined)
        return { ok: false, message: `unknown option -- ${escapeControl(letter)}`, options }
      if (spec.value === undefined) {
        options.push({ name: nameOf(spec), value: undefined })
        continue
      }
      let value: string | undefined = word.slice(position + 1)
      if (value === '') {
        value = argv[index]
        if (value === undefined)
          return { ok: false, message: `option requires an argument -- ${letter}`, options }
        index += 1
      }
      options.push({ name: nameOf(spec), value })
      break
    }
  }
  return { ok: true, options, operands: argv.slice(index) }
}

/** As `getopt`, but options may also stand behind operands, up to `--`: for commands that no original had. */
export function getoptAnywhere(argv: readonly string[], specs: readonly OptionSpec[]): GetoptResult {
  const options: ParsedOption[] = []
  const operands: string[] = []
  let rest = argv
  for (;;) {
    const result = getopt(rest, specs)
    if (!result.ok) return result
    options.push(...result.options)
    const isEnded = rest[rest.length - result.operands.length - 1] === '--'
    if (isEnded || result.operands.length === 0) {
      return { ok: true, options, operands: [...operands, ...result.operands] }
    }
    operands.push(result.operands[0]!)
    rest = result.operands.slice(1)
  }
}

function nameOf(spec: OptionSpec): string {
  return spec.long ?? spec.short!
}
