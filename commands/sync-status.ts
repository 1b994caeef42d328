import { flagsForHelp } from '../src/cli/base-command.js'
import { renderSyncStatus } from '../src/cli/spamd/render-sync-status.js'
import { STATUS_EXAMPLES, StatusCommand, statusOptions } from '../src/cli/spamd/status-command.js'
import { usageLine } from '../src/cli/usage-line.js'

const OPTIONS = statusOptions('print one JSON object')

/** `spamdctl sync-status`: what the running spamd exchanged with its peers. Manual: docs/man/spamdctl.8. */
export default class SyncStatus extends StatusCommand {
  static override summary = 'show what the running spamd exchanged with other gateways'
  static override usage = usageLine('sync-status', OPTIONS)
  static override examples = STATUS_EXAMPLES
  static override flags = flagsForHelp(OPTIONS)

  async run(): Promise<void> {
    await this.printStatus('sync-status', OPTIONS, (status) => status, renderSyncStatus)
  }
}
