import { runAllowList } from '../../src/cli/allow/allow-commands.js'
import { ALLOW_LIST_OPTIONS } from '../../src/cli/allow/allow-options.js'
import { BaseCommand, flagsForHelp } from '../../src/cli/base-command.js'
import { usageLine } from '../../src/cli/usage-line.js'
import { systemClock } from '../../src/platform/clock.js'
import { resolveDbPath } from '../../src/platform/settings.js'
import { writeFully } from '../../src/platform/standard-output.js'

const USAGE = usageLine('allow list', ALLOW_LIST_OPTIONS)

/** `spamdctl allow list`: show exceptions, their networks and their age. Manual: docs/man/spamdctl.8. */
export default class AllowList extends BaseCommand {
  static override summary = 'list the exceptions with the number and age of their networks'
  static override usage = USAGE
  static override examples = [
    { description: 'list every network too', command: 'spamdctl allow list --networks' },
  ]
  static override flags = flagsForHelp(ALLOW_LIST_OPTIONS)

  async run(): Promise<void> {
    const words = this.parseWords(ALLOW_LIST_OPTIONS, `spamdctl ${USAGE}`)
    if (words === undefined) return
    const { options } = words
    const parts = { dbPath: resolveDbPath(options.last('db')), nowSec: systemClock.nowSec() }
    writeFully(1, Buffer.from(await runAllowList(options, parts)))
  }
}
