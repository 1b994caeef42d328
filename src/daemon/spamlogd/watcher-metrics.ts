/** What spamlogd tells Prometheus: the counters of its statistics line. */
import { byLabel, type MetricFamily, single } from '../../codec/metrics-text.js'
import type { WatcherFacts } from './log-watcher.js'

export function watcherMetrics(facts: WatcherFacts): MetricFamily[] {
  const { watcher, recorder } = facts
  return [
    single(
      'spamlogd_metrics_timestamp_seconds',
      'gauge',
      'Time at which these numbers were written.',
      facts.timeSec,
    ),
    single('spamlogd_packets_total', 'counter', 'Records of the packet log.', watcher.packets),
    single('spamlogd_packets_matched_total', 'counter', 'Records that renew a WHITE entry.', watcher.matched),
    single(
      'spamlogd_packets_undecodable_total',
      'counter',
      'Records that could not be read.',
      watcher.undecodable,
    ),
    single(
      'spamlogd_packets_limited_total',
      'counter',
      'Outbound connections beyond --outbound-rate.',
      watcher.limited,
    ),
    single('spamlogd_packets_lost_total', 'counter', 'Packets that the kernel dropped.', facts.lostCount),
    byLabel('spamlogd_updates_total', 'counter', 'Addresses written, by result.', 'result', [
      ['added', recorder.added],
      ['refreshed', recorder.refreshed],
      ['untrapped', recorder.untrapped],
      ['left_trapped', recorder.leftTrapped],
      ['dropped', recorder.dropped],
    ]),
    single('spamlogd_updates_waiting', 'gauge', 'Addresses waiting for the database.', facts.waitingCount),
  ]
}
