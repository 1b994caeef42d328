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
  /** Shown as `[OPTIONS]` in the usage line, together with others. */
  isRare?: boolean
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
   * `message` is the original's text, without program name and safe for a terminal: `unknown option -- x`.
   * `options` are those before the mistake: the original processes each in order, so an earlier bad value is
   * reported first.
   */
  | { ok: false; message: string; options: ParsedOption[] }

/**
 * Parses argv like getopt(3); long options (`--name value`, `--name=value`) may be mixed with the short ones.
 */
export function getopt(argv: readonly string[], specs: readonly OptionSpec[]): GetoptResult {
  const scan: Scan = { argv, specs, index: 0, options: [] }
  while (scan.index < argv.length) {
    const word = argv[scan.index]!
    if (word === '-' || !word.startsWith('-')) break
    scan.index += 1
    if (word === '--') break
    const end = word.startsWith('--') ? readLong(scan, word) : readCluster(scan, word)
    if (end === 'operand') {
      scan.index -= 1
      break
    }
    if (end !== undefined) return { ok: false, message: end.mistake, options: scan.options }
  }
  return { ok: true, options: scan.options, operands: argv.slice(scan.index) }
}

/** Position of the parser: `index` is that of the next word. */
interface Scan {
  argv: readonly string[]
  specs: readonly OptionSpec[]
  index: number
  options: ParsedOption[]
}

/** Why parsing ends here. */
type ScanEnd = { mistake: string } | 'operand' | undefined

function readLong(scan: Scan, word: string): ScanEnd {
  const [longName = '', ...rest] = word.slice(2).split('=')
  const spec = scan.specs.find((candidate) => candidate.long === longName)
  if (spec === undefined) return { mistake: `unknown option -- ${escapeControl(longName)}` }
  const joined = rest.length > 0 ? rest.join('=') : undefined
  if (spec.value === undefined && joined !== undefined) {
    return { mistake: `option doesn't take an argument -- ${longName}` }
  }
  return takeOption(scan, spec, longName, joined)
}

/** A word of letters, of which the first that takes a value takes the rest of the word. */
function readCluster(scan: Scan, word: string): ScanEnd {
  for (let position = 1; position < word.length; position += 1) {
    const letter = String.fromCodePoint(word.codePointAt(position)!)
    // A dash at the end of a cluster ends the options, and the word itself is the first operand.
    if (letter === '-' && position === word.length - 1) return 'operand'
    const spec = scan.specs.find((candidate) => candidate.short === letter)
    if (spec === undefined) return { mistake: `unknown option -- ${escapeControl(letter)}` }
    if (spec.value !== undefined) {
      const rest = word.slice(position + 1)
      return takeOption(scan, spec, letter, rest === '' ? undefined : rest)
    }
    takeOption(scan, spec, letter, undefined)
  }
  return undefined
}

/** Records an option; a value that is not joined to it is the next word. */
function takeOption(scan: Scan, spec: OptionSpec, given: string, joined: string | undefined): ScanEnd {
  let value = joined
  if (spec.value !== undefined && value === undefined) {
    value = scan.argv[scan.index]
    if (value === undefined) return { mistake: `option requires an argument -- ${given}` }
    scan.index += 1
  }
  scan.options.push({ name: nameOf(spec), value })
  return undefined
}

/**
 * As `getopt`, but options may also come after operands, up to `--`: for commands that the original does not
 * have.
 */
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
