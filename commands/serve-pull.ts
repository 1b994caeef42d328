import { BaseCommand, flagsForHelp } from '../src/cli/base-command.js'
import { runServePull, SERVE_PULL_OPTIONS } from '../src/cli/operations/pull-commands.js'
import { usageLine } from '../src/cli/usage-line.js'
import { systemClock } from '../src/platform/clock.js'
import { writeFully } from '../src/platform/standard-output.js'

/** `spamdctl serve-pull`: the other end of `spamdctl pull`. Manual: docs/man/spamdctl.8. */
export default class ServePull extends BaseCommand {
  static override summary = 'answer spamdctl pull from another gateway'
  static override description =
    'Started by sshd as a forced command. Reads one request from standard input, writes the database to standard output and changes nothing.'
  static override usage = usageLine('serve-pull', SERVE_PULL_OPTIONS)
  static override examples = [
    {
      description: 'line for authorized_keys of the user for pulls',
      command: 'restrict,command="spamdctl serve-pull" ssh-ed25519 AAAA… gw2',
    },
  ]
  static override flags = flagsForHelp(SERVE_PULL_OPTIONS)

  async run(): Promise<void> {
    const words = this.parseWords(SERVE_PULL_OPTIONS, `spamdctl ${ServePull.usage}`)
    if (words === undefined) return
    process.exitCode = await runServePull(words.options, {
      clock: systemClock,
      environment: process.env,
      stdin: process.stdin,
      write: async (bytes) => writeFully(1, bytes),
    })
    process.stdin.destroy()
  }
}
