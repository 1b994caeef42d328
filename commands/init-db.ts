import { BaseCommand, flagsForHelp } from '../src/cli/base-command.js'
import { INIT_DB_OPTIONS, runInitDb } from '../src/cli/database/database-commands.js'
import { systemSpamdbParts } from '../src/cli/spamdb/spamdb-parts.js'
import { usageLine } from '../src/cli/usage-line.js'

const USAGE = usageLine('init-db', INIT_DB_OPTIONS)

/** `spamdctl init-db`: create the database. Manual: docs/man/spamdctl.8. */
export default class InitDb extends BaseCommand {
  static override summary = 'create an empty database'
  static override description =
    'An existing database is left unchanged; one of version 0.1.0 in /var/db is taken over. spamd creates its database too; spamdb never does.'
  static override usage = USAGE
  static override examples = [
    { description: 'create the database in its default place', command: 'spamdctl init-db' },
    {
      description: 'create one that every user may read, as with the original',
      command: 'spamdctl init-db --mode 0644',
    },
    { description: 'create one elsewhere', command: 'spamdctl init-db --db /tmp/test.sqlite' },
    {
      description: 'create the tables on a PostgreSQL server that several gateways share',
      command: 'spamdctl init-db --db postgres://owner@db.example.org/spamd',
    },
  ]
  static override flags = flagsForHelp(INIT_DB_OPTIONS)

  async run(): Promise<void> {
    const words = this.parseWords(INIT_DB_OPTIONS, `spamdctl ${USAGE}`)
    if (words === undefined) return
    const parts = systemSpamdbParts(async () => await this.config.runCommand('help', ['init-db']))
    process.exitCode = await runInitDb(words.options, parts)
  }
}
