/** What spamd tells Prometheus of what DNS says about senders. */
import { byLabel, type MetricFamily, single } from '../../codec/metrics-text.js'
import type { OpenedSenderChecks } from '../checks/open-sender-checks.js'

/** The families of the sender checks. */
export function senderMetrics({ checks, dns }: OpenedSenderChecks): MetricFamily[] {
  const { spf, skipped, held, allowListed, promoted, opened, trapped } = checks.counters
  return [
    byLabel(
      'spamd_spf_checks_total',
      'counter',
      'Senders whose SPF was checked, by what came of it.',
      'result',
      Object.entries(spf),
    ),
    single(
      'spamd_sender_checks_skipped_total',
      'counter',
      'Attempts that were not checked since the budget or the queue was full: they wait as without checks.',
      skipped,
    ),
    single('spamd_sender_checks_open', 'gauge', 'Checks and findings that are under way.', checks.openCount),
    byLabel('spamd_dns_list_hits_total', 'counter', 'Attempts of clients that a DNS list holds.', 'list', [
      ['dnswl', allowListed],
      ['dnsbl', held],
    ]),
    byLabel(
      'spamd_sender_check_effects_total',
      'counter',
      'What came of checks: addresses that became WHITE, that a domain let in further, or that SPF trapped.',
      'effect',
      [
        ['white', promoted],
        ['pool', opened],
        ['trapped', trapped],
      ],
    ),
    byLabel(
      'spamd_dns_questions_total',
      'counter',
      'Questions to DNS, by how they were answered.',
      'answer',
      [
        ['answered', dns.counters.answered],
        ['cached', dns.counters.cached],
        ['failed', dns.counters.failed],
        ['refused', dns.counters.refused],
      ],
    ),
    single('spamd_dns_cache_bytes', 'gauge', 'Estimate of what the kept answers take.', dns.cacheBytes),
  ]
}
