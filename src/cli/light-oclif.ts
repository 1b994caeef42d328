/**
 * The parts of oclif that our commands use, without oclif: in the bundle of the commands this replaces
 * `@oclif/core`, because loading that takes twice as long as Node itself. Anything but a plain call of a
 * command is left to oclif: help, wrong usage, the version, commands that need more of it.
 */

/** The module of a command; its default export is the class. */
export type LightLoader = () => Promise<{ default: LightCommandClass }>
type LightCommandClass = new (argv: string[], config: LightConfig) => Command

/** What a command may need from the whole program. */
interface LightConfig {
  runCommand(id: string, argv?: readonly string[]): Promise<void>
}

/** Base of every command; its names are those of oclif. */
export abstract class Command {
  argv: string[]
  config: LightConfig
  id: string | undefined

  constructor(argv: string[], config: LightConfig) {
    this.argv = argv
    this.config = config
  }

  abstract run(): Promise<unknown>

  protected async catch(error: unknown): Promise<unknown> {
    throw error
  }

  /** As in oclif, a command handles its own errors first. */
  async runCaught(): Promise<void> {
    try {
      await this.run()
    } catch (error) {
      await this.catch(error)
    }
  }
}

const noFlag = (): object => ({})

/** Flags are for help, which is not shown here. */
export const Flags = { boolean: noFlag, string: noFlag, option: () => noFlag }

/** Longest name of a command, in words. */
const MAX_NAME_WORDS = 2

/**
 * Runs the command whose name the words begin with. Returns false, having done nothing, for calls that oclif
 * must handle. `runOclif` runs what a command requests and is not available here.
 */
export async function runLightly(
  words: readonly string[],
  loaders: Readonly<Record<string, LightLoader>>,
  runOclif: (words: readonly string[]) => Promise<void>,
): Promise<boolean> {
  const id = commandOf(words, loaders)
  if (id === undefined) return false
  const argv = words.slice(id.split(':').length)
  const end = argv.indexOf('--')
  if (argv.slice(0, end < 0 ? argv.length : end).includes('--help')) return false
  const { default: CommandClass } = await loaders[id]!()
  const runCommand = async (wanted: string, given: readonly string[] = []): Promise<void> => {
    const asked = [...wanted.split(':'), ...given]
    if (!(await runLightly(asked, loaders, runOclif))) await runOclif(asked)
  }
  const command = new CommandClass([...argv], { runCommand })
  command.id = id
  await command.runCaught()
  return true
}

/** The longest command name at the start of the words, its own words joined by colons. */
function commandOf(words: readonly string[], loaders: Readonly<Record<string, unknown>>): string | undefined {
  for (let count = Math.min(MAX_NAME_WORDS, words.length); count > 0; count -= 1) {
    const name = words.slice(0, count)
    const id = name.join(':')
    if (!name.some((word) => word.includes(':')) && Object.hasOwn(loaders, id)) return id
  }
  return undefined
}
