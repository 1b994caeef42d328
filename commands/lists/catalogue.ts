import { formatCatalogue } from '../../src/app/lists/list-catalogue.js'
import { BaseCommand } from '../../src/cli/base-command.js'
import { writeFully } from '../../src/platform/standard-output.js'

/** `spamdctl lists catalogue`: ready records for spamd.conf. Manual: docs/man/spamdctl.8. */
export default class ListsCatalogue extends BaseCommand {
  static override summary =
    'print ready spamd.conf records of living public lists, with format, pace and terms'
  static override usage = 'lists catalogue'
  static override examples = [
    { description: 'choose from the records', command: 'spamdctl lists catalogue | less' },
  ]

  async run(): Promise<void> {
    if (this.parseWords([], 'spamdctl lists catalogue') === undefined) return
    writeFully(1, Buffer.from(formatCatalogue()))
  }
}
