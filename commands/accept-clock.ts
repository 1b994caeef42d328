import { flagsForHelp } from '../src/cli/base-command.js'
import { STATUS_EXAMPLES, StatusCommand, statusOptions } from '../src/cli/spamd/status-command.js'
import { usageLine } from '../src/cli/usage-line.js'

const OPTIONS = statusOptions('print one JSON object')

/** `spamdctl accept-clock`: tells the running spamd that its clock is right. Manual: docs/man/spamdctl.8. */
export default class AcceptClock extends StatusCommand {
  static override summary = 'accept the system clock and let entries expire again'
  static override usage = usageLine('accept-clock', OPTIONS)
  static override examples = STATUS_EXAMPLES
  static override flags = flagsForHelp(OPTIONS)

  async run(): Promise<void> {
    const render = ({ wasDoubted }: { wasDoubted: boolean }): string =>
      wasDoubted ? 'clock accepted, scan started\n' : 'the clock was not in doubt\n'
    await this.printStatus('accept-clock', OPTIONS, (answer) => answer, render)
  }
}
