import { flagsForHelp } from '../src/cli/base-command.js'
import { renderScan } from '../src/cli/spamd/render-scan.js'
import { STATUS_EXAMPLES, StatusCommand, statusOptions } from '../src/cli/spamd/status-command.js'
import { usageLine } from '../src/cli/usage-line.js'

const OPTIONS = statusOptions('print the report as one JSON object')

/** `spamdctl scan`: scan the database now. Manual: docs/man/spamdctl.8. */
export default class Scan extends StatusCommand {
  static override summary = 'make the running spamd scan its database now'
  static override description =
    "Removes expired entries, promotes those that have passed, and updates the packet filter's table. SIGHUP does the same. Waits until the scan ends."
  static override usage = usageLine('scan', OPTIONS)
  static override examples = STATUS_EXAMPLES
  static override flags = flagsForHelp(OPTIONS)

  async run(): Promise<void> {
    const report = await this.printStatus('scan', OPTIONS, (answer) => answer, renderScan)
    // A scan that could not be finished has changed no table; the log says why.
    if (report?.isComplete === false) process.exitCode = 1
  }
}
