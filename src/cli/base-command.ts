/** What all commands share: one option table for getopt(3) and for the help, and one form of errors. */
import { Command, Flags, type Interfaces } from '@oclif/core'
import { getoptAnywhere, type OptionSpec } from './getopt.js'
import { OptionProblem, OptionValues } from './option-reader.js'
import { EXIT, formatFailure } from './report-error.js'

export abstract class BaseCommand extends Command {
  /** Options and operands are parsed by our own getopt, so oclif must not check them. */
  static override strict = false
  static override enableJsonFlag = false
  /** Tells oclif that its own parser is intentionally not used. */
  override parsed = true

  /** Name at the start of every message; `spamdctl` unless the command has its own program. */
  protected readonly program: string = 'spamdctl'

  /**
   * Parses the arguments of a new command; `-h` shows the help as `--help` does. On a usage error prints it
   * with the usage line, sets exit code 64 and returns `undefined`.
   */
  protected parseWords(
    specs: readonly OptionSpec[],
    usage: string,
    operandCount: { min: number; max: number } = { min: 0, max: 0 },
  ): { options: OptionValues; operands: string[] } | undefined {
    if (this.argv.includes('-h') && !specs.some(({ short }) => short === 'h')) {
      void this.showHelp()
      return undefined
    }
    const result = getoptAnywhere(this.argv, specs)
    const problem = !result.ok
      ? result.message
      : (wrongChoice(result.options, specs) ??
        (result.operands.length > operandCount.max
          ? `too many arguments: ${result.operands[operandCount.max]}`
          : result.operands.length < operandCount.min
            ? 'missing argument'
            : undefined))
    if (problem !== undefined || !result.ok) {
      const shown = new OptionProblem(problem ?? '', { usage: `usage: ${usage}; --help for all options\n` })
      process.stderr.write(formatFailure(this.program, shown) ?? '')
      process.exitCode = EXIT.usage
      return undefined
    }
    return { options: new OptionValues(result), operands: result.operands }
  }

  /** Prints the help of this command. */
  protected async showHelp(): Promise<void> {
    await this.config.runCommand('help', (this.id ?? '').split(':'))
  }

  /**
   * An expected failure is reported in two short lines with exit code 1; anything else is a bug and shows its
   * stack.
   */
  protected override async catch(error: Interfaces.CommandError): Promise<void> {
    const text = formatFailure(this.program, error)
    if (text === undefined) throw error
    process.stderr.write(text)
    process.exitCode = (error as { code?: unknown }).code === 'ERR_USAGE' ? EXIT.usage : EXIT.failure
  }
}

/** The problem with the first value that is not among its option's choices; undefined if all are. */
function wrongChoice(
  given: readonly { name: string; value: string | undefined }[],
  specs: readonly OptionSpec[],
): string | undefined {
  for (const { name, value } of given) {
    const choices = specs.find(({ long, short }) => (long ?? short) === name)?.choices
    if (choices !== undefined && value !== undefined && !choices.includes(value))
      return `--${name}: "${value}" is not one of ${choices.join(', ')}`
  }
  return undefined
}

/** The same option table as oclif flags, for `--help` and the manifest. */
export function flagsForHelp(specs: readonly OptionSpec[]): Interfaces.FlagInput {
  const flags: Interfaces.FlagInput = {}
  for (const spec of specs) {
    const common = {
      summary: spec.summary,
      // An option without a long name is listed only by its letter.
      ...(spec.short === undefined ? {} : { char: spec.short as Interfaces.AlphabetLowercase }),
      helpLabel: [spec.short && `-${spec.short}`, spec.long && `--${spec.long}`].filter(Boolean).join(', '),
    }
    const name = spec.long ?? spec.short!
    if (spec.value === undefined) flags[name] = Flags.boolean(common)
    else if (spec.isRepeatable === true)
      flags[name] = Flags.string({ ...common, helpValue: spec.value, multiple: true })
    else if (spec.choices !== undefined) flags[name] = Flags.option({ ...common, options: spec.choices })()
    else flags[name] = Flags.string({ ...common, helpValue: spec.value })
  }
  return flags
}
