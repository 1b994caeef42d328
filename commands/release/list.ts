import { BaseCommand, flagsForHelp } from '../../src/cli/base-command.js'
import { runReleaseList } from '../../src/cli/release/release-commands.js'
import { RELEASE_LIST_OPTIONS } from '../../src/cli/release/release-options.js'
import { usageLine } from '../../src/cli/usage-line.js'
import { systemClock } from '../../src/platform/clock.js'
import { resolveDbPath } from '../../src/platform/settings.js'
import { writeFully } from '../../src/platform/standard-output.js'

const USAGE = usageLine('release list', RELEASE_LIST_OPTIONS)

/** `spamdctl release list`: show which releases are in force. Manual: docs/man/spamdctl.8. */
export default class ReleaseList extends BaseCommand {
  static override summary = 'list the releases in force'
  static override usage = USAGE
  static override examples = [
    { description: 'include those that ended last week', command: 'spamdctl release list --all' },
  ]
  static override flags = flagsForHelp(RELEASE_LIST_OPTIONS)

  async run(): Promise<void> {
    const words = this.parseWords(RELEASE_LIST_OPTIONS, `spamdctl ${USAGE}`)
    if (words === undefined) return
    const text = await runReleaseList(words.options, {
      dbPath: resolveDbPath(words.options.last('db')),
      nowSec: systemClock.nowSec(),
      actor: undefined,
    })
    writeFully(1, Buffer.from(text))
  }
}
