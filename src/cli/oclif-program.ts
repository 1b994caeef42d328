/** What bin/load-program.js needs of oclif, and the code around it. */

import { readFileSync } from 'node:fs'
import { type Command, Config, run } from '@oclif/core'
import { AppError } from '../platform/app-error.js'
import { writeMessage } from '../platform/standard-output.js'
import { EXIT, formatFailure } from './report-error.js'

export { handle } from '@oclif/core'
export { guardStandardOutput } from './guard-output.js'

/** Commands by their id, of the plugin of a name: what loads the module that has the command as its default export. */
export type CommandLoaders = Readonly<
  Record<string, Readonly<Record<string, () => Promise<{ default: unknown }>>>>
>

/**
 * Runs oclif with the arguments of a call; not with its `execute`, which writes to standard output once more
 * and fails on a full disk. Commands that `loaders` has are not searched for in the files of the package.
 */
export async function runOclif(
  argv: readonly string[],
  root: string,
  loaders: CommandLoaders = {},
): Promise<void> {
  const config = await Config.load({ root, userPlugins: false })
  for (const plugin of config.plugins.values()) {
    const find = plugin.findCommand.bind(plugin) as (id: string, options?: object) => Promise<Command.Class>
    const load = async (id: string, options?: object): Promise<Command.Class> => {
      const loader = loaders[plugin.name]?.[id]
      if (loader === undefined) return await find(id, options)
      const command = (await loader()).default as Command.Class
      command.id = id
      command.plugin = plugin
      return command
    }
    plugin.findCommand = load as typeof plugin.findCommand
  }
  await run([...argv], config)
}

/** Exit code of oclif for wrong usage, of which only an unknown command gets here. */
const OCLIF_USAGE = 2

/**
 * Reports an unknown command in the form of all our errors and sets the exit code; false for any other
 * failure.
 */
export function tellUnknownCommand(program: string, error: Error & { oclif?: { exit?: number } }): boolean {
  if (error.oclif?.exit !== OCLIF_USAGE) return false
  const { message, words } = plainRefusal(error.message)
  const names = commandNames()
  const near = words === undefined ? undefined : nearestCommand(words, names)
  const topic = words?.split(' ').slice(0, -1).join(' ')
  const isTopic = topic !== undefined && names.some((name) => name.startsWith(`${topic} `))
  const list = isTopic ? `${program} help ${topic} lists its commands` : `${program} help lists the commands`
  const hint = `${near === undefined ? '' : `did you mean "${near}"? `}${list}`
  const failure = new AppError('ERR_USAGE', message, { hint })
  writeMessage(formatFailure(program, failure)!)
  process.exitCode = EXIT.usage
  return true
}

/**
 * oclif's message for wrong usage in our own words, and the words it refers to: oclif joins the words of a
 * command with colons, which nobody typed.
 */
export function plainRefusal(text: string): { message: string; words: string | undefined } {
  const message = text.replace(/^C/, 'c').replace(/\.$/, '')
  // eslint-disable-next-line no-restricted-syntax -- an error of oclif has only its text for this
  const words = /^command (.*) not found$/s.exec(message)?.[1]?.replaceAll(':', ' ')
  return { message: words === undefined ? message : `command ${words} not found`, words }
}

/** Names of all commands, from the manifest above src/ or dist/src/; none when there is no manifest. */
function commandNames(): string[] {
  for (const path of ['../../oclif.manifest.json', '../../../oclif.manifest.json']) {
    try {
      const text = readFileSync(new URL(path, import.meta.url), 'utf8')
      return Object.keys((JSON.parse(text) as { commands: object }).commands).map((id) =>
        id.replaceAll(':', ' '),
      )
    } catch {
      // Built without it: there is no suggestion then.
    }
  }
  return []
}

/** Number of letters that may be wrong in a short and in a long word. */
const MAX_DISTANCE = 2
const SHORT_WORD = 4

/**
 * The name that was probably meant: one that begins the same, or differs in a letter or two; or the only
 * command of a topic that does.
 */
export function nearestCommand(word: string, names: readonly string[]): string | undefined {
  const begun = names.filter((name) => word.length >= 2 && name.startsWith(word))
  if (begun.length === 1) return begun[0]
  const near = nearestName(word, names)
  if (near !== undefined) return near
  const topic = nearestName(word, [...new Set(names.map((name) => name.split(' ')[0]!))])
  const commands = names.filter((name) => name.startsWith(`${topic} `))
  return commands.length === 1 ? commands[0] : undefined
}

function nearestName(word: string, names: readonly string[]): string | undefined {
  const allowed = word.length <= SHORT_WORD ? 1 : MAX_DISTANCE
  const ranked = names
    .map((name) => ({ name, distance: editDistance(word, name) }))
    .filter(({ distance }) => distance <= allowed)
    .sort((a, b) => a.distance - b.distance)
  return ranked[0]?.name
}

/** Minimum number of insertions, deletions and substitutions that turn one word into the other. */
function editDistance(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, index) => index)
  for (const [index, letter] of [...one].entries()) {
    const next = [index + 1]
    for (let at = 0; at < other.length; at += 1) {
      next.push(Math.min(row[at]! + (other[at] === letter ? 0 : 1), row[at + 1]! + 1, next[at]! + 1))
    }
    row = next
  }
  return row.at(-1)!
}
