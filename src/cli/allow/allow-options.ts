import { hasNoUnit, hintForUnit, parseDuration } from '../../codec/duration.js'
import { EXPIRE_NEVER } from '../../domain/times.js'
import type { OptionSpec } from '../getopt.js'
import { OptionProblem } from '../option-reader.js'

const SHARED: readonly OptionSpec[] = [
  { long: 'json', summary: 'print JSON' },
  { long: 'db', isRare: true, value: 'FILE', summary: 'database instead of SPAMD_DB' },
  { long: 'help', summary: 'show this help' },
]
const FIREWALL: OptionSpec = {
  long: 'firewall',
  isRare: true,
  value: 'NAME',
  summary: 'packet filter to use',
  choices: ['pf', 'nft', 'ipset', 'none'],
}
const DNS: OptionSpec = {
  long: 'dns',
  isRare: true,
  value: 'ADDRESS[:PORT]',
  isRepeatable: true,
  summary: "name server to use instead of the system's",
}

export const ALLOW_ADD_OPTIONS: readonly OptionSpec[] = [
  { long: 'expire', value: 'DURATION', summary: 'remove the exception after this time (default: never)' },
  { long: 'comment', value: 'TEXT', summary: 'note to store with it: who asked, and why' },
  { long: 'dry-run', summary: 'show the networks that would be allowed, and change nothing' },
  DNS,
  FIREWALL,
  ...SHARED,
]
export const ALLOW_LIST_OPTIONS: readonly OptionSpec[] = [
  { long: 'networks', summary: 'also show every network' },
  ...SHARED,
]
export const ALLOW_REMOVE_OPTIONS: readonly OptionSpec[] = [FIREWALL, ...SHARED]
export const ALLOW_SYNC_OPTIONS: readonly OptionSpec[] = [
  { long: 'dry-run', summary: 'show what would change, and change nothing' },
  { long: 'offline', summary: 'send no DNS queries: fill the table from the database, as after a reboot' },
  DNS,
  FIREWALL,
  ...SHARED,
]

/** Removal time of `--expire`; EXPIRE_NEVER without one. Throws `OptionProblem`. */
export function expireOf(text: string | undefined, nowSec: number): number {
  if (text === undefined || text === 'never') return EXPIRE_NEVER
  if (hasNoUnit(text)) {
    throw new OptionProblem(`--expire: ${JSON.stringify(text)} has no unit`, {
      hint: hintForUnit(text),
    })
  }
  const seconds = parseDuration(text)
  if (seconds !== undefined && seconds > 0) return nowSec + seconds
  throw new OptionProblem(`--expire: ${JSON.stringify(text)} is not a duration such as 90d, or never`)
}
