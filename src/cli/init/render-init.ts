import type { CommandEnd, PreparedInit } from '../../app/init/run-init.js'
import { escapeControl, printableLines } from '../../codec/escape.js'
import { shellWords } from '../../codec/shell-words.js'

const ACTIONS = {
  create: 'new',
  extend: 'lines added',
  replace: 'replaces the installed one',
  'write-beside': 'differs: new text written to FILE.new',
} as const

/** Every file as a diff, every command, and the steps to do by hand. */
export function renderPreparedInit({ steps, plan }: PreparedInit): string {
  const lines: string[] = []
  for (const step of steps) {
    const title = step.action === 'keep' ? 'up to date' : ACTIONS[step.action]
    lines.push(`-- ${step.file.path}: ${step.file.purpose} (${title})`)
    if (step.action !== 'keep') lines.push(...printableLines(step.diff), '')
  }
  lines.push('', '-- commands, in this order')
  for (const { argv, purpose } of plan.commands) lines.push(`${shellWords(argv)}    # ${purpose}`)
  if (plan.byHand.length > 0) lines.push('', '-- by hand', ...plan.byHand)
  return `${lines.join('\n')}\n`
}

/** One line for a finished command. */
export function renderCommandEnd({ command, result, output }: CommandEnd): string {
  const text =
    output === '' || result !== 'failed' ? '' : `\n    ${escapeControl(output.split('\n').at(-1)!)}`
  return `${result}: ${shellWords(command.argv)}${text}\n`
}
