import { BaseCommand, flagsForHelp } from '../src/cli/base-command.js'
import { SPAMDB_OPTIONS } from '../src/cli/spamdb/spamdb-options.js'
import { program } from '../src/programs/spamdb.js'

/** `spamdb`: list, show, add and delete entries. Manual: docs/man/spamdb.8. */
export default class Spamdb extends BaseCommand {
  static override summary = 'list, show, add and delete entries of the greylist database'
  static override description =
    'Without keys it lists every entry, with keys the entries of those keys. The key - reads keys from standard input, one per line. See spamdb(8).'
  static override usage = 'spamdb [-adGTt] [OPTIONS] [keys ...]'
  static override examples = [
    { description: "list everything, in OpenBSD's format", command: 'spamdb' },
    { description: 'whitelist an address permanently', command: 'spamdb -a --expire never 192.0.2.1' },
    { description: 'make an address a spamtrap', command: 'spamdb -a -T trap@example.org' },
    { description: 'trap the addresses in a file', command: 'spamdb -a -t - < addresses.txt' },
    {
      description: 'delete the entries of a sender, after confirmation',
      command: 'spamdb -d --from @bulk.example',
    },
    {
      description: 'list GREY tuples of a network, with dates',
      command: 'spamdb --kind GREY --ip 192.0.2.0/24 --human',
    },
  ]
  static override flags = flagsForHelp(SPAMDB_OPTIONS)

  async run(): Promise<void> {
    process.exitCode = await program(this.argv, () => this.showHelp())
  }
}
