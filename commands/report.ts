import { BaseCommand, flagsForHelp } from '../src/cli/base-command.js'
import { settingsOf } from '../src/cli/operations/operation-options.js'
import { REPORT_OPTIONS, runReport } from '../src/cli/report/run-report.js'
import { usageLine } from '../src/cli/usage-line.js'
import { writeFully, writeMessage } from '../src/platform/standard-output.js'
import { LiveSystem } from '../src/platform/system-probe.js'

const USAGE = usageLine('report', REPORT_OPTIONS)

/** `spamdctl report`: write one HTML page. Manual: docs/man/spamdctl.8. */
export default class Report extends BaseCommand {
  static override summary = 'write one HTML page about mail, lists, peers and problems'
  static override description =
    'One file without scripts or outside resources, for browser, telephone or paper. Reads only.'
  static override usage = USAGE
  static override examples = [
    { description: 'the last month', command: 'spamdctl report --output /var/www/html/spamd.html' },
    {
      description: 'the last two days, rewritten every minute',
      command: 'spamdctl report --output /var/www/html/spamd.html --since 2d --watch 60',
    },
    { description: 'print the data behind the charts', command: 'spamdctl report --json' },
  ]
  static override flags = flagsForHelp(REPORT_OPTIONS)

  async run(): Promise<void> {
    const words = this.parseWords(REPORT_OPTIONS, `spamdctl ${USAGE}`)
    if (words === undefined) return
    const ending = new AbortController()
    if (words.options.has('watch'))
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => ending.abort())
    process.exitCode = await runReport(words.options, {
      probe: new LiveSystem(),
      settings: settingsOf(words.options),
      write: (text) => writeFully(1, Buffer.from(text)),
      writeError: writeMessage,
      signal: ending.signal,
    })
  }
}
