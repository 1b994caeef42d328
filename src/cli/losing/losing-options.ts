import { LOSING_ADDRESSES, LOSING_SINCE_SEC } from '../../app/losing/find-losing.js'
import { hasNoUnit, hintForUnit, parseDuration } from '../../codec/duration.js'
import type { OptionSpec } from '../getopt.js'
import { OptionProblem, type OptionValues } from '../option-reader.js'

/** Whether and where to send DNS queries about senders, in `losing` and `report`. */
export const DNS_OPTIONS: readonly OptionSpec[] = [
  { long: 'no-dns', summary: 'send no DNS queries: check no SPF and look up no names' },
  {
    long: 'dns',
    isRare: true,
    value: 'ADDRESS[:PORT]',
    isRepeatable: true,
    summary: "name server to use instead of the system's",
  },
]

export const LOSING_OPTIONS: readonly OptionSpec[] = [
  { long: 'since', value: 'DURATION', summary: 'look back this long (default 3d)' },
  {
    long: 'min-addresses',
    value: 'N',
    summary: 'report mail tried from at least this many addresses (default 3)',
  },
  { long: 'check', summary: 'print one line for monitoring; exit code 1 if anyone is losing mail' },
  ...DNS_OPTIONS,
  { long: 'json', summary: 'print one JSON object' },
  { long: 'db', isRare: true, value: 'FILE', summary: 'database instead of SPAMD_DB' },
  { long: 'help', summary: 'show this help' },
]

const MAX_ADDRESSES = 999_999

/** What to look for. Throws `OptionProblem`. */
export function losingQueryOf(options: OptionValues): { forSec: number; minAddresses: number } {
  const since = options.last('since')
  const forSec = since === undefined ? LOSING_SINCE_SEC : parseDuration(since)
  if (since !== undefined && hasNoUnit(since)) {
    throw new OptionProblem(`--since: ${JSON.stringify(since)} has no unit`, {
      hint: hintForUnit(since),
    })
  }
  if (forSec === undefined || forSec === 0) {
    throw new OptionProblem(`--since: ${JSON.stringify(since)} is not a duration`, {
      hint: 'for example 12h or 3d',
    })
  }
  const minAddresses = options.number(
    'min-addresses',
    [1, MAX_ADDRESSES],
    'a number of addresses',
    'a whole number from 1',
  )
  return { forSec, minAddresses: minAddresses ?? LOSING_ADDRESSES }
}
