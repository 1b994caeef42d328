import { askDaemon } from '../src/app/ask-daemon.js'
import { BaseCommand, flagsForHelp } from '../src/cli/base-command.js'
import type { OptionSpec } from '../src/cli/getopt.js'
import { renderSyncStatus, type SyncStatusAnswer } from '../src/cli/render-sync-status.js'
import { resolveSettings } from '../src/platform/settings.js'

const OPTIONS: readonly OptionSpec[] = [
  { long: 'config-socket', value: 'PATH', summary: 'Unix socket of spamd in place of SPAMD_CONTROL_SOCKET' },
  { long: 'json', summary: 'one JSON object' },
  { long: 'help', summary: 'show this help' },
]

/** `spamdctl sync-status`: what the running spamd exchanged with its peers. Manual: docs/man/spamdctl.8. */
export default class SyncStatus extends BaseCommand {
  static override summary = 'show what the running spamd exchanged with other gateways'
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --json',
  ]
  static override flags = flagsForHelp(OPTIONS)

  async run(): Promise<void> {
    const words = this.parseWords(OPTIONS, 'spamdctl sync-status [--config-socket PATH] [--json]')
    if (words === undefined) return
    const { controlSocket } = resolveSettings({ controlSocket: words.options.last('config-socket') })
    const status = (await askDaemon(controlSocket, 'sync-status')) as SyncStatusAnswer
    process.stdout.write(words.options.has('json') ? `${JSON.stringify(status)}\n` : renderSyncStatus(status))
  }
}
