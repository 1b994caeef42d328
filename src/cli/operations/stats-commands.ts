/** `spamdctl stats` and `spamdctl advise`. */
import { useDatabase } from '../../app/database/open-database.js'
import type { DeliveredList } from '../../app/lists/delivered-lists.js'
import type { ListState } from '../../app/lists/list-states.js'
import { computeListStatistics } from '../../app/lists/list-statistics.js'
import { LOSING_ADDRESSES } from '../../app/losing/find-losing.js'
import { computePoolAdvice } from '../../app/pool-advice.js'
import { readTop } from '../../app/read-top.js'
import { computeAdvice, computeStats } from '../../app/stats.js'
import { parseDuration } from '../../codec/duration.js'
import { formatUtcTime } from '../../codec/utc-time.js'
import { allowStateOf } from '../../domain/allow.js'
import type { OptionSpec } from '../getopt.js'
import { OptionProblem, type OptionValues } from '../option-reader.js'
import { PLACE_OPTIONS } from './operation-options.js'
import { poolsJson, renderPoolAdvice } from './render-pool-advice.js'
import { renderAdvice, renderStats } from './render-stats.js'
import type { Terminal } from './terminal.js'

const COMMON: readonly OptionSpec[] = [{ long: 'json', summary: 'print one JSON object' }, ...PLACE_OPTIONS]
export const STATS_OPTIONS: readonly OptionSpec[] = [
  { long: 'since', value: 'DURATION', summary: 'look this far back (default 2d, by day 30d)' },
  {
    long: 'by',
    value: 'STEP',
    choices: ['hour', 'day'],
    summary: 'print one line per hour or day (default hour)',
  },
  ...COMMON,
]
export const ADVISE_OPTIONS: readonly OptionSpec[] = [
  { long: 'since', value: 'DURATION', summary: 'look this far back (default 30d)' },
  ...COMMON,
]

export interface StatsParts {
  dbPath: string
  nowSec: number
  /** That of the running spamd, else its default. */
  passSec: number
  /** True when spamd already recognises pools by their networks. */
  hasPoolKeys: boolean
  terminal: Terminal
  /** Block lists of spamd.conf, and those that spamd received. */
  readLists(): Promise<{ states: ListState[]; delivered: DeliveredList[] }>
}

const DAY_SEC = 86_400
const HOUR_SEC = 3600
/** Maximum number of mails from several addresses that are examined. */
const MAX_POOL_MAILS = 20_000

/** The text that `stats` prints. Usage errors are thrown as `OptionProblem`. */
export async function runStats(options: OptionValues, parts: StatsParts): Promise<string> {
  const byDay = options.last('by') === 'day'
  const sinceSec = parts.nowSec - sinceSeconds(options.last('since'), byDay ? 30 * DAY_SEC : 2 * DAY_SEC)
  const { counts, most } = await useDatabase(parts.dbPath, 'read', async (store) => ({
    counts: await store.readCounts(sinceSec),
    most: await readTop(store, sinceSec),
  }))
  const stats = computeStats(counts, most, byDay ? DAY_SEC : HOUR_SEC)
  const { states, delivered } = await parts.readLists()
  const lists = computeListStatistics(counts, states, delivered, parts.nowSec)
  if (!options.has('json'))
    return renderStats(stats, lists, { terminal: parts.terminal, byDay, passSec: parts.passSec })
  const { rows: steps, topSinceSec, ...rest } = stats
  const shown = steps.map(({ startSec, counts: values }) => ({ start: formatUtcTime(startSec), ...values }))
  return `${JSON.stringify({ since: formatUtcTime(sinceSec), steps: shown, ...rest, topSince: topSinceSec === undefined ? null : formatUtcTime(topSinceSec), lists }, undefined, 2)}\n`
}

/** The text that `advise` prints. */
export async function runAdvise(options: OptionValues, parts: StatsParts): Promise<string> {
  const sinceSec = parts.nowSec - sinceSeconds(options.last('since'), 30 * DAY_SEC)
  const { counts, pools, isCut } = await useDatabase(parts.dbPath, 'read', async (store) => {
    const query = { sinceSec, minAddresses: LOSING_ADDRESSES, limit: MAX_POOL_MAILS }
    const { mails, isCut } = await store.readDeferred(query)
    const exceptions = await store.readAllowed()
    const inForce = exceptions.filter((source) => allowStateOf(source, parts.nowSec) === 'in force')
    return { counts: await store.readCounts(sinceSec), pools: computePoolAdvice(mails, inForce), isCut }
  })
  const advice = computeAdvice(counts, parts.passSec)
  if (options.has('json'))
    return `${JSON.stringify({ ...advice, pools: { ...poolsJson(pools), isCut } }, undefined, 2)}\n`
  return renderAdvice(advice, parts.terminal) + renderPoolAdvice(pools, { ...parts, isCut })
}

/** Seconds of `--since`; usage errors are thrown as `OptionProblem`. */
export function sinceSeconds(text: string | undefined, usual: number): number {
  if (text === undefined) return usual
  const duration = parseDuration(text)
  if (duration !== undefined && duration > 0) return duration
  throw new OptionProblem(`--since: ${JSON.stringify(text)} is not a duration`, {
    hint: 'for example 12h or 30d',
  })
}
