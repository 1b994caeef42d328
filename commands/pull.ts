import { BaseCommand, flagsForHelp } from '../src/cli/base-command.js'
import { PULL_OPTIONS, runPull } from '../src/cli/operations/pull-commands.js'
import { usageLine } from '../src/cli/usage-line.js'
import { systemClock } from '../src/platform/clock.js'
import { writeFully, writeMessage } from '../src/platform/standard-output.js'

const USAGE = usageLine('pull', PULL_OPTIONS, 'HOST...')

/** `spamdctl pull`: merge the databases of other gateways. Manual: docs/man/spamdctl.8. */
export default class Pull extends BaseCommand {
  static override summary = 'merge the database of another gateway over ssh'
  static override description =
    'Every entry and every deletion of the other database is merged into this one by time of change. The other side runs spamdctl serve-pull.'
  static override usage = USAGE
  static override examples = [
    {
      description: 'before this gateway takes over its address',
      command: 'spamdctl pull --since gw2.example.org',
    },
  ]
  static override flags = flagsForHelp(PULL_OPTIONS)

  async run(): Promise<void> {
    const words = this.parseWords(PULL_OPTIONS, `spamdctl ${USAGE}`, { min: 1, max: 64 })
    if (words === undefined) return
    process.exitCode = await runPull(words.operands, words.options, {
      clock: systemClock,
      environment: process.env,
      out: (text) => writeFully(1, Buffer.from(text)),
      err: writeMessage,
    })
  }
}
