/** Completions, asked of the real shells: what a user sees behind the key Tab. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bashCompletion } from '../../../../src/cli/completion/bash-completion.js'
import { type CachedCommand, completionCommands } from '../../../../src/cli/completion/completion-tables.js'
import { fishCompletion } from '../../../../src/cli/completion/fish-completion.js'
import { zshCompletion } from '../../../../src/cli/completion/zsh-completion.js'

const option = (name: string, rest: object = {}) => ({
  name,
  type: 'option' as const,
  helpLabel: `--${name}`,
  ...rest,
})
const cached: CachedCommand[] = [
  {
    id: 'spamdb',
    summary: "list what is 'known': all of it",
    flags: {
      a: { name: 'a', char: 'a', type: 'boolean', helpLabel: '-a', summary: 'add [or update] keys' },
      kind: option('kind', { options: ['WHITE', 'GREY'], summary: 'one kind' }),
      db: option('db', { helpValue: 'FILE', summary: 'database: its path' }),
      from: option('from', { helpValue: 'PATTERN', char: 'f', helpLabel: '-f, --from', summary: 'sender' }),
    },
  },
  { id: 'setup', summary: 'load lists', flags: { offline: { name: 'offline', type: 'boolean' } } },
  { id: 'spamd', flags: {} },
  { id: 'spamlogd', flags: {} },
  { id: 'lists', summary: 'show lists', flags: { json: { name: 'json', type: 'boolean' } } },
  { id: 'lists:catalogue', flags: { conf: option('conf', { helpValue: 'FILE' }) } },
  { id: 'secret', hidden: true, flags: {} },
]
const commands = completionCommands(cached)
let folder = ''

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'completion-'))
  writeFileSync(join(folder, 'bash'), bashCompletion(commands))
  writeFileSync(join(folder, '_spamdctl'), zshCompletion(commands))
  writeFileSync(join(folder, 'fish'), fishCompletion(commands))
  writeFileSync(join(folder, 'mine.sqlite'), '')
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const cases: { name: string; words: string[]; want: string[] }[] = [
  { name: 'a program completes its long options', words: ['spamdb', '--k'], want: ['--kind'] },
  { name: 'an option with fixed values completes them', words: ['spamdb', '--kind', 'W'], want: ['WHITE'] },
  { name: 'a path option completes files', words: ['spamdb', '--db', 'min'], want: ['mine.sqlite'] },
  { name: 'a program whose command has another name', words: ['spamd-setup', '--off'], want: ['--offline'] },
  { name: 'spamdctl completes commands', words: ['spamdctl', 'li'], want: ['lists'] },
  { name: 'hidden commands are left out', words: ['spamdctl', 'sec'], want: [] },
  { name: 'options of a command', words: ['spamdctl', 'spamdb', '--d'], want: ['--db'] },
  { name: 'the second word of a topic', words: ['spamdctl', 'lists', 'c'], want: ['catalogue'] },
  {
    name: 'options behind a second word',
    words: ['spamdctl', 'lists', 'catalogue', '--c'],
    want: ['--conf'],
  },
]

function hasShell(shell: string): boolean {
  return spawnSync(shell, ['-c', 'exit 0']).status === 0
}

function bash(words: readonly string[]): string[] {
  const script = `source ./bash; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
    spec=($(complete -p "$1")); "\${spec[-2]}" "$1" "\${@: -1}"; printf '%s\\n' "\${COMPREPLY[@]}"`
  return run('bash', ['--norc', '-c', script, 'bash', ...words])
}

function fish(words: readonly string[]): string[] {
  const script = 'source ./fish; complete -C (string join " " -- $argv)'
  return run('fish', ['--no-config', '-c', script, ...words]).map((line) => line.split('\t')[0]!)
}

/**
 * Types the words and Tab into an interactive zsh in a pseudo-terminal and reads the line it makes of them. What is
 * waited for is never typed as it is: the terminal may echo what is typed.
 */
function zsh(words: readonly string[]): string[] {
  const script = `
    zmodload zsh/zpty
    zpty shell zsh -f -i
    zpty -w shell "PS1=; stty -echo; fpath=($PWD \\$fpath); autoload -U compinit; compinit -u -D; source ./_spamdctl"
    zpty -w shell 'show() { print -r -- "LI""NE<$BUFFER>"; BUFFER=; zle accept-line }; zle -N show; bindkey "^X" show'
    zpty -w shell 'setopt no_beep; print READ''Y'
    zpty -r shell seen '*READY*'
    zpty -w -n shell "$*"$'\\t\\x18'
    zpty -r shell seen '*LINE<*>*'
    print -r -- \${\${seen##*LINE<}%%>*}
    zpty -d shell`
  const [line = ''] = run('zsh', ['-f', '-c', script, 'zsh', ...words])
  const last = line.trimEnd().split(' ').at(-1)!
  return last === words.at(-1) ? [] : [last.replace(/=$/, '')]
}

function run(shell: string, argv: string[]): string[] {
  const { status, stdout, stderr } = spawnSync(shell, argv, {
    cwd: folder,
    encoding: 'utf8',
    timeout: 60_000,
  })
  expect({ shell, status, stderr }).toEqual({ shell, status: 0, stderr: '' })
  return stdout.split('\n').filter((line) => line !== '')
}

for (const [name, complete] of Object.entries({ bash, zsh, fish })) {
  const isThere = hasShell(name)
  describe.skipIf(!isThere)(
    `completion in ${name}${isThere ? '' : ` (skipped: ${name} is not installed)`}`,
    () => {
      test.each(cases)('$name', ({ words, want }) => {
        expect(complete(words)).toEqual(want)
      })
    },
  )
}

describe('tables for completions', () => {
  test('an option without a long name keeps its letter only', () => {
    const spamdb = commands.find(({ words }) => words[0] === 'spamdb')!
    expect(spamdb.options[0]).toMatchObject({ short: 'a', long: undefined, value: undefined })
  })

  test('text of a summary cannot end a word of the script', () => {
    expect(fishCompletion(commands)).toContain("-d 'list what is \\'known\\': all of it'")
    expect(zshCompletion(commands)).toContain("'spamdb:list what is '\\''known'\\'': all of it'")
  })
})
