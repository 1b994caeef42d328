import { BaseCommand, flagsForHelp } from '../src/cli/base-command.js'
import { SETUP_OPTIONS } from '../src/cli/setup/setup-options.js'
import { program } from '../src/programs/spamd-setup.js'

/** `spamd-setup`: fetch the block lists of spamd.conf and load them. Manual: docs/man/spamd-setup.8. */
export default class Setup extends BaseCommand {
  static override summary = 'fetch the block lists of spamd.conf and load them into spamd and the firewall'
  static override description =
    'If a list fails, its last good copy is kept, the other lists are processed, and the exit code is 1. See spamd-setup(8) and spamd.conf(5).'
  static override usage = 'setup [-bDdn] [OPTIONS]'
  static override examples = [
    { description: 'fetch all lists and load the firewall table too', command: 'spamd-setup -b' },
    { description: 'show what would change', command: 'spamd-setup -n -d -b' },
    { description: 'load the last good copies after a restart', command: 'spamd-setup --offline' },
    {
      description: 'write the blocked networks to a file',
      command: 'spamd-setup -n --output /tmp/blocked.txt',
    },
  ]
  static override flags = flagsForHelp(SETUP_OPTIONS)

  async run(): Promise<void> {
    process.exitCode = await program(this.argv, () => this.showHelp())
  }
}
