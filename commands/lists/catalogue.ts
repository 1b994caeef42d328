import { formatCatalogue } from '../../src/app/lists/list-catalogue.js'
import { BaseCommand } from '../../src/cli/base-command.js'
import { usageLine } from '../../src/cli/usage-line.js'
import { writeFully } from '../../src/platform/standard-output.js'

/** `spamdctl lists catalogue`: records for spamd.conf. Manual: docs/man/spamdctl.8. */
export default class ListsCatalogue extends BaseCommand {
  static override summary =
    'print spamd.conf records for maintained public lists, with format, fetch interval and terms'
  static override usage = usageLine('lists catalogue', [])
  static override examples = [
    { description: 'browse the records', command: 'spamdctl lists catalogue | less' },
  ]

  async run(): Promise<void> {
    if (this.parseWords([], `spamdctl ${ListsCatalogue.usage}`) === undefined) return
    writeFully(1, Buffer.from(formatCatalogue()))
  }
}
