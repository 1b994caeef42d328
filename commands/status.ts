import { readStatus } from '../src/app/status.js'
import { BaseCommand, flagsForHelp } from '../src/cli/base-command.js'
import type { OptionSpec } from '../src/cli/getopt.js'
import { checkForm, parseThresholds } from '../src/cli/operations/check-form.js'
import { PLACE_OPTIONS, settingsOf } from '../src/cli/operations/operation-options.js'
import { renderStatus, statusJson } from '../src/cli/operations/render-status.js'
import { standardTerminal } from '../src/cli/operations/terminal.js'
import { usageLine } from '../src/cli/usage-line.js'
import { writeFully } from '../src/platform/standard-output.js'
import { LiveSystem } from '../src/platform/system-probe.js'

const OPTIONS: readonly OptionSpec[] = [
  { long: 'check', summary: 'print one line with performance data, exit code 0 to 3, for Nagios and Icinga' },
  {
    long: 'warning',
    value: 'NAME=RANGE',
    isRepeatable: true,
    summary: 'with --check: warn outside of this range',
  },
  {
    long: 'critical',
    value: 'NAME=RANGE',
    isRepeatable: true,
    summary: 'with --check: critical outside of this range',
  },
  { long: 'json', summary: 'print one JSON object' },
  ...PLACE_OPTIONS,
]
const USAGE = usageLine('status', OPTIONS)

/**
 * `spamdctl status`: show daemons, database, tables, lists and peers on one screen. Manual:
 * docs/man/spamdctl.8.
 */
export default class Status extends BaseCommand {
  static override summary = 'show daemons, database, tables, lists and peers on one screen'
  static override usage = USAGE
  static override examples = [
    { description: 'show what is running', command: 'spamdctl status' },
    {
      description: 'for Nagios: warn when a list is two days old, critical above 700 connections',
      command: 'spamdctl status --check --warning list-age=2d --critical connections=700',
    },
  ]
  static override flags = flagsForHelp(OPTIONS)

  async run(): Promise<void> {
    const words = this.parseWords(OPTIONS, `spamdctl ${USAGE}`)
    if (words === undefined) return
    const { options } = words
    const limits = {
      warning: parseThresholds('--warning', options.all('warning')),
      critical: parseThresholds('--critical', options.all('critical')),
    }
    const status = await readStatus(new LiveSystem(), settingsOf(options))
    if (options.has('check')) {
      const { text, exitCode } = checkForm(status, limits)
      writeFully(1, Buffer.from(text))
      process.exitCode = exitCode
      return
    }
    writeFully(
      1,
      Buffer.from(options.has('json') ? statusJson(status) : renderStatus(status, standardTerminal())),
    )
  }
}
