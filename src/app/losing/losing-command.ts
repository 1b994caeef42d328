/** The one command that lets the mail of a sender pass. A sender is a stranger's text: it must not become a shell's. */
import { shellWord } from '../../codec/shell-word.js'
import type { WireText } from '../../domain/entry.js'
import { AppError } from '../../platform/app-error.js'
import { parseReleaseTerms } from '../release/release-terms.js'
import { toDisplayText } from '../wire-text.js'
import type { LosingSender } from './losing-senders.js'

/** Long enough for the servers that come back after hours. */
const RELEASE_FOR = '1d'

/**
 * The command line for a sender, to be copied into a shell; undefined when no text that a terminal shows names it.
 */
export function commandFor({ domain, recipients, networks, addressCount }: LosingSender): string | undefined {
  const from = termWord('from', domain === '' ? '<>' : toDisplayText(domain), domain)
  const [recipient] = recipients
  const to =
    recipients.length === 1 && recipient !== undefined
      ? termWord('to', toDisplayText(recipient), recipient)
      : undefined
  if (from === undefined && to === undefined) return undefined
  const terms = [from, to].filter((term) => term !== undefined)
  // Where servers stand side by side, the next try comes from a neighbour.
  const pool = networks.length * 2 <= addressCount ? ' --pool' : ''
  return `spamdctl release ${terms.join(' ')} --for ${RELEASE_FOR}${pool}`
}

/** An option of `spamdctl release` and its word; undefined unless the command would read the very same text from it. */
function termWord(name: 'from' | 'to', text: string, wanted: WireText): string | undefined {
  const word = shellWord(text)
  if (word === undefined) return undefined
  try {
    const terms = parseReleaseTerms({ from: undefined, to: undefined, ip: undefined, [name]: text })
    return terms[name] === wanted ? `--${name} ${word}` : undefined
  } catch (error) {
    if (error instanceof AppError) return undefined
    throw error
  }
}
