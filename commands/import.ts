import { BaseCommand, flagsForHelp } from '../src/cli/base-command.js'
import { IMPORT_OPTIONS, runImport } from '../src/cli/database/database-commands.js'
import { systemSpamdbParts } from '../src/cli/spamdb/spamdb-parts.js'
import { usageLine } from '../src/cli/usage-line.js'

const USAGE = usageLine('import', IMPORT_OPTIONS, '[FILE]')

/** `spamdctl import`: read entries into the database. Manual: docs/man/spamdctl.8. */
export default class Import extends BaseCommand {
  static override summary = "read entries from text or from the file of OpenBSD's spamd"
  static override description =
    'FILE is the output of spamdb (also gzipped, also of OpenBSD), a file /var/db/spamd of OpenBSD, the database or text of greyd, db_dump text of postgrey, the dump of milter-greylist, or with --kind a plain list of addresses; without FILE, or if it is -, standard input is read. Valid entries are imported even if others are not; the exit code is then 1.'
  static override usage = USAGE
  static override examples = [
    { description: 'import the database of another host', command: 'ssh old spamdb | spamdctl import -' },
    { description: "read the file of OpenBSD's spamd", command: 'spamdctl import /var/db/spamd' },
    {
      description: 'whitelist a list of addresses permanently',
      command: 'spamdctl import --kind WHITE --expire never friends.txt',
    },
  ]
  static override flags = flagsForHelp(IMPORT_OPTIONS)

  async run(): Promise<void> {
    const words = this.parseWords(IMPORT_OPTIONS, `spamdctl ${USAGE}`, { min: 0, max: 1 })
    if (words === undefined) return
    const parts = systemSpamdbParts(async () => await this.config.runCommand('help', ['import']))
    process.exitCode = await runImport(words.operands[0] ?? '-', words.options, parts)
  }
}
