/** Prometheus metrics of the DNS checks of senders. */
import { byLabel, type MetricFamily, single } from '../../codec/metrics-text.js'
import type { OpenedSenderChecks } from '../checks/open-sender-checks.js'

/** The families of the sender checks. */
export function senderMetrics({ checks, dns }: OpenedSenderChecks): MetricFamily[] {
  const { spf, skipped, held, allowListed, promoted, opened, trapped } = checks.counters
  return [
    byLabel(
      'spamd_spf_checks_total',
      'counter',
      'Senders whose SPF was checked, by result.',
      'result',
      Object.entries(spf),
    ),
    single(
      'spamd_sender_checks_skipped_total',
      'counter',
      'Attempts not checked because the budget or the queue was full; they are greylisted as usual.',
      skipped,
    ),
    single('spamd_sender_checks_open', 'gauge', 'Checks and results in progress.', checks.openCount),
    byLabel('spamd_dns_list_hits_total', 'counter', 'Attempts of clients on a DNS list.', 'list', [
      ['dnswl', allowListed],
      ['dnsbl', held],
    ]),
    byLabel(
      'spamd_sender_check_effects_total',
      'counter',
      'Results of checks: addresses that became WHITE, were let in by their domain, or were trapped by SPF.',
      'effect',
      [
        ['white', promoted],
        ['pool', opened],
        ['trapped', trapped],
      ],
    ),
    byLabel('spamd_dns_questions_total', 'counter', 'DNS queries, by result.', 'answer', [
      ['answered', dns.counters.answered],
      ['cached', dns.counters.cached],
      ['failed', dns.counters.failed],
      ['refused', dns.counters.refused],
    ]),
    single('spamd_dns_cache_bytes', 'gauge', 'Estimated size of the cached answers.', dns.cacheBytes),
  ]
}
