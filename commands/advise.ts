import { BaseCommand, flagsForHelp } from '../src/cli/base-command.js'
import { ADVISE_OPTIONS, runAdvise } from '../src/cli/operations/stats-commands.js'
import { liveStatsParts } from '../src/cli/operations/stats-parts.js'
import { usageLine } from '../src/cli/usage-line.js'
import { writeFully } from '../src/platform/standard-output.js'

const USAGE = usageLine('advise', ADVISE_OPTIONS)

/** `spamdctl advise`: recommend a passtime from the retries that were seen here. Manual: docs/man/spamdctl.8. */
export default class Advise extends BaseCommand {
  static override summary = 'recommend a passtime from the retries seen on this gateway'
  static override usage = USAGE
  static override examples = [
    { description: 'check whether the passtime suits this site', command: 'spamdctl advise' },
  ]
  static override flags = flagsForHelp(ADVISE_OPTIONS)

  async run(): Promise<void> {
    const words = this.parseWords(ADVISE_OPTIONS, `spamdctl ${USAGE}`)
    if (words === undefined) return
    const text = await runAdvise(words.options, await liveStatsParts(words.options))
    writeFully(1, Buffer.from(text))
  }
}
