import { readListStates } from '../../src/app/lists/list-states.js'
import { readConfiguration } from '../../src/app/lists/read-configuration.js'
import { BaseCommand, flagsForHelp } from '../../src/cli/base-command.js'
import type { OptionSpec } from '../../src/cli/getopt.js'
import { EXIT } from '../../src/cli/report-error.js'
import { listStatesJson, listStatesTable } from '../../src/cli/setup/list-states-table.js'
import { problemLines } from '../../src/cli/setup/setup-lines.js'
import { usageLine } from '../../src/cli/usage-line.js'
import { systemClock } from '../../src/platform/clock.js'
import { resolveSettings } from '../../src/platform/settings.js'
import { writeFully } from '../../src/platform/standard-output.js'

const OPTIONS: readonly OptionSpec[] = [
  { long: 'json', summary: 'print JSON' },
  { long: 'conf', value: 'FILE', summary: 'spamd.conf to use instead of the default' },
  { long: 'state-dir', value: 'DIR', summary: 'folder of the last good copies' },
]

/** `spamdctl lists`: the state of every block list. Manual: docs/man/spamdctl.8. */
export default class Lists extends BaseCommand {
  static override summary =
    'show the state of every block list: entries, age, last success, last error, next fetch'
  static override usage = usageLine('lists', OPTIONS)
  static override examples = [{ description: 'show the age of each block list', command: 'spamdctl lists' }]
  static override flags = flagsForHelp(OPTIONS)

  async run(): Promise<void> {
    const words = this.parseWords(OPTIONS, `spamdctl ${Lists.usage}`)
    if (words === undefined) return
    const { options } = words
    const { conf, stateDir } = resolveSettings({
      conf: options.last('conf'),
      stateDir: options.last('state-dir'),
    })
    const configuration = await readConfiguration(conf)
    if (!configuration.isUsable) {
      process.stderr.write(
        configuration.problems.map((problem) => problemLines(problem, 'spamdctl')).join(''),
      )
      process.exitCode = EXIT.failure
      return
    }
    const nowSec = systemClock.nowSec()
    const states = await readListStates(configuration, stateDir, nowSec)
    const text = options.has('json') ? listStatesJson(states) : listStatesTable(states, nowSec)
    writeFully(1, Buffer.from(text))
  }
}
