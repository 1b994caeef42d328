import { actorOf } from '../../src/app/actor.js'
import { BaseCommand, flagsForHelp } from '../../src/cli/base-command.js'
import { runReleaseCancel } from '../../src/cli/release/release-commands.js'
import { RELEASE_CANCEL_OPTIONS } from '../../src/cli/release/release-options.js'
import { usageLine } from '../../src/cli/usage-line.js'
import { systemClock } from '../../src/platform/clock.js'
import { resolveDbPath } from '../../src/platform/settings.js'
import { writeFully } from '../../src/platform/standard-output.js'

const USAGE = usageLine('release cancel', RELEASE_CANCEL_OPTIONS, 'ID')

/** `spamdctl release cancel`: cancel a release. Manual: docs/man/spamdctl.8. */
export default class ReleaseCancel extends BaseCommand {
  static override summary = 'cancel a release'
  static override usage = USAGE
  static override examples = [
    { description: 'ID as shown by "release list"', command: 'spamdctl release cancel 7kx2m9qa' },
  ]
  static override flags = flagsForHelp(RELEASE_CANCEL_OPTIONS)

  async run(): Promise<void> {
    const words = this.parseWords(RELEASE_CANCEL_OPTIONS, `spamdctl ${USAGE}`, { min: 1, max: 1 })
    if (words === undefined) return
    const text = await runReleaseCancel(words.operands[0]!, words.options, {
      dbPath: resolveDbPath(words.options.last('db')),
      nowSec: systemClock.nowSec(),
      actor: actorOf(process.env),
    })
    writeFully(1, Buffer.from(text))
  }
}
