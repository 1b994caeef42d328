import { hasNoUnit, hintForUnit, parseDuration } from '../../codec/duration.js'
import { MAX_RELEASE_SEC } from '../../domain/release.js'
import type { OptionSpec } from '../getopt.js'
import { OptionProblem } from '../option-reader.js'

const DB_OPTIONS: readonly OptionSpec[] = [
  { long: 'json', summary: 'print JSON' },
  { long: 'db', isRare: true, value: 'FILE', summary: 'database instead of SPAMD_DB' },
  { long: 'help', summary: 'show this help' },
]

export const RELEASE_OPTIONS: readonly OptionSpec[] = [
  { long: 'to', value: 'ADDR', summary: 'release only mail to this recipient' },
  {
    long: 'from',
    value: 'ADDR|DOMAIN',
    summary: 'release only mail from this sender, domain, .domain with its subdomains, or <>',
  },
  { long: 'ip', value: 'CIDR', summary: 'release only mail from this address or network' },
  { long: 'for', value: 'DURATION', summary: 'keep the release in force this long (default 1h, at most 7d)' },
  { long: 'pool', summary: 'release the /24 or /64 of each matching address, not just the address' },
  { long: 'dry-run', summary: 'show which waiting mail it would release' },
  ...DB_OPTIONS,
]

export const RELEASE_LIST_OPTIONS: readonly OptionSpec[] = [
  { long: 'all', summary: 'also show releases that ended within the last week' },
  ...DB_OPTIONS,
]

export const RELEASE_CANCEL_OPTIONS = DB_OPTIONS

const DEFAULT_FOR_SEC = 3600

/** Reads `--for`. Throws `OptionProblem`. */
export function parseFor(text: string | undefined): number {
  if (text === undefined) return DEFAULT_FOR_SEC
  if (hasNoUnit(text)) {
    throw new OptionProblem(`--for: ${JSON.stringify(text)} has no unit`, { hint: hintForUnit(text) })
  }
  const seconds = parseDuration(text)
  if (seconds !== undefined && seconds > 0 && seconds <= MAX_RELEASE_SEC) return seconds
  throw new OptionProblem(`--for: ${JSON.stringify(text)} is not a duration of up to 7d`, {
    hint: 'for example 30m, 4h or 1d; for a lasting exception use spamdctl allow add',
  })
}
