/** Metrics of the SMTP side of spamd: connections, dialogues, and the time that clients were held. */
import type { SpamdConfig } from '../../app/spamd-config.js'
import { byLabel, type MetricFamily, single } from '../../codec/metrics-text.js'
import type { SmtpServer } from '../smtp/smtp-server.js'

/** The families of one SMTP server; without greylisting clients that are not listed count as `open`. */
export function smtpMetrics(smtp: SmtpServer, config: SpamdConfig): MetricFamily[] {
  const { counts, counters, dialogues } = smtp
  const open = config.isBlackOnly ? 'open' : 'grey'
  const perClass = (black: number, all: number): [string, number][] => [
    ['black', black],
    [open, all - black],
  ]
  return [
    byLabel(
      'spamd_smtp_connections',
      'gauge',
      'Connections with a dialogue in progress.',
      'class',
      perClass(counts.black, counts.total),
    ),
    single(
      'spamd_smtp_connections_limit',
      'gauge',
      'Maximum number of connections (-c).',
      config.maxConnections,
    ),
    byLabel(
      'spamd_smtp_connections_accepted_total',
      'counter',
      'Connections that started a dialogue.',
      'class',
      perClass(counters.blackAccepted, counters.accepted),
    ),
    byLabel(
      'spamd_smtp_connections_refused_total',
      'counter',
      'Connections that were refused before a dialogue.',
      'reason',
      [
        ['full', counters.refusedFull],
        ['per_ip', counters.refusedPerIp],
        ['per_network', counters.refusedPerNetwork],
        ['proxy', counters.refusedProxy],
      ],
    ),
    byLabel(
      'spamd_smtp_connections_cut_total',
      'counter',
      'Connections that spamd closed before the client did.',
      'reason',
      [
        ['timeout', counters.timedOut],
        ['overlong', counters.overlong],
      ],
    ),
    {
      name: 'spamd_smtp_dialogue_seconds',
      type: 'summary',
      help: 'Duration of finished dialogues.',
      samples: (['black', 'other'] as const).flatMap((group) => {
        const labels = { class: group === 'black' ? 'black' : open }
        return [
          { suffix: '_sum', labels, value: dialogues.endedMs[group] / 1000 },
          { suffix: '_count', labels, value: dialogues.endedCount[group] },
        ]
      }),
    },
    single(
      'spamd_tarpit_seconds_total',
      'counter',
      'Time that clients waited for single bytes, over all clients.',
      dialogues.stutterMs / 1000,
    ),
    single(
      'spamd_tarpit_bytes_total',
      'counter',
      'Bytes that were sent one by one.',
      dialogues.stutteredBytes,
    ),
    single('spamd_smtp_recipients_total', 'counter', 'Recipients that clients named.', counters.recipients),
    single(
      'spamd_smtp_accept_pauses_total',
      'counter',
      'Times that spamd stopped accepting because file descriptors ran out.',
      counters.acceptPauses,
    ),
    single('spamd_smtp_accepting', 'gauge', '1 while spamd accepts connections.', smtp.isAccepting ? 1 : 0),
  ]
}
