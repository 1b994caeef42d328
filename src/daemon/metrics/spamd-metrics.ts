/**
 * Prometheus metrics of spamd: the counters that its parts keep anyway, with names and units of Prometheus.
 * No label contains an address, a host or a sender; names of block lists are chosen by the administrator, and
 * limited in number.
 */
import type { SyncStatus } from '../../app/control-protocol.js'
import type { SpamdConfig } from '../../app/spamd-config.js'
import { toDisplayText } from '../../app/wire-text.js'
import { byLabel, type MetricFamily, single } from '../../codec/metrics-text.js'
import type { Clock } from '../../platform/clock.js'
import type { OpenedSenderChecks } from '../checks/open-sender-checks.js'
import type { Greylister } from '../grey/greylister.js'
import type { PoolNetworks } from '../grey/pool-networks.js'
import type { Scanner } from '../grey/scanner.js'
import type { WhiteTable } from '../grey/white-table.js'
import type { BlockLists } from '../lists/block-lists.js'
import type { SmtpServer } from '../smtp/smtp-server.js'
import type { ProcessMetrics } from './process-metrics.js'
import { senderMetrics } from './sender-metrics.js'
import { smtpMetrics } from './smtp-metrics.js'
import { syncMetrics } from './sync-metrics.js'

/** Maximum number of lists with their own label; further ones are counted together. */
const MAX_LIST_LABELS = 200
const OTHER_LISTS = 'other'
/** A scan is late when this many intervals have passed since the last complete one began. */
const OVERDUE_SCANS = 5

/** The parts of one spamd that are queried. */
export interface MetricSources {
  config: SpamdConfig
  clock: Clock
  version: string
  smtp: SmtpServer
  blockLists: BlockLists
  /** These four: undefined with -b. */
  greylister: Greylister | undefined
  scanner: Scanner | undefined
  whiteTable: WhiteTable | undefined
  pools: PoolNetworks | undefined
  /** Undefined when no option asks DNS about senders. */
  senders: OpenedSenderChecks | undefined
  /** Undefined without -Y and -y. */
  syncStatus: (() => SyncStatus) | undefined
  process: ProcessMetrics
}

/** Why spamd does not work properly, empty when it does: the answer of `/readyz`. */
export function notReadyReasons({ config, clock, greylister, scanner, whiteTable }: MetricSources): string[] {
  if (greylister === undefined || scanner === undefined || whiteTable === undefined) return []
  const reasons: string[] = []
  if (!greylister.isStoring) reasons.push('the database cannot be written')
  const lastSec = scanner.lastCompleteSec
  if (lastSec === undefined) reasons.push('the first scan of the database has not finished')
  else if (clock.nowSec() - lastSec > OVERDUE_SCANS * config.scanIntervalSec) {
    reasons.push('the last complete scan of the database is too old')
  }
  // A new database without WHITE addresses leaves the table unchanged.
  if (!whiteTable.isInStep && (scanner.lastReport?.whiteCount ?? 0) > 0) {
    reasons.push('the packet filter did not accept the table spamd-white')
  }
  return reasons
}

/** All families; costs some tens of microseconds, whatever the database holds. */
export function collectMetrics(sources: MetricSources): MetricFamily[] {
  const { config, clock, version } = sources
  return [
    {
      name: 'spamd_build_info',
      type: 'gauge',
      help: 'Version of spamd and of Node; always 1.',
      samples: [
        {
          labels: { version, node: process.versions.node, mode: config.isBlackOnly ? 'black' : 'grey' },
          value: 1,
        },
      ],
    },
    single(
      'spamd_ready',
      'gauge',
      '1 when the database can be written, the table is up to date and scans are on time.',
      notReadyReasons(sources).length === 0 ? 1 : 0,
    ),
    ...smtpMetrics(sources.smtp, config),
    ...listMetrics(sources),
    ...greyMetrics(sources),
    ...(sources.senders === undefined ? [] : senderMetrics(sources.senders)),
    ...(sources.syncStatus === undefined ? [] : syncMetrics(sources.syncStatus())),
    ...sources.process.collect(clock.monotonicMs()),
  ]
}

function listMetrics({ blockLists, smtp }: MetricSources): MetricFamily[] {
  const summaries = blockLists.summaries()
  const values = (pick: (index: number) => number): [string, number][] => {
    const named = summaries
      .slice(0, MAX_LIST_LABELS)
      .map(({ name }, index): [string, number] => [toDisplayText(name), pick(index)])
    if (summaries.length <= MAX_LIST_LABELS) return uniqueLabels(named)
    const rest = summaries.slice(MAX_LIST_LABELS).reduce((sum, _, at) => sum + pick(at + MAX_LIST_LABELS), 0)
    return uniqueLabels([...named, [OTHER_LISTS, rest]])
  }
  return [
    single(
      'spamd_blocklists',
      'gauge',
      'Block lists that spamd has loaded, including the trap list.',
      summaries.length,
    ),
    byLabel(
      'spamd_blocklist_entries',
      'gauge',
      'Networks of a block list as received.',
      'list',
      values((index) => summaries[index]!.entryCount),
    ),
    byLabel(
      'spamd_blocklist_hits_total',
      'counter',
      'Connections of clients on a block list.',
      'list',
      values((index) => smtp.listHits.get(summaries[index]!.name) ?? 0),
    ),
  ]
}

/** Names of different bytes may look alike, and one may be called "other": their values are added. */
function uniqueLabels(values: readonly [string, number][]): [string, number][] {
  const sums = new Map<string, number>()
  for (const [label, value] of values) sums.set(label, (sums.get(label) ?? 0) + value)
  return [...sums]
}

// eslint-disable-next-line complexity -- a flat table: one number each, absent where nothing counts it
function greyMetrics({
  greylister,
  scanner,
  whiteTable,
  pools,
  config,
  clock,
}: MetricSources): MetricFamily[] {
  if (greylister === undefined || scanner === undefined) return []
  if (whiteTable === undefined || pools === undefined) return []
  const { counters, writes } = greylister
  const { lastReport, lastCompleteSec } = scanner
  const table = whiteTable.counters
  const complete = lastReport?.isComplete === true ? lastReport : undefined
  return [
    byLabel('spamd_tuples_total', 'counter', 'Delivery attempts, by result.', 'result', [
      ['new', counters.created],
      ['repeated', counters.repeated],
      ['promoted', counters.promoted],
      ['trapped', counters.trapped],
      ['refused', counters.refused],
      ['dropped', counters.dropped],
    ]),
    single(
      'spamd_tuples_evicted_total',
      'counter',
      'Tuples removed to stay within the limits.',
      counters.evicted,
    ),
    single(
      'spamd_tuples_unstored_total',
      'counter',
      'Clients that were answered before their tuple was stored.',
      counters.unstored,
    ),
    single('spamd_tuples_waiting', 'gauge', 'Attempts waiting for the database.', greylister.waitingCount),
    single('spamd_tuples_limit', 'gauge', 'Maximum number of tuples (--max-tuples).', config.maxTuples),
    greylister.retryDelays.family(
      'spamd_retry_delay_seconds',
      'Time between the first attempt of a tuple and the one that passed.',
    ),
    single('spamd_passtime_seconds', 'gauge', 'Time before a retry passes (-G).', config.passSec),
    byLabel('spamd_entries', 'gauge', 'Entries of the database at the last complete scan.', 'kind', [
      ['GREY', complete?.greyCount],
      ['WHITE', complete?.whiteCount],
      ['TRAPPED', complete?.trappedCount],
      ['POOL', complete?.poolCount],
    ]),
    single(
      'spamd_pools_opened_total',
      'counter',
      'Times that a pool of senders retried and its network was opened.',
      counters.opened,
    ),
    single('spamd_learning', 'gauge', '1 in learn-only mode (--learn).', config.isLearning ? 1 : 0),
    single('spamd_scans_total', 'counter', 'Scans of the database.', scanner.counters.scans),
    single(
      'spamd_scans_incomplete_total',
      'counter',
      'Scans that failed, or that waited because the clock was in doubt.',
      scanner.counters.incomplete,
    ),
    single('spamd_scan_seconds_total', 'counter', 'Duration of scans.', scanner.counters.scanningMs / 1000),
    single(
      'spamd_scan_last_seconds',
      'gauge',
      'Duration of the last scan.',
      lastReport && lastReport.durationMs / 1000,
    ),
    single(
      'spamd_scan_interval_seconds',
      'gauge',
      'Time between scans (--scan-interval).',
      config.scanIntervalSec,
    ),
    single(
      'spamd_scan_clock_doubted',
      'gauge',
      '1 while nothing expires because the clock may be wrong.',
      lastReport?.isWaiting === true ? 1 : 0,
    ),
    single(
      'spamd_expiry_lag_seconds',
      'gauge',
      'Age of the last complete scan, which removed all entries expired by then.',
      lastCompleteSec === undefined ? undefined : Math.max(0, clock.nowSec() - lastCompleteSec),
    ),
    single('spamd_entries_removed_total', 'counter', 'Entries removed by scans.', scanner.counters.deleted),
    byLabel('spamd_table_entries', 'gauge', 'Addresses in the table as last written.', 'table', [
      ['spamd-white', table.addressCount],
      ['spamd-white-net', pools.counters.networkCount],
    ]),
    byLabel(
      'spamd_table_wanted_entries',
      'gauge',
      'Addresses that should be in the table according to the last complete scan.',
      'table',
      [
        ['spamd-white', complete?.whiteCount],
        ['spamd-white-net', complete?.poolCount],
      ],
    ),
    byLabel(
      'spamd_table_replacements_total',
      'counter',
      'Times that the whole table was replaced.',
      'table',
      [
        ['spamd-white', table.replacements],
        ['spamd-white-net', pools.counters.replacements],
      ],
    ),
    byLabel('spamd_table_changes_total', 'counter', 'Single addresses added or deleted.', 'table', [
      ['spamd-white', table.changes],
    ]),
    byLabel('spamd_table_failures_total', 'counter', 'Writes that the packet filter rejected.', 'table', [
      ['spamd-white', table.failures],
      ['spamd-white-net', pools.counters.failures],
    ]),
    byLabel('spamd_table_in_step', 'gauge', '1 when the last write of the table succeeded.', 'table', [
      ['spamd-white', whiteTable.isInStep ? 1 : 0],
    ]),
    byLabel(
      'spamd_table_last_write_timestamp_seconds',
      'gauge',
      'Time of the last write of the table.',
      'table',
      [['spamd-white', whiteTable.lastWriteSec]],
    ),
    single(
      'spamd_store_up',
      'gauge',
      '0 after a failed write of the database, until the next success.',
      greylister.isStoring ? 1 : 0,
    ),
    single('spamd_store_failures_total', 'counter', 'Writes of tuples that failed.', writes.failures),
    {
      name: 'spamd_store_write_seconds',
      type: 'summary',
      help: 'Duration of writing a batch of tuples.',
      samples: [
        { suffix: '_sum', value: writes.writingMs / 1000 },
        { suffix: '_count', value: writes.batches },
      ],
    },
  ]
}
