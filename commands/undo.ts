import { BaseCommand, flagsForHelp } from '../src/cli/base-command.js'
import { liveHistoryParts, runUndo, UNDO_OPTIONS } from '../src/cli/operations/history-commands.js'
import { usageLine } from '../src/cli/usage-line.js'

const USAGE = usageLine('undo', UNDO_OPTIONS, '[ID|last]')

/** `spamdctl undo`: undo a manual change or an import. Manual: docs/man/spamdctl.8. */
export default class Undo extends BaseCommand {
  static override summary = 'undo a manual change or an import'
  static override usage = USAGE
  static override examples = [
    { description: 'show what would be undone', command: 'spamdctl undo --dry-run' },
    { description: 'undo event 12', command: 'spamdctl undo 12' },
  ]
  static override flags = flagsForHelp(UNDO_OPTIONS)

  async run(): Promise<void> {
    const words = this.parseWords(UNDO_OPTIONS, `spamdctl ${USAGE}`, { min: 0, max: 1 })
    if (words === undefined) return
    process.exitCode = await runUndo(words.operands, words.options, liveHistoryParts(words.options))
  }
}
