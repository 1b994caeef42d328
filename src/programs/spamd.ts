import { formatFailure } from '../cli/report-error.js'
import { parseSpamdOptions } from '../cli/spamd/parse-spamd-options.js'
import { systemOptionParts } from '../cli/spamd/spamd-option-parts.js'
import { runSpamd } from '../daemon/run-spamd.js'
import { programVersion } from '../platform/program-version.js'
import { writeFully, writeMessage } from '../platform/standard-output.js'
import type { Program } from './program.js'

/** `spamd`: the check, the start in the background, or the privileged process to its end. */
export const program: Program = async (argv, showHelp) => {
  try {
    const parsed = parseSpamdOptions(argv, systemOptionParts())
    if (!parsed.ok) {
      writeMessage(parsed.stderr)
      return 1
    }
    if (parsed.asks === 'help') await showHelp()
    else if (parsed.asks === 'version') writeFully(1, Buffer.from(`spamd (spamdctl) ${programVersion()}\n`))
    else return await runSpamd(parsed.config)
    return 0
  } catch (error) {
    const text = formatFailure('spamd', error)
    if (text === undefined) throw error
    writeMessage(text)
    return 1
  }
}
