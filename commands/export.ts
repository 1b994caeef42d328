import { BaseCommand, flagsForHelp } from '../src/cli/base-command.js'
import { EXPORT_OPTIONS, runExport } from '../src/cli/database/database-commands.js'
import { systemSpamdbParts } from '../src/cli/spamdb/spamdb-parts.js'
import { usageLine } from '../src/cli/usage-line.js'

const USAGE = usageLine('export', EXPORT_OPTIONS)

/** `spamdctl export`: print entries as text that import can read. Manual: docs/man/spamdctl.8. */
export default class Export extends BaseCommand {
  static override summary = 'print the database as text that import can read'
  static override description =
    "Lines have spamdb's format; the comment of an entry follows it as a line that begins with #comment. If the database is damaged, everything readable is printed."
  static override usage = USAGE
  static override examples = [
    { description: 'keep a text copy', command: 'spamdctl export | gzip > spamd.txt.gz' },
    { description: 'export only the spamtraps', command: 'spamdctl export --kind SPAMTRAP' },
  ]
  static override flags = flagsForHelp(EXPORT_OPTIONS)

  async run(): Promise<void> {
    const words = this.parseWords(EXPORT_OPTIONS, `spamdctl ${USAGE}`)
    if (words === undefined) return
    const parts = systemSpamdbParts(async () => await this.config.runCommand('help', ['export']))
    process.exitCode = await runExport(words.options, parts)
  }
}
