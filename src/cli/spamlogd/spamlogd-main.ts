import type { SpamlogdOptions } from '../../app/spamlogd-options.js'
import { programVersion } from '../../platform/program-version.js'
import { formatFailure } from '../report-error.js'
import { parseSpamlogdOptions } from './parse-spamlogd-options.js'

/** What `spamlogd` needs from its process. */
export interface SpamlogdCallParts {
  writeOut(text: string): void
  writeError(text: string): void
  /** Prints the help; loads oclif only then. */
  showHelp(): Promise<void>
  /** Root, or a capability instead. */
  mayCapture(): boolean
  /** Runs the daemon to its end; loaded only when the usage is correct. */
  run(options: SpamlogdOptions): Promise<number>
}

const RIGHTS_HINT =
  process.platform === 'linux'
    ? 'spamlogd: hint: start it as root, or with the capability CAP_NET_ADMIN (nflog) or CAP_NET_RAW (other log devices)\n'
    : 'spamlogd: hint: start it as root: it becomes the user of --user by itself\n'

/** `spamlogd` from arguments to exit code: run by both bin/spamlogd.js and `spamdctl spamlogd`. */
export async function runSpamlogdCall(argv: readonly string[], parts: SpamlogdCallParts): Promise<number> {
  try {
    const parsed = parseSpamlogdOptions(argv)
    const isReplay = parsed.ok ? parsed.options.replayPath !== undefined : parsed.isReplay
    if (parsed.ok && parsed.asks === 'version') {
      parts.writeOut(`spamlogd (spamdctl) ${programVersion()}\n`)
      return 0
    }
    if (parsed.ok && parsed.asks === 'help') {
      await parts.showHelp()
      return 0
    }
    // The original's very first check; a replay captures nothing.
    if (!isReplay && !parts.mayCapture()) {
      parts.writeError(`spamlogd: need root privileges\n${RIGHTS_HINT}`)
      return 1
    }
    if (!parsed.ok) {
      parts.writeError(parsed.stderr)
      return 1
    }
    return await parts.run(parsed.options)
  } catch (error) {
    const text = formatFailure('spamlogd', error)
    if (text === undefined) throw error
    parts.writeError(text)
    return 1
  }
}
