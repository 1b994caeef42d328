import { explainWhy, parseWhySubject } from '../src/app/why/explain.js'
import { BaseCommand, flagsForHelp } from '../src/cli/base-command.js'
import type { OptionSpec } from '../src/cli/getopt.js'
import { PLACE_OPTIONS, settingsOf } from '../src/cli/operations/operation-options.js'
import { renderWhy, whyJson } from '../src/cli/operations/render-why.js'
import { standardTerminal } from '../src/cli/operations/terminal.js'
import { usageLine } from '../src/cli/usage-line.js'
import { writeFully } from '../src/platform/standard-output.js'
import { LiveSystem } from '../src/platform/system-probe.js'

const OPTIONS: readonly OptionSpec[] = [{ long: 'json', summary: 'print one JSON object' }, ...PLACE_OPTIONS]
const USAGE = usageLine('why', OPTIONS, 'ADDRESS|EMAIL|DOMAIN')

/** `spamdctl why`: explain how a host, a mail address or a domain is treated. Manual: docs/man/spamdctl.8. */
export default class Why extends BaseCommand {
  static override summary = 'explain how a host, address or domain is treated, and what changes it'
  static override usage = USAGE
  static override examples = [
    { description: 'explain why a host is refused', command: 'spamdctl why 192.0.2.1' },
    {
      description: 'show whether an address is a spamtrap, and what is waiting for it',
      command: 'spamdctl why user@example.org',
    },
  ]
  static override flags = flagsForHelp(OPTIONS)

  async run(): Promise<void> {
    const words = this.parseWords(OPTIONS, `spamdctl ${USAGE}`, { min: 1, max: 1 })
    if (words === undefined) return
    const subject = parseWhySubject(words.operands[0]!)
    const report = await explainWhy(new LiveSystem(), settingsOf(words.options), subject)
    const text = words.options.has('json') ? whyJson(report) : renderWhy(report, standardTerminal())
    writeFully(1, Buffer.from(text))
  }
}
