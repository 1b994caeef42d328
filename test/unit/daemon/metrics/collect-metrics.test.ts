/** Every metric shows the number that it names: each number here is another one. */
import { readdirSync } from 'node:fs'
import { expect, test, vi } from 'vitest'
import { formatMetrics } from '../../../../src/codec/metrics-text.js'
import { ProcessMetrics } from '../../../../src/daemon/metrics/process-metrics.js'
import {
  collectMetrics,
  type MetricSources,
  notReadyReasons,
} from '../../../../src/daemon/metrics/spamd-metrics.js'
import { ManualClock } from '../../../support/manual-clock.js'

interface Flags {
  isWell?: boolean
  isBlackOnly?: boolean
}

const NOW = 1_700_000_000

function sources({ isWell = true, isBlackOnly = false }: Flags = {}): MetricSources {
  const report = {
    ...{ isComplete: true, isWaiting: !isWell, durationMs: 2_500 },
    ...{ greyCount: 41, whiteCount: 42, trappedCount: 43, poolCount: 44 },
  }
  const retryDelays = { family: (name: string) => ({ name, type: 'histogram', help: '', samples: [] }) }
  return {
    config: {
      ...{ isBlackOnly, isLearning: !isWell, maxConnections: 800, maxTuples: 900, passSec: 1500 },
      scanIntervalSec: 60,
    },
    clock: new ManualClock(NOW),
    version: '1',
    smtp: {
      counts: { black: 2, total: 5 },
      counters: {
        ...{ blackAccepted: 10, accepted: 21, refusedFull: 12, refusedPerIp: 13, refusedPerNetwork: 14 },
        ...{ refusedProxy: 15, timedOut: 16, overlong: 17, recipients: 18, acceptPauses: 19 },
      },
      dialogues: {
        ...{ endedMs: { black: 1_500, other: 2_000 }, endedCount: { black: 22, other: 23 } },
        ...{ stutterMs: 24_000, stutteredBytes: 25 },
      },
      listHits: new Map([
        ['one', 26],
        ['other', 27],
      ]),
      isAccepting: isWell,
    },
    blockLists: {
      summaries: () => [
        { name: 'one', entryCount: 28 },
        { name: 'other', entryCount: 29 },
      ],
    },
    greylister: {
      counters: {
        ...{ created: 31, repeated: 32, promoted: 33, trapped: 34, refused: 35, dropped: 36, evicted: 37 },
        ...{ unstored: 38, opened: 39 },
      },
      writes: { failures: 45, writingMs: 4_600, batches: 47 },
      ...{ waitingCount: 48, retryDelays, isStoring: isWell },
    },
    scanner: {
      counters: { scans: 51, incomplete: 52, scanningMs: 53_000, deleted: 54 },
      lastReport: report,
      lastCompleteSec: isWell ? NOW - 300 : NOW - 301,
    },
    whiteTable: {
      counters: { addressCount: 61, replacements: 62, changes: 63, failures: 64 },
      ...{ isInStep: isWell, lastWriteSec: NOW - 5 },
    },
    pools: { counters: { networkCount: 65, replacements: 66, failures: 67 } },
    senders: {
      checks: {
        counters: {
          ...{ spf: { pass: 71, fail: 72 }, skipped: 73, allowListed: 74, held: 75 },
          ...{ promoted: 76, opened: 77, trapped: 78 },
        },
        openCount: 79,
      },
      dns: { counters: { answered: 81, cached: 82, failed: 83, refused: 84 }, cacheBytes: 85 },
    },
    syncStatus: () => ({
      peers: [{ name: 'a', address: '192.0.2.1' }],
      sent: { sent: 91, failed: 92, tooLong: 93, ipv6: 94 },
      received: { received: 95, accepted: 90, refused: { 'too old': 96 } },
      entries: { applied: 97, ignored: 98, dropped: 99 },
      heard: [
        { address: '192.0.2.1', lastSec: NOW - 7, skewSec: 2 },
        { address: '192.0.2.2', lastSec: NOW - 9, skewSec: -3 },
      ],
      state: {
        peers: [{ missingCount: 101 }, { missingCount: 20 }],
        sent: { messages: 1, records: 102, skippedChanges: 1 },
        received: { applied: 103, unchanged: 104, ahead: 105, unknown: 106, dropped: 107, gaps: 108 },
      },
    }),
    process: { collect: () => [] },
  } as unknown as MetricSources
}

const linesOf = (given: MetricSources): string[] =>
  formatMetrics(collectMetrics(given))
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#') && !line.startsWith('spamd_build_info'))

test('each number is shown under its name', () => {
  expect(linesOf(sources())).toEqual([
    'spamd_ready 1',
    'spamd_smtp_connections{class="black"} 2',
    'spamd_smtp_connections{class="grey"} 3',
    'spamd_smtp_connections_limit 800',
    'spamd_smtp_connections_accepted_total{class="black"} 10',
    'spamd_smtp_connections_accepted_total{class="grey"} 11',
    'spamd_smtp_connections_refused_total{reason="full"} 12',
    'spamd_smtp_connections_refused_total{reason="per_ip"} 13',
    'spamd_smtp_connections_refused_total{reason="per_network"} 14',
    'spamd_smtp_connections_refused_total{reason="proxy"} 15',
    'spamd_smtp_connections_cut_total{reason="timeout"} 16',
    'spamd_smtp_connections_cut_total{reason="overlong"} 17',
    'spamd_smtp_dialogue_seconds_sum{class="black"} 1.5',
    'spamd_smtp_dialogue_seconds_count{class="black"} 22',
    'spamd_smtp_dialogue_seconds_sum{class="grey"} 2',
    'spamd_smtp_dialogue_seconds_count{class="grey"} 23',
    'spamd_tarpit_seconds_total 24',
    'spamd_tarpit_bytes_total 25',
    'spamd_smtp_recipients_total 18',
    'spamd_smtp_accept_pauses_total 19',
    'spamd_smtp_accepting 1',
    'spamd_blocklists 2',
    'spamd_blocklist_entries{list="one"} 28',
    'spamd_blocklist_entries{list="other"} 29',
    'spamd_blocklist_hits_total{list="one"} 26',
    'spamd_blocklist_hits_total{list="other"} 27',
    'spamd_tuples_total{result="new"} 31',
    'spamd_tuples_total{result="repeated"} 32',
    'spamd_tuples_total{result="promoted"} 33',
    'spamd_tuples_total{result="trapped"} 34',
    'spamd_tuples_total{result="refused"} 35',
    'spamd_tuples_total{result="dropped"} 36',
    'spamd_tuples_evicted_total 37',
    'spamd_tuples_unstored_total 38',
    'spamd_tuples_waiting 48',
    'spamd_tuples_limit 900',
    'spamd_passtime_seconds 1500',
    'spamd_entries{kind="GREY"} 41',
    'spamd_entries{kind="WHITE"} 42',
    'spamd_entries{kind="TRAPPED"} 43',
    'spamd_entries{kind="POOL"} 44',
    'spamd_pools_opened_total 39',
    'spamd_learning 0',
    'spamd_scans_total 51',
    'spamd_scans_incomplete_total 52',
    'spamd_scan_seconds_total 53',
    'spamd_scan_last_seconds 2.5',
    'spamd_scan_interval_seconds 60',
    'spamd_scan_clock_doubted 0',
    'spamd_expiry_lag_seconds 300',
    'spamd_entries_removed_total 54',
    'spamd_table_entries{table="spamd-white"} 61',
    'spamd_table_entries{table="spamd-white-net"} 65',
    'spamd_table_wanted_entries{table="spamd-white"} 42',
    'spamd_table_wanted_entries{table="spamd-white-net"} 44',
    'spamd_table_replacements_total{table="spamd-white"} 62',
    'spamd_table_replacements_total{table="spamd-white-net"} 66',
    'spamd_table_changes_total{table="spamd-white"} 63',
    'spamd_table_failures_total{table="spamd-white"} 64',
    'spamd_table_failures_total{table="spamd-white-net"} 67',
    'spamd_table_in_step{table="spamd-white"} 1',
    `spamd_table_last_write_timestamp_seconds{table="spamd-white"} ${NOW - 5}`,
    'spamd_store_up 1',
    'spamd_store_failures_total 45',
    'spamd_store_write_seconds_sum 4.6',
    'spamd_store_write_seconds_count 47',
    'spamd_spf_checks_total{result="pass"} 71',
    'spamd_spf_checks_total{result="fail"} 72',
    'spamd_sender_checks_skipped_total 73',
    'spamd_sender_checks_open 79',
    'spamd_dns_list_hits_total{list="dnswl"} 74',
    'spamd_dns_list_hits_total{list="dnsbl"} 75',
    'spamd_sender_check_effects_total{effect="white"} 76',
    'spamd_sender_check_effects_total{effect="pool"} 77',
    'spamd_sender_check_effects_total{effect="trapped"} 78',
    'spamd_dns_questions_total{answer="answered"} 81',
    'spamd_dns_questions_total{answer="cached"} 82',
    'spamd_dns_questions_total{answer="failed"} 83',
    'spamd_dns_questions_total{answer="refused"} 84',
    'spamd_dns_cache_bytes 85',
    'spamd_sync_peers 1',
    'spamd_sync_peers_heard 2',
    'spamd_sync_sent_total 91',
    'spamd_sync_unsent_total{reason="failed"} 92',
    'spamd_sync_unsent_total{reason="too_long"} 93',
    'spamd_sync_unsent_total{reason="ipv6"} 94',
    'spamd_sync_received_total 95',
    'spamd_sync_refused_total{reason="too_old"} 96',
    'spamd_sync_entries_total{result="applied"} 97',
    'spamd_sync_entries_total{result="ignored"} 98',
    'spamd_sync_entries_total{result="dropped"} 99',
    `spamd_sync_longest_silent_timestamp_seconds ${NOW - 9}`,
    'spamd_sync_clock_skew_seconds 3',
    'spamd_sync_records_sent_total 102',
    'spamd_sync_records_total{result="applied"} 103',
    'spamd_sync_records_total{result="unchanged"} 104',
    'spamd_sync_records_total{result="ahead"} 105',
    'spamd_sync_records_total{result="unknown"} 106',
    'spamd_sync_records_total{result="dropped"} 107',
    'spamd_sync_gaps_total 108',
    'spamd_sync_missing_changes 121',
  ])
})

test('what is not well shows, and in what', () => {
  const well = new Set(linesOf(sources()))
  expect(linesOf(sources({ isWell: false })).filter((line) => !well.has(line))).toEqual([
    'spamd_ready 0',
    'spamd_smtp_accepting 0',
    'spamd_learning 1',
    'spamd_scan_clock_doubted 1',
    'spamd_expiry_lag_seconds 301',
    'spamd_table_in_step{table="spamd-white"} 0',
    'spamd_store_up 0',
  ])
  expect(notReadyReasons(sources({ isWell: false }))).toEqual([
    'the database cannot be written',
    'the last complete scan of the database is too old',
    'the packet filter did not accept the table spamd-white',
  ])
})

test('parts that are off have no numbers, and without greylisting others are open', () => {
  const without = {
    ...sources({ isBlackOnly: true }),
    ...{ greylister: undefined, scanner: undefined, whiteTable: undefined, pools: undefined },
    ...{ senders: undefined, syncStatus: undefined },
  }
  const lines = linesOf(without)
  expect(lines).toContain('spamd_smtp_connections{class="open"} 3')
  expect(lines).toContain('spamd_ready 1')
  expect(lines.filter((line) => /^spamd_(?:tuples|scan|table|store|spf|dns|sync)/.test(line))).toEqual([])
})

test('a part of the sync that is off, or has heard nobody, has no numbers', () => {
  const quiet = { ...sources(), syncStatus: () => ({ peers: [] }) }
  expect(linesOf(quiet).filter((line) => line.startsWith('spamd_sync'))).toEqual([
    'spamd_sync_peers 0',
    'spamd_sync_peers_heard 0',
  ])
})

test('a database that was not scanned yet is not ready', () => {
  const { scanner, ...others } = sources()
  const unscanned = { ...scanner, lastReport: undefined, lastCompleteSec: undefined }
  const early = { ...others, scanner: unscanned } as unknown as MetricSources
  expect(notReadyReasons(early)).toEqual(['the first scan of the database has not finished'])
  expect(linesOf(early).filter((line) => /^spamd_(?:entries\{|scan_last|expiry)/.test(line))).toEqual([])
})

test('the process: what it uses, and how late its loop was from the second time on', async () => {
  const metrics = new ProcessMetrics(NOW)
  try {
    const named = (atMs: number) =>
      new Map(metrics.collect(atMs).map(({ name, samples }) => [name, samples[0]?.value]))
    const first = named(0)
    const descriptors = readdirSync('/dev/fd').length
    expect(first.get('spamd_process_start_time_seconds')).toBe(NOW)
    expect(first.get('spamd_process_open_fds')).toBeGreaterThan(descriptors / 2)
    expect(first.get('spamd_process_resident_memory_bytes')).toBeGreaterThan(1e6)
    const cpuSec = first.get('spamd_process_cpu_seconds_total')!
    expect(cpuSec).toBeGreaterThan(0)
    expect(cpuSec).toBeLessThanOrEqual(process.cpuUsage().user / 1e6 + process.cpuUsage().system / 1e6)
    expect(first.has('spamd_event_loop_delay_max_seconds')).toBe(false)
    const delay = () => named(1).get('spamd_event_loop_delay_max_seconds')!
    await vi.waitFor(() => expect(delay()).toBeGreaterThan(0), { timeout: 30_000 })
    // It is remembered for two minutes.
    expect(named(120_000).get('spamd_event_loop_delay_max_seconds')).toBeGreaterThan(0)
    named(120_001)
    expect(named(120_002).get('spamd_event_loop_delay_max_seconds')).toBe(0)
  } finally {
    metrics.stop()
  }
})
