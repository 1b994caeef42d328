import { BaseCommand, flagsForHelp } from '../src/cli/base-command.js'
import { LOG_OPTIONS, liveHistoryParts, runLog } from '../src/cli/operations/history-commands.js'
import { usageLine } from '../src/cli/usage-line.js'

const USAGE = usageLine('log', LOG_OPTIONS)

/** `spamdctl log`: show who changed which entry, when and why. Manual: docs/man/spamdctl.8. */
export default class Log extends BaseCommand {
  static override summary = 'show who changed which entry, when and why'
  static override usage = USAGE
  static override examples = [
    {
      description: 'show what people changed today',
      command: 'spamdctl log --since 1d --cause manual,import,undo',
    },
    { description: 'show the history of a host', command: 'spamdctl log --ip 192.0.2.1' },
    { description: 'record no senders or recipients', command: 'spamdctl log --history hosts' },
  ]
  static override flags = flagsForHelp(LOG_OPTIONS)

  async run(): Promise<void> {
    const words = this.parseWords(LOG_OPTIONS, `spamdctl ${USAGE}`, { min: 0, max: 0 })
    if (words === undefined) return
    process.exitCode = await runLog(words.options, liveHistoryParts(words.options))
  }
}
