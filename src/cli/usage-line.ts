import type { OptionSpec } from './getopt.js'

/**
 * The usage line of a command of ours, from its table: every option but `--help`, with `[OPTIONS]` in place of
 * several rare ones, and the operands last.
 *
 * @example usageLine('undo', UNDO_OPTIONS, '[ID|last]') // undo [--dry-run] [--force] [--json] [--db FILE] [ID|last]
 */
export function usageLine(name: string, specs: readonly OptionSpec[], operands?: string): string {
  const given = specs.filter(({ long }) => long !== 'help')
  const hasRest = given.filter(({ isRare }) => isRare === true).length > 1
  const named = hasRest ? given.filter(({ isRare }) => isRare !== true) : given
  return [name, ...named.map(inBrackets), hasRest ? '[OPTIONS]' : '', operands ?? '']
    .filter((word) => word !== '')
    .join(' ')
}

function inBrackets({ short, long, value, choices }: OptionSpec): string {
  const name = long === undefined ? `-${short}` : `--${long}`
  return value === undefined ? `[${name}]` : `[${name} ${choices?.join('|') ?? value}]`
}
