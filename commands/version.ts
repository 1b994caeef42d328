import { BaseCommand } from '../src/cli/base-command.js'
import { usageLine } from '../src/cli/usage-line.js'
import { programVersion } from '../src/platform/program-version.js'
import { writeFully } from '../src/platform/standard-output.js'

/** `spamdctl version`. Manual: docs/man/spamdctl.8. */
export default class Version extends BaseCommand {
  static override summary = 'show the version'
  static override usage = usageLine('version', [])
  static override examples = [{ description: 'show the version', command: 'spamdctl version' }]

  async run(): Promise<void> {
    if (this.parseWords([], `spamdctl ${Version.usage}`) === undefined) return
    writeFully(1, Buffer.from(`spamdctl ${programVersion()}\n`))
  }
}
