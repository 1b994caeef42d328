import { topicsOf, topWords } from './bash-completion.js'
import {
  type CompletionCommand,
  type CompletionOption,
  PROGRAM_COMMANDS,
  takesPath,
} from './completion-tables.js'

/** Completions for fish. Source: complete(1) of fish. */
export function fishCompletion(commands: readonly CompletionCommand[]): string {
  const lines = ['# fish completion for spamdctl, made by: spamdctl completion fish']
  const top = topWords(commands)
  for (const word of top) {
    const summary = commands.find(({ words }) => words.length === 1 && words[0] === word)?.summary ?? ''
    lines.push(
      `complete -c spamdctl -f -n 'not __fish_seen_subcommand_from ${top.join(' ')}' -a ${quote(word)} -d ${quote(summary)}`,
    )
  }
  for (const [topic, below] of topicsOf(commands)) {
    lines.push(
      `complete -c spamdctl -f -n '__fish_seen_subcommand_from ${topic}; and not __fish_seen_subcommand_from ${below.join(' ')}' -a ${quote(below.join(' '))}`,
    )
  }
  for (const { words, options } of commands) {
    const condition = words.map((word) => `__fish_seen_subcommand_from ${word}`).join('; and ')
    for (const option of options) lines.push(optionLine('spamdctl', option, condition))
  }
  for (const [program, command] of Object.entries(PROGRAM_COMMANDS)) {
    const options = commands.find(({ words }) => words.join(' ') === command)?.options ?? []
    for (const option of options) lines.push(optionLine(program, option, undefined))
    lines.push(`complete -c ${program} -l help -d 'show help'`)
  }
  return `${lines.join('\n')}\n`
}

function optionLine(program: string, option: CompletionOption, condition: string | undefined): string {
  const parts = ['complete', '-c', program]
  if (condition !== undefined) parts.push('-n', quote(condition))
  if (option.short !== undefined) parts.push('-s', quote(option.short))
  if (option.long !== undefined) parts.push('-l', quote(option.long))
  if (option.choices.length > 0) parts.push('-x', '-a', quote(option.choices.join(' ')))
  else if (takesPath(option)) parts.push('-r', '-F')
  else if (option.value !== undefined) parts.push('-x')
  parts.push('-d', quote(option.summary))
  return parts.join(' ')
}

function quote(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
}
