import { flagsForHelp } from '../src/cli/base-command.js'
import { renderConnections } from '../src/cli/spamd/render-connections.js'
import { STATUS_EXAMPLES, StatusCommand, statusOptions } from '../src/cli/spamd/status-command.js'
import { usageLine } from '../src/cli/usage-line.js'

const OPTIONS = statusOptions('print one JSON array')

/** `spamdctl connections`: the live connections of the running spamd. Manual: docs/man/spamdctl.8. */
export default class Connections extends StatusCommand {
  static override summary = 'list the live connections of the running spamd'
  static override usage = usageLine('connections', OPTIONS)
  static override examples = STATUS_EXAMPLES
  static override flags = flagsForHelp(OPTIONS)

  async run(): Promise<void> {
    await this.printStatus('connections', OPTIONS, ({ connections }) => connections, renderConnections)
  }
}
