import { runAllowSync } from '../../src/cli/allow/allow-commands.js'
import { ALLOW_SYNC_OPTIONS } from '../../src/cli/allow/allow-options.js'
import { withAllowParts } from '../../src/cli/allow/allow-process.js'
import { BaseCommand, flagsForHelp } from '../../src/cli/base-command.js'
import { usageLine } from '../../src/cli/usage-line.js'

const USAGE = usageLine('allow sync', ALLOW_SYNC_OPTIONS)

/** `spamdctl allow sync`: look all domains up again and fill the table. Manual: docs/man/spamdctl.8. */
export default class AllowSync extends BaseCommand {
  static override summary = 'look up all allowed domains again and replace the table spamd-allow'
  static override usage = USAGE
  static override examples = [
    { description: 'show what would change', command: 'spamdctl allow sync --dry-run' },
    { description: 'fill the table after a reboot, without DNS', command: 'spamdctl allow sync --offline' },
  ]
  static override flags = flagsForHelp(ALLOW_SYNC_OPTIONS)

  async run(): Promise<void> {
    const words = this.parseWords(ALLOW_SYNC_OPTIONS, `spamdctl ${USAGE}`)
    if (words === undefined) return
    await withAllowParts(words.options, (parts) => runAllowSync(words.options, parts))
  }
}
