import { formatAllowCatalogue } from '../../src/app/allow/allow-catalogue.js'
import { BaseCommand } from '../../src/cli/base-command.js'
import { usageLine } from '../../src/cli/usage-line.js'
import { writeFully } from '../../src/platform/standard-output.js'

/** `spamdctl allow catalogue`: large senders known to retry from pools. Manual: docs/man/spamdctl.8. */
export default class AllowCatalogue extends BaseCommand {
  static override summary = 'print allow commands for large senders that retry from pools of addresses'
  static override usage = usageLine('allow catalogue', [])
  static override examples = [
    { description: 'browse the commands', command: 'spamdctl allow catalogue | less' },
  ]

  async run(): Promise<void> {
    if (this.parseWords([], `spamdctl ${AllowCatalogue.usage}`) === undefined) return
    writeFully(1, Buffer.from(formatAllowCatalogue()))
  }
}
