import { askDaemon } from '../src/app/ask-daemon.js'
import { BaseCommand, flagsForHelp } from '../src/cli/base-command.js'
import type { OptionSpec } from '../src/cli/getopt.js'
import { type ConnectionRow, renderConnections } from '../src/cli/render-connections.js'
import { resolveSettings } from '../src/platform/settings.js'

const OPTIONS: readonly OptionSpec[] = [
  { long: 'config-socket', value: 'PATH', summary: 'Unix socket of spamd in place of SPAMD_CONTROL_SOCKET' },
  { long: 'json', summary: 'one JSON array' },
  { long: 'help', summary: 'show this help' },
]

/** `spamdctl connections`: the live connections of the running spamd. Manual: docs/man/spamdctl.8. */
export default class Connections extends BaseCommand {
  static override summary = 'list the live connections of the running spamd'
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --json',
  ]
  static override flags = flagsForHelp(OPTIONS)

  async run(): Promise<void> {
    const words = this.parseWords(OPTIONS, 'spamdctl connections [--config-socket PATH] [--json]')
    if (words === undefined) return
    const { controlSocket } = resolveSettings({ controlSocket: words.options.last('config-socket') })
    const { connections } = (await askDaemon(controlSocket, 'connections')) as {
      connections: ConnectionRow[]
    }
    process.stdout.write(
      words.options.has('json') ? `${JSON.stringify(connections)}\n` : renderConnections(connections),
    )
  }
}
