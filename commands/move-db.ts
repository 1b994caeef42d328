import { BaseCommand, flagsForHelp } from '../src/cli/base-command.js'
import { MOVE_DB_OPTIONS, runMoveDb } from '../src/cli/database/server-commands.js'
import { systemSpamdbParts } from '../src/cli/spamdb/spamdb-parts.js'
import { usageLine } from '../src/cli/usage-line.js'

const USAGE = usageLine('move-db', MOVE_DB_OPTIONS, 'FROM TO')

/** `spamdctl move-db`: move a database between a file and a server. Manual: docs/man/spamdctl.8. */
export default class MoveDb extends BaseCommand {
  static override summary = 'move a database between a file and a server'
  static override description =
    'FROM and TO are paths or postgres:// locations; TO must be empty. Entries are copied with their stamps and verified afterwards by count and digest. FROM is not changed. Stop the daemons that use FROM first: what they change during the move is not copied.'
  static override usage = USAGE
  static override examples = [
    {
      description: 'move the file of one gateway to a server that several share',
      command: 'spamdctl move-db /var/lib/spamd/spamd.sqlite postgres://owner@db.example.org/spamd',
    },
    {
      description: 'move back to a file',
      command: 'spamdctl move-db postgres://owner@db.example.org/spamd /var/lib/spamd/back.sqlite',
    },
  ]
  static override flags = flagsForHelp(MOVE_DB_OPTIONS)

  async run(): Promise<void> {
    const words = this.parseWords(MOVE_DB_OPTIONS, `spamdctl ${USAGE}`, { min: 2, max: 2 })
    if (words === undefined) return
    const [from = '', to = ''] = words.operands
    const parts = systemSpamdbParts(async () => await this.config.runCommand('help', ['move-db']))
    process.exitCode = await runMoveDb(from, to, words.options, parts)
  }
}
