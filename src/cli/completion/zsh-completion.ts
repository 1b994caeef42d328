import { topicsOf, topWords } from './bash-completion.js'
import {
  type CompletionCommand,
  type CompletionOption,
  PROGRAM_COMMANDS,
  spellingsOf,
  takesPath,
} from './completion-tables.js'

/** A completion function for zsh. Source: zshcompsys(1), `_arguments` and `_describe`. */
export function zshCompletion(commands: readonly CompletionCommand[]): string {
  const programs = Object.entries(PROGRAM_COMMANDS)
  return `#compdef spamdctl ${programs.map(([program]) => program).join(' ')}
# zsh completion for spamdctl, made by: spamdctl completion zsh
_spamdctl_command() {
  case $1 in
${commands.map(commandCase).join('\n')}
    *) _arguments -S '--help[show help]' '*:file:_files' ;;
  esac
}
_spamdctl() {
  case $service in
${programs.map(([program, command]) => `    ${program}) _spamdctl_command '${command}'; return ;;`).join('\n')}
  esac
  if (( CURRENT == 2 )); then
    local -a known
    known=(
${topWords(commands)
  .map((word) => `      ${quote(`${word}:${summaryOf(commands, word)}`)}`)
  .join('\n')}
    )
    _describe command known
    return
  fi
  local command=$words[2]
  shift words
  (( CURRENT-- ))
  case "$command $words[2]" in
${topicsOf(commands)
  .flatMap(([topic, below]) => below.map((word) => `${topic} ${word}`))
  .map(
    (both) =>
      `    '${both}') if (( CURRENT > 2 )); then command='${both}'; shift words; (( CURRENT-- )); fi ;;`,
  )
  .join('\n')}
  esac
  case $command in
${topicsOf(commands)
  .map(
    ([topic, below]) =>
      `    '${topic}') if (( CURRENT == 2 )); then local -a below=(${below.map(quote).join(' ')}); _describe command below; fi ;;`,
  )
  .join('\n')}
  esac
  _spamdctl_command "$command"
}
if [[ $funcstack[1] == _spamdctl ]]; then
  _spamdctl "$@"
else
  compdef _spamdctl spamdctl ${programs.map(([program]) => program).join(' ')}
fi
`
}

function commandCase({ words, options }: CompletionCommand): string {
  const specs = options.flatMap(optionSpecs).map((spec) => ` \\\n      ${quote(spec)}`)
  return `    '${words.join(' ')}') _arguments -s -S${specs.join('')} \\\n      '--help[show help]' '*:file:_files' ;;`
}

function optionSpecs(option: CompletionOption): string[] {
  const spellings = spellingsOf(option)
  const summary = option.summary.replaceAll(/[[\]\\:]/g, (character) => `\\${character}`)
  const action =
    option.choices.length > 0 ? `(${option.choices.join(' ')})` : takesPath(option) ? '_files' : ' '
  return spellings.map((spelling) => {
    const value = option.value === undefined ? '' : `:${option.value.replaceAll(':', '\\:')}:${action}`
    // A long option takes its value after a blank or an equals sign.
    const joint =
      option.value !== undefined && spelling.startsWith('--') ? '=' : option.value === undefined ? '' : '+'
    return `*${spelling}${joint}[${summary}]${value}`
  })
}

function summaryOf(commands: readonly CompletionCommand[], word: string): string {
  return commands.find(({ words }) => words.length === 1 && words[0] === word)?.summary ?? ''
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}
