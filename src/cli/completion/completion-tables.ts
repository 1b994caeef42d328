/**
 * What the shells complete: the programs of the suite, their commands and options, from the option tables.
 */

export interface CompletionOption {
  /** One letter, without the dash. */
  short: string | undefined
  /** Long name, without the dashes. */
  long: string | undefined
  summary: string
  /** Name of the value in the help (`FILE`, `CIDR`); undefined for a switch. */
  value: string | undefined
  /** The allowed values of the option; empty for any value. */
  choices: readonly string[]
}

export interface CompletionCommand {
  /** Words after `spamdctl`: `lists catalogue`. */
  words: readonly string[]
  summary: string
  options: readonly CompletionOption[]
}

/** A separately named program that runs one command of spamdctl. */
export const PROGRAM_COMMANDS: Readonly<Record<string, string>> = {
  spamdb: 'spamdb',
  spamlogd: 'spamlogd',
  'spamd-setup': 'setup',
  spamd: 'spamd',
}

/** The parts of oclif's cached command (its manifest) that are read here. */
export interface CachedCommand {
  id: string
  summary?: string | undefined
  hidden?: boolean | undefined
  flags: Record<string, CachedFlag>
}

interface CachedFlag {
  name: string
  char?: string | undefined
  summary?: string | undefined
  helpLabel?: string | undefined
  helpValue?: string | string[] | undefined
  type: 'option' | 'boolean'
  options?: readonly string[] | undefined
}

/** The commands in order of their words, as oclif knows them; its ids join words by a colon. */
export function completionCommands(cached: readonly CachedCommand[]): CompletionCommand[] {
  return cached
    .filter(({ hidden }) => hidden !== true)
    .map(({ id, summary, flags }) => ({
      words: id.split(':'),
      summary: summary ?? '',
      // Every renderer adds --help itself, because not every command lists it among its options.
      options: Object.values(flags)
        .filter(({ name }) => name !== 'help')
        .map(optionOf),
    }))
    .sort((one, other) => one.words.join(' ').localeCompare(other.words.join(' '), 'en'))
}

function optionOf(flag: CachedFlag): CompletionOption {
  // oclif knows an option without a long name by its letter.
  const hasLong = flag.helpLabel === undefined ? flag.name.length > 1 : flag.helpLabel.includes('--')
  const helpValue = Array.isArray(flag.helpValue) ? flag.helpValue[0] : flag.helpValue
  return {
    short: flag.char,
    long: hasLong ? flag.name : undefined,
    summary: flag.summary ?? '',
    value: flag.type === 'boolean' ? undefined : (helpValue ?? 'VALUE'),
    choices: flag.options ?? [],
  }
}

/** True when the value of an option is the name of a file or folder. */
export function takesPath(option: CompletionOption): boolean {
  return option.value !== undefined && /FILE|PATH|DIR|FOLDER|SOCKET/i.test(option.value)
}

/** The spellings of an option as typed: `-k`, `--kind`. */
export function spellingsOf({ short, long }: CompletionOption): string[] {
  return [short && `-${short}`, long && `--${long}`].filter((spelling): spelling is string => !!spelling)
}
