import { runAllowAdd } from '../../src/cli/allow/allow-commands.js'
import { ALLOW_ADD_OPTIONS } from '../../src/cli/allow/allow-options.js'
import { withAllowParts } from '../../src/cli/allow/allow-process.js'
import { BaseCommand, flagsForHelp } from '../../src/cli/base-command.js'
import { usageLine } from '../../src/cli/usage-line.js'

const USAGE = usageLine('allow add', ALLOW_ADD_OPTIONS, 'DOMAIN|CIDR')

/**
 * `spamdctl allow add`: let a sender, by its SPF record, or a network bypass spamd. Manual:
 * docs/man/spamdctl.8.
 */
export default class AllowAdd extends BaseCommand {
  static override summary = "let a network, or the servers in a domain's SPF record, bypass spamd"
  static override usage = USAGE
  static override examples = [
    {
      description: 'a large sender that retries from many addresses',
      command: 'spamdctl allow add example.org',
    },
    {
      description: 'a network, for three months',
      command: "spamdctl allow add --expire 90d --comment 'moving, asked for by Anna' 192.0.2.0/24",
    },
  ]
  static override flags = flagsForHelp(ALLOW_ADD_OPTIONS)

  async run(): Promise<void> {
    const words = this.parseWords(ALLOW_ADD_OPTIONS, `spamdctl ${USAGE}`, { min: 1, max: 1 })
    if (words === undefined) return
    await withAllowParts(words.options, (parts) => runAllowAdd(words.operands[0]!, words.options, parts))
  }
}
