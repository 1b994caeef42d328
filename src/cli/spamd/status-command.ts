/** Shared by the commands that query the running spamd and print its answer. */
import { askDaemon } from '../../app/ask-daemon.js'
import type { AnswerTo, ControlRequest } from '../../app/control-protocol.js'
import { resolveSettings } from '../../platform/settings.js'
import { writeFully } from '../../platform/standard-output.js'
import { BaseCommand } from '../base-command.js'
import type { OptionSpec } from '../getopt.js'
import { usageLine } from '../usage-line.js'

export const STATUS_EXAMPLES = [
  '<%= config.bin %> <%= command.id %>',
  '<%= config.bin %> <%= command.id %> --json',
]

/** The options of such a command; `jsonSummary` describes the output of --json. */
export function statusOptions(jsonSummary: string): readonly OptionSpec[] {
  return [
    {
      long: 'config-socket',
      value: 'PATH',
      summary: 'Unix socket of spamd instead of SPAMD_CONTROL_SOCKET',
    },
    { long: 'json', summary: jsonSummary },
    { long: 'help', summary: 'show this help' },
  ]
}

/** Requests without fields. */
type PlainRequest = Exclude<ControlRequest, 'lookup'>

export abstract class StatusCommand extends BaseCommand {
  /**
   * Sends the request, which has the command's name; prints `select` of its answer as JSON or by `render`.
   * Resolves with the answer, or undefined for wrong usage.
   */
  protected async printStatus<Request extends PlainRequest, Shown>(
    request: Request,
    options: readonly OptionSpec[],
    select: (answer: AnswerTo<Request>) => Shown,
    render: (shown: Shown) => string,
  ): Promise<AnswerTo<Request> | undefined> {
    const words = this.parseWords(options, `spamdctl ${usageLine(request, options)}`)
    if (words === undefined) return undefined
    const { controlSocket } = resolveSettings({ controlSocket: words.options.last('config-socket') })
    const answer = await askDaemon(controlSocket, request)
    const shown = select(answer)
    const text = words.options.has('json') ? `${JSON.stringify(shown)}\n` : render(shown)
    writeFully(1, Buffer.from(text))
    return answer
  }
}
