import { loadHelpClass } from '@oclif/core'
import { BaseCommand, flagsForHelp } from '../src/cli/base-command.js'
import { parseSpamlogdOptions } from '../src/cli/parse-spamlogd-options.js'
import { programVersion } from '../src/cli/program-version.js'
import { SPAMLOGD_OPTIONS } from '../src/cli/spamlogd-options.js'
import { runSpamlogd } from '../src/daemon/run-spamlogd.js'
import { systemMachine } from '../src/daemon/spamlogd-machine.js'
import { openWhiteAnnouncer } from '../src/daemon/white-announcer.js'

/** `spamlogd`: watch the packet filter's log and keep the white list alive. Manual: docs/man/spamlogd.8. */
export default class Spamlogd extends BaseCommand {
  static override summary = "watch the packet filter's log and keep the white list alive"
  static override flags = flagsForHelp(SPAMLOGD_OPTIONS)
  static override examples = [
    '<%= config.bin %> <%= command.id %> -l pflog1',
    '<%= config.bin %> <%= command.id %> -l nflog:25 --foreground',
    '<%= config.bin %> <%= command.id %> -D -r capture.pcap --use-capture-time',
  ]
  protected override readonly program = 'spamlogd'

  async run(): Promise<void> {
    const machine = systemMachine()
    const parsed = parseSpamlogdOptions(this.argv)
    const isReplay = parsed.ok ? parsed.options.replayPath !== undefined : parsed.isReplay
    const asks = parsed.ok ? parsed.asks : undefined
    if (asks === 'version') {
      process.stdout.write(`spamlogd (spamdctl) ${programVersion()}\n`)
    } else if (asks === 'help') {
      const HelpClass = await loadHelpClass(this.config)
      await new HelpClass(this.config).showHelp([this.id ?? 'spamlogd'])
    } else if (!isReplay && !machine.mayCapture()) {
      process.stderr.write('spamlogd: need root privileges\n')
      process.exitCode = 1
    } else if (!parsed.ok) {
      process.stderr.write(parsed.stderr)
      process.exitCode = 1
    } else {
      // An ended capture may still hold the event loop (see live-capture.ts), so the end is explicit.
      const exitCode = await runSpamlogd(parsed.options, {
        machine,
        openAnnouncer: (options, logger) => openWhiteAnnouncer(options, logger, machine),
      })
      process.exit(exitCode)
    }
  }
}
