import { BaseCommand, flagsForHelp } from '../src/cli/base-command.js'
import { DATABASE_OPTIONS, runCheckDb } from '../src/cli/database/database-commands.js'
import { systemSpamdbParts } from '../src/cli/spamdb/spamdb-parts.js'
import { usageLine } from '../src/cli/usage-line.js'

const USAGE = usageLine('check-db', DATABASE_OPTIONS)

/** `spamdctl check-db`: check the database. Manual: docs/man/spamdctl.8. */
export default class CheckDb extends BaseCommand {
  static override summary = 'check the integrity of the database and count its entries'
  static override description = 'Exit code 0: sound; 1: damaged or not readable.'
  static override usage = USAGE
  static override examples = [
    { description: 'check the database', command: 'spamdctl check-db' },
    { description: 'check a backup', command: 'spamdctl check-db --db /var/backups/spamd.sqlite' },
  ]
  static override flags = flagsForHelp(DATABASE_OPTIONS)

  async run(): Promise<void> {
    const words = this.parseWords(DATABASE_OPTIONS, `spamdctl ${USAGE}`)
    if (words === undefined) return
    const parts = systemSpamdbParts(async () => await this.config.runCommand('help', ['check-db']))
    process.exitCode = await runCheckDb(words.options, parts)
  }
}
