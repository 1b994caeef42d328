/** Metrics of the synchronisation with other gateways. */
import type { StateStatus, SyncStatus } from '../../app/control-protocol.js'
import { byLabel, type MetricFamily, single } from '../../codec/metrics-text.js'

/** The families of the synchronisation; a part that is off has no samples. */
// eslint-disable-next-line complexity -- a flat table: one number each, absent where nothing counts it
export function syncMetrics({ sent, received, entries, heard, peers, state }: SyncStatus): MetricFamily[] {
  const heardSecs = (heard ?? []).map(({ lastSec }) => lastSec)
  const skews = (heard ?? []).map(({ skewSec }) => Math.abs(skewSec))
  return [
    single('spamd_sync_peers', 'gauge', 'Gateways that messages are sent to.', peers.length),
    single('spamd_sync_peers_heard', 'gauge', 'Gateways whose messages were authentic.', heardSecs.length),
    single('spamd_sync_sent_total', 'counter', 'Messages sent.', sent?.sent),
    byLabel('spamd_sync_unsent_total', 'counter', 'Messages that could not be sent.', 'reason', [
      ['failed', sent?.failed],
      ['too_long', sent?.tooLong],
      ['ipv6', sent?.ipv6],
    ]),
    single('spamd_sync_received_total', 'counter', 'Messages received.', received?.received),
    byLabel(
      'spamd_sync_refused_total',
      'counter',
      'Messages rejected.',
      'reason',
      Object.entries(received?.refused ?? {}).map(([reason, count]) => [reason.replaceAll(' ', '_'), count]),
    ),
    byLabel('spamd_sync_entries_total', 'counter', 'Entries received, by result.', 'result', [
      ['applied', entries?.applied],
      ['ignored', entries?.ignored],
      ['dropped', entries?.dropped],
    ]),
    single(
      'spamd_sync_longest_silent_timestamp_seconds',
      'gauge',
      'Time of the last message from the gateway that has been silent longest.',
      heardSecs.length === 0 ? undefined : Math.min(...heardSecs),
    ),
    single(
      'spamd_sync_clock_skew_seconds',
      'gauge',
      'Largest clock difference to another gateway, network delay included.',
      skews.length === 0 ? undefined : Math.max(...skews),
    ),
    ...(state === undefined ? [] : stateMetrics(state)),
  ]
}

/** Version 3 of the synchronisation. */
function stateMetrics({ peers, sent, received }: StateStatus): MetricFamily[] {
  const { gaps, ...results } = received
  const missing = peers.reduce((sum, { missingCount }) => sum + missingCount, 0)
  return [
    single(
      'spamd_sync_records_sent_total',
      'counter',
      'Entries sent to gateways of version 3.',
      sent.records,
    ),
    byLabel(
      'spamd_sync_records_total',
      'counter',
      'Entries received from gateways of version 3, by result.',
      'result',
      Object.entries(results),
    ),
    single('spamd_sync_gaps_total', 'counter', 'Times that changes of another gateway were missed.', gaps),
    single(
      'spamd_sync_missing_changes',
      'gauge',
      'Missed changes of other gateways, which only a pull can fetch.',
      missing,
    ),
  ]
}
