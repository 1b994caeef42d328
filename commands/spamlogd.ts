import { BaseCommand, flagsForHelp } from '../src/cli/base-command.js'
import { SPAMLOGD_OPTIONS } from '../src/cli/spamlogd/spamlogd-options.js'
import { program } from '../src/programs/spamlogd.js'

/**
 * `spamlogd`: watch the packet filter's log and keep the white list up to date. Manual: docs/man/spamlogd.8.
 */
export default class Spamlogd extends BaseCommand {
  static override summary = "watch the packet filter's log and keep the white list up to date"
  static override flags = flagsForHelp(SPAMLOGD_OPTIONS)
  static override examples = [
    '<%= config.bin %> <%= command.id %> -l pflog1',
    '<%= config.bin %> <%= command.id %> -l nflog:25 --foreground',
    '<%= config.bin %> <%= command.id %> -D -r capture.pcap --use-capture-time',
  ]
  protected override readonly program = 'spamlogd'

  async run(): Promise<void> {
    const exitCode = await program(this.argv, () => this.showHelp())
    // An ended capture may still hold the event loop (see live-capture.ts), so the end is explicit.
    process.exit(exitCode)
  }
}
