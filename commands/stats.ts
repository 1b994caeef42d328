import { BaseCommand, flagsForHelp } from '../src/cli/base-command.js'
import { runStats, STATS_OPTIONS } from '../src/cli/operations/stats-commands.js'
import { liveStatsParts } from '../src/cli/operations/stats-parts.js'
import { usageLine } from '../src/cli/usage-line.js'
import { writeFully } from '../src/platform/standard-output.js'

const USAGE = usageLine('stats', STATS_OPTIONS)

/** `spamdctl stats`: show what was greylisted, passed, lost and trapped, by hour or day. Manual: docs/man/spamdctl.8. */
export default class Stats extends BaseCommand {
  static override summary = 'show what was greylisted, passed, lost and trapped, by hour or day'
  static override usage = USAGE
  static override examples = [
    { description: 'show the last month by day', command: 'spamdctl stats --by day' },
  ]
  static override flags = flagsForHelp(STATS_OPTIONS)

  async run(): Promise<void> {
    const words = this.parseWords(STATS_OPTIONS, `spamdctl ${USAGE}`)
    if (words === undefined) return
    const text = await runStats(words.options, await liveStatsParts(words.options))
    writeFully(1, Buffer.from(text))
  }
}
