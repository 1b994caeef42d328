import { runAllowRemove } from '../../src/cli/allow/allow-commands.js'
import { ALLOW_REMOVE_OPTIONS } from '../../src/cli/allow/allow-options.js'
import { withAllowParts } from '../../src/cli/allow/allow-process.js'
import { BaseCommand, flagsForHelp } from '../../src/cli/base-command.js'
import { usageLine } from '../../src/cli/usage-line.js'

const USAGE = usageLine('allow remove', ALLOW_REMOVE_OPTIONS, 'DOMAIN|CIDR ...')

/** `spamdctl allow remove`: remove exceptions. Manual: docs/man/spamdctl.8. */
export default class AllowRemove extends BaseCommand {
  static override summary = 'remove exceptions'
  static override usage = USAGE
  static override examples = [
    { description: 'greylist it again', command: 'spamdctl allow remove example.org' },
  ]
  static override flags = flagsForHelp(ALLOW_REMOVE_OPTIONS)

  async run(): Promise<void> {
    const words = this.parseWords(ALLOW_REMOVE_OPTIONS, `spamdctl ${USAGE}`, {
      min: 1,
      max: Number.POSITIVE_INFINITY,
    })
    if (words === undefined) return
    await withAllowParts(words.options, (parts) => runAllowRemove(words.operands, words.options, parts))
  }
}
