/**
 * What `spamdctl metrics` tells beside the daemon's own metrics: what can be seen from outside, of all programs. So a host
 * whose spamd does not run or does not answer still has metrics that say so.
 */
import { byLabel, type MetricFamily, single } from '../../codec/metrics-text.js'
import { AppError } from '../../platform/app-error.js'
import { askDaemon } from '../ask-daemon.js'
import type { ListState } from '../lists/list-states.js'
import type { SuiteStatus } from '../status.js'
import { toDisplayText } from '../wire-text.js'

/** The families of the running spamd; none when it does not answer. */
export async function askForMetrics(controlSocket: string): Promise<MetricFamily[]> {
  try {
    return await askDaemon(controlSocket, 'metrics')
  } catch (error) {
    // `spamd_up` says that it is so.
    if (error instanceof AppError) return []
    throw error
  }
}

/** Families of what a status shows. States that cannot be seen have no sample. */
// eslint-disable-next-line complexity -- a flat table: one number each, absent where nothing counts it
export function suiteMetrics(status: SuiteStatus): MetricFamily[] {
  const { spamd, spamlogd, database, tables, lists } = status
  const counts = 'counts' in database ? database : undefined
  return [
    single(
      'spamd_metrics_timestamp_seconds',
      'gauge',
      'Time at which these numbers were gathered.',
      status.timeSec,
    ),
    single(
      'spamd_up',
      'gauge',
      '1 when spamd answers on its control socket.',
      spamd.state === 'unseen' ? undefined : spamd.state === 'running' ? 1 : 0,
    ),
    single(
      'spamlogd_up',
      'gauge',
      '1 when spamlogd runs.',
      spamlogd.state === 'unseen' || spamlogd.state === 'unneeded'
        ? undefined
        : spamlogd.state === 'running'
          ? 1
          : 0,
    ),
    single(
      'spamd_database_readable',
      'gauge',
      '1 when the database can be read.',
      counts !== undefined ? 1 : 'isUnneeded' in database && database.isUnneeded ? undefined : 0,
    ),
    single(
      'spamd_alone_since_seconds',
      'gauge',
      'Time since which spamd has used its local database; 0 while the database server is reachable.',
      spamd.state === 'running' ? (spamd.status.aloneSinceSec ?? 0) : undefined,
    ),
    single('spamd_database_size_bytes', 'gauge', 'Size of the database file.', counts?.sizeBytes),
    byLabel(
      'spamd_database_entries',
      'gauge',
      'Entries of the database, counted now.',
      'kind',
      Object.entries(counts?.counts ?? {}),
    ),
    byLabel(
      'spamd_firewall_table_entries',
      'gauge',
      'Entries of the table in the packet filter, counted now.',
      'table',
      tables.kind === 'counts' ? tables.counts : [],
    ),
    byLabel(
      'spamd_troubles',
      'gauge',
      'Number of problems that spamdctl status finds.',
      'level',
      (['critical', 'warning', 'unknown'] as const).map((level) => [
        level,
        status.troubles.filter((trouble) => trouble.level === level).length,
      ]),
    ),
    ...listFamilies(lists ?? [], status.timeSec),
  ]
}

function listFamilies(lists: readonly ListState[], timeSec: number): MetricFamily[] {
  const by = (pick: (list: ListState) => number | undefined): [string, number | undefined][] =>
    lists.map((list) => [toDisplayText(list.name), pick(list)])
  // What is written by hand has no age.
  const fetched = lists.filter(({ source }) => source !== undefined && source.method !== 'file')
  const byFetched = (pick: (list: ListState) => number | undefined): [string, number | undefined][] =>
    fetched.map((list) => [toDisplayText(list.name), pick(list)])
  return [
    byLabel(
      'spamd_list_entries',
      'gauge',
      'Entries of the last good copy of a list.',
      'list',
      by(({ entries }) => entries),
    ),
    byLabel(
      'spamd_list_last_success_timestamp_seconds',
      'gauge',
      'Time at which the content of a list was last known to be current; 0: never.',
      'list',
      byFetched(({ lastSuccessSec }) => lastSuccessSec ?? 0),
    ),
    byLabel(
      'spamd_list_last_try_timestamp_seconds',
      'gauge',
      'Time at which a list was last requested.',
      'list',
      byFetched(({ lastTrySec }) => lastTrySec),
    ),
    byLabel(
      'spamd_list_failed',
      'gauge',
      '1 when the last attempt to fetch a list failed.',
      'list',
      byFetched(({ lastError }) => (lastError === undefined ? 0 : 1)),
    ),
    byLabel(
      'spamd_list_age_seconds',
      'gauge',
      'Age of the content of a list.',
      'list',
      byFetched(({ lastSuccessSec }) => lastSuccessSec && Math.max(0, timeSec - lastSuccessSec)),
    ),
  ]
}
