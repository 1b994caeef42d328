import { createInterface } from 'node:readline/promises'
import { BaseCommand, flagsForHelp } from '../src/cli/base-command.js'
import { INIT_OPTIONS } from '../src/cli/init/init-options.js'
import { runInit } from '../src/cli/init/run-init-program.js'
import { EXIT } from '../src/cli/report-error.js'
import { usageLine } from '../src/cli/usage-line.js'
import { findDefaultInterface } from '../src/platform/default-interface.js'
import { findLocalAddress } from '../src/platform/local-address.js'

const USAGE = usageLine('init', INIT_OPTIONS)

/** `spamdctl init`: from installed programs to a running gateway. Manual: docs/man/spamdctl.8. */
export default class Init extends BaseCommand {
  static override summary = 'set up this gateway: settings, rules, services'
  static override description =
    'Detects the system, asks at most six questions, shows every file as a diff, and writes files and runs commands only after confirmation. A file with other contents is never overwritten: the new text goes to FILE.new. It can be run again.'
  static override usage = USAGE
  static override examples = [
    { description: 'ask, show the changes, and apply them after confirmation', command: 'spamdctl init' },
    { description: 'show what would be done', command: 'spamdctl init --outside eth0 --dry-run' },
    {
      description: 'unattended, for a mail server behind this gateway',
      command: 'spamdctl init --outside eth0 --mail-server 10.0.0.25 --yes',
    },
  ]
  static override flags = flagsForHelp(INIT_OPTIONS)

  async run(): Promise<void> {
    const words = this.parseWords(INIT_OPTIONS, `spamdctl ${USAGE}`)
    if (words === undefined) return
    const lines = process.stdin.isTTY
      ? createInterface({ input: process.stdin, output: process.stderr })
      : undefined
    try {
      const end = await runInit(words.options, {
        write: (text) => process.stdout.write(text),
        writeError: (text) => process.stderr.write(text),
        ask: lines === undefined ? undefined : async (question) => (await lines.question(question)).trim(),
        findDefaultInterface,
        findLocalAddress,
      })
      if (end === 'declined' || end === 'failed') process.exitCode = EXIT.failure
      // The verdict: what init could not do or fix.
      if (end === 'ready' || end === 'failed') await this.config.runCommand('doctor')
    } finally {
      lines?.close()
    }
  }
}
