/** What the commands share that ask the running spamd and print its answer. */
import { askDaemon } from '../../app/ask-daemon.js'
import { resolveSettings } from '../../platform/settings.js'
import { writeFully } from '../../platform/standard-output.js'
import { BaseCommand } from '../base-command.js'
import type { OptionSpec } from '../getopt.js'

export const STATUS_EXAMPLES = [
  '<%= config.bin %> <%= command.id %>',
  '<%= config.bin %> <%= command.id %> --json',
]

/** The options of such a command; `jsonSummary` says what --json prints. */
export function statusOptions(jsonSummary: string): readonly OptionSpec[] {
  return [
    {
      long: 'config-socket',
      value: 'PATH',
      summary: 'Unix socket of spamd in place of SPAMD_CONTROL_SOCKET',
    },
    { long: 'json', summary: jsonSummary },
    { long: 'help', summary: 'show this help' },
  ]
}

export abstract class StatusCommand extends BaseCommand {
  /** What was printed last. */
  protected lastAnswer: unknown
  /** Sends the request, which has the command's name; prints `select` of its result as JSON or by `render`. */
  protected async printStatus<Result, Shown>(
    request: string,
    options: readonly OptionSpec[],
    select: (result: Result) => Shown,
    render: (shown: Shown) => string,
  ): Promise<void> {
    const words = this.parseWords(options, `spamdctl ${request} [--config-socket PATH] [--json]`)
    if (words === undefined) return
    const { controlSocket } = resolveSettings({ controlSocket: words.options.last('config-socket') })
    const shown = select((await askDaemon(controlSocket, request)) as Result)
    this.lastAnswer = shown
    const text = words.options.has('json') ? `${JSON.stringify(shown)}\n` : render(shown)
    writeFully(1, Buffer.from(text))
  }
}
