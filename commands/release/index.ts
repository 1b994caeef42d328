import { actorOf } from '../../src/app/actor.js'
import { BaseCommand, flagsForHelp } from '../../src/cli/base-command.js'
import { runRelease } from '../../src/cli/release/release-commands.js'
import { RELEASE_OPTIONS } from '../../src/cli/release/release-options.js'
import { usageLine } from '../../src/cli/usage-line.js'
import { systemClock } from '../../src/platform/clock.js'
import { resolveDbPath } from '../../src/platform/settings.js'
import { writeFully } from '../../src/platform/standard-output.js'

const USAGE = usageLine('release', RELEASE_OPTIONS)

/** `spamdctl release`: let waiting mail pass at the second try from now. Manual: docs/man/spamdctl.8. */
export default class ReleaseMail extends BaseCommand {
  static override summary = 'let waiting mail pass, whatever address it is retried from'
  static override usage = USAGE
  static override examples = [
    {
      description: 'release a one-time code that does not arrive',
      command: 'spamdctl release --to user@example.org --from example.net',
    },
    {
      description: 'show what is waiting from a sender',
      command: 'spamdctl release --dry-run --from example.net',
    },
  ]
  static override flags = flagsForHelp(RELEASE_OPTIONS)

  async run(): Promise<void> {
    const words = this.parseWords(RELEASE_OPTIONS, `spamdctl ${USAGE}`)
    if (words === undefined) return
    const text = await runRelease(words.options, {
      dbPath: resolveDbPath(words.options.last('db')),
      nowSec: systemClock.nowSec(),
      actor: actorOf(process.env),
    })
    writeFully(1, Buffer.from(text))
  }
}
