import { BaseCommand, flagsForHelp } from '../src/cli/base-command.js'
import { DATABASE_OPTIONS, runBackup } from '../src/cli/database/database-commands.js'
import { systemSpamdbParts } from '../src/cli/spamdb/spamdb-parts.js'
import { usageLine } from '../src/cli/usage-line.js'

const USAGE = usageLine('backup', DATABASE_OPTIONS, 'FILE')

/** `spamdctl backup`: copy the live database. Manual: docs/man/spamdctl.8. */
export default class Backup extends BaseCommand {
  static override summary = 'copy the live database to a file'
  static override description =
    'The copy is a consistent snapshot, even while daemons write. An earlier backup under that name is replaced, any other file is refused.'
  static override usage = USAGE
  static override examples = [
    {
      description: 'make one backup per day',
      command: 'spamdctl backup /var/backups/spamd-$(date +%F).sqlite',
    },
  ]
  static override flags = flagsForHelp(DATABASE_OPTIONS)

  async run(): Promise<void> {
    const words = this.parseWords(DATABASE_OPTIONS, `spamdctl ${USAGE}`, { min: 1, max: 1 })
    if (words === undefined) return
    const parts = systemSpamdbParts(async () => await this.config.runCommand('help', ['backup']))
    process.exitCode = await runBackup(words.operands[0]!, words.options, parts)
  }
}
