import { askForMetrics, suiteMetrics } from '../src/app/metrics/suite-metrics.js'
import { readStatus } from '../src/app/status.js'
import { writeTrustedFile } from '../src/app/write-trusted-file.js'
import { BaseCommand, flagsForHelp } from '../src/cli/base-command.js'
import { METRICS_OPTIONS } from '../src/cli/operations/metrics-options.js'
import { settingsOf } from '../src/cli/operations/operation-options.js'
import { usageLine } from '../src/cli/usage-line.js'
import { formatMetrics } from '../src/codec/metrics-text.js'
import { writeFully } from '../src/platform/standard-output.js'
import { LiveSystem } from '../src/platform/system-probe.js'

const USAGE = usageLine('metrics', METRICS_OPTIONS)

/** `spamdctl metrics`: print everything as Prometheus metrics. Manual: docs/man/spamdctl.8. */
export default class Metrics extends BaseCommand {
  static override summary = 'print metrics for Prometheus, of all programs and lists'
  static override description =
    'Queries the running spamd and examines database, tables, lists and spamlogd. For node_exporter, run it from a timer with --textfile.'
  static override usage = USAGE
  static override examples = [
    { description: 'print all metrics', command: 'spamdctl metrics' },
    {
      description: 'write a file for node_exporter every minute',
      command: 'spamdctl metrics --textfile /var/lib/prometheus/node-exporter/spamd.prom',
    },
  ]
  static override flags = flagsForHelp(METRICS_OPTIONS)

  async run(): Promise<void> {
    const words = this.parseWords(METRICS_OPTIONS, `spamdctl ${USAGE}`)
    if (words === undefined) return
    const { options } = words
    const settings = settingsOf(options)
    const [status, ofDaemon] = await Promise.all([
      readStatus(new LiveSystem(), settings),
      askForMetrics(settings.controlSocket),
    ])
    const text = formatMetrics([...ofDaemon, ...suiteMetrics(status)])
    const path = options.last('textfile')
    if (path === undefined) writeFully(1, Buffer.from(text))
    else await writeTrustedFile(path, text, 'ERR_METRICS_WRITE')
  }
}
