import { type CompletionCommand, PROGRAM_COMMANDS, spellingsOf, takesPath } from './completion-tables.js'

/** A completion script for bash 4 or later. Source: bash(1), "Programmable Completion". */
export function bashCompletion(commands: readonly CompletionCommand[]): string {
  const programs = Object.entries(PROGRAM_COMMANDS)
  return `# bash completion for spamdctl, made by: spamdctl completion bash
_spamdctl_words() {
  case $1 in
${commands.map((command) => `    '${command.words.join(' ')}') echo '${optionWords(command)}' ;;`).join('\n')}
    *) echo '--help' ;;
  esac
}
_spamdctl_value() {
  case "$1 $2" in
${commands.flatMap(valueCases).join('\n')}
    *) return 1 ;;
  esac
}
_spamdctl_complete() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} command=$1 kind
  COMPREPLY=()
  if [[ $previous == = ]]; then previous=\${COMP_WORDS[COMP_CWORD-2]}; fi
  if kind=$(_spamdctl_value "$command" "$previous"); then
    if [[ $current == = ]]; then current=; fi
    case $kind in
      path) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
      any) ;;
      *) mapfile -t COMPREPLY < <(compgen -W "$kind" -- "$current") ;;
    esac
  elif [[ $current == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$(_spamdctl_words "$command")" -- "$current")
  else
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$current")
  fi
}
_spamdctl() {
  local command='' index=1 word known=${shellWords(topWords(commands))}
  while ((index < COMP_CWORD)); do
    word=\${COMP_WORDS[index]}
    if [[ $word != -* && " $known " == *" $word "* && -z $command ]]; then command=$word
    elif [[ -n $command ]] && _spamdctl_has "$command $word"; then command="$command $word"
    fi
    ((index++))
  done
  if [[ -z $command && \${COMP_WORDS[COMP_CWORD]} != -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$known help version" -- "\${COMP_WORDS[COMP_CWORD]}")
    return
  fi
  _spamdctl_complete "$command"
  if [[ \${COMP_WORDS[COMP_CWORD]} != -* && $COMP_CWORD == 2 ]]; then
    local below
    below=$(_spamdctl_below "$command")
    if [[ -n $below ]]; then mapfile -t COMPREPLY < <(compgen -W "$below" -- "\${COMP_WORDS[COMP_CWORD]}"); fi
  fi
}
_spamdctl_has() {
  case $1 in
    ${commands.map(({ words }) => `'${words.join(' ')}'`).join(' | ')}) return 0 ;;
  esac
  return 1
}
_spamdctl_below() {
  case $1 in
${topicsOf(commands)
  .map(([topic, below]) => `    '${topic}') echo '${below.join(' ')}' ;;`)
  .join('\n')}
  esac
}
${programs.map(([program, command]) => `_spamdctl_of_${program.replaceAll('-', '_')}() { _spamdctl_complete '${command}'; }`).join('\n')}
complete -F _spamdctl spamdctl
${programs.map(([program]) => `complete -F _spamdctl_of_${program.replaceAll('-', '_')} ${program}`).join('\n')}
`
}

function optionWords({ options }: CompletionCommand): string {
  return [...options.flatMap(spellingsOf), '--help'].join(' ')
}

function valueCases({ words, options }: CompletionCommand): string[] {
  return options
    .filter(({ value }) => value !== undefined)
    .map((option) => {
      const patterns = spellingsOf(option).map((spelling) => `'${words.join(' ')} ${spelling}'`)
      const kind = option.choices.length > 0 ? option.choices.join(' ') : takesPath(option) ? 'path' : 'any'
      return `    ${patterns.join(' | ')}) echo '${kind}' ;;`
    })
}

/** The first words of all commands, each once. */
export function topWords(commands: readonly CompletionCommand[]): string[] {
  return [...new Set(commands.map(({ words }) => words[0]!))]
}

/** Topics with the second words after them: `lists` with `catalogue`. */
export function topicsOf(commands: readonly CompletionCommand[]): [string, string[]][] {
  const topics = new Map<string, string[]>()
  for (const { words } of commands) {
    const [topic, second] = words
    if (second !== undefined) topics.set(topic!, [...(topics.get(topic!) ?? []), second])
  }
  return [...topics]
}

function shellWords(words: readonly string[]): string {
  return `'${words.join(' ')}'`
}
