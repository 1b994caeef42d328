import { BaseCommand, flagsForHelp } from '../src/cli/base-command.js'
import { SPAMD_OPTIONS } from '../src/cli/spamd/spamd-options.js'
import { program } from '../src/programs/spamd.js'

/** `spamd`: the daemon that greylists, traps and tarpits. Manual: docs/man/spamd.8. */
export default class Spamd extends BaseCommand {
  static override summary = 'greylist, trap and tarpit senders of spam'
  static override description =
    'Answers SMTP clients that the packet filter redirects here: unknown clients are greylisted, block-listed ones tarpitted.'
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --check',
    '<%= config.bin %> <%= command.id %> -l 192.0.2.1 -l 2001:db8::1 -G 90s:4h:36d --foreground',
  ]
  static override flags = flagsForHelp(SPAMD_OPTIONS)
  protected override readonly program = 'spamd'

  async run(): Promise<void> {
    const exitCode = await program(this.argv, () => this.showHelp())
    // A helper that hangs must not hold up the end.
    process.exit(exitCode)
  }
}
