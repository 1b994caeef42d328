/**
 * The one command that lets the mail of a sender pass. The sender is text from outside and must be quoted for
 * the shell.
 */
import { shellWord } from '../../codec/shell-word.js'
import type { WireText } from '../../domain/entry.js'
import { AppError } from '../../platform/app-error.js'
import { allowWordOf } from '../allow/allow-name.js'
import { parseReleaseTerms } from '../release/release-terms.js'
import { toDisplayText } from '../wire-text.js'
import type { SpfFinding } from './identify-senders.js'
import type { LosingSender } from './losing-senders.js'

/** Long enough for servers that retry after hours. */
const RELEASE_FOR = '1d'

/** Options that were given here and that the printed command needs, too. */
export interface CommandPlaces {
  /** Database, if given. */
  db?: string | undefined
  /** Name servers, if given. */
  dns?: readonly string[] | undefined
}

/**
 * The command line for a sender, to be copied into a shell; undefined if no text that a terminal can show names it. If its
 * SPF record lists enough of the waiting addresses for them to be its pool, an exception that follows the record (mail
 * from other addresses may be forged and must not matter); otherwise a release.
 */
export function commandFor(
  sender: LosingSender,
  spf: SpfFinding | undefined,
  minAddresses: number,
  places: CommandPlaces = {},
): string | undefined {
  const name = allowWordOf(sender.domain)
  if (name !== undefined && spf?.state === 'usable' && isPool(spf.passing, sender, minAddresses)) {
    return line(['spamdctl allow add', ...(places.dns ?? []).flatMap(dnsWords), ...dbWords(places), name])
  }
  return releaseFor(sender, places)
}

function isPool(passing: number, { clients }: LosingSender, minAddresses: number): boolean {
  return passing > 0 && (passing === clients.length || passing >= minAddresses)
}

function releaseFor(
  { domain, recipients, networks, addressCount }: LosingSender,
  places: CommandPlaces,
): string | undefined {
  const from = termWord('from', domain === '' ? '<>' : toDisplayText(domain), domain)
  const [recipient] = recipients
  const to =
    recipients.length === 1 && recipient !== undefined
      ? termWord('to', toDisplayText(recipient), recipient)
      : undefined
  if (from === undefined && to === undefined) return undefined
  // If servers are in the same networks, the next attempt comes from a neighbouring address.
  const pool = networks.length * 2 <= addressCount ? '--pool' : undefined
  return line(['spamdctl release', from, to, `--for ${RELEASE_FOR}`, pool, ...dbWords(places)])
}

function line(words: readonly (string | undefined)[]): string {
  return words.filter((word) => word !== undefined).join(' ')
}

function dnsWords(server: string): string[] {
  const word = shellWord(server)
  return word === undefined ? [] : [`--dns ${word}`]
}

function dbWords({ db }: CommandPlaces): string[] {
  const word = db === undefined ? undefined : shellWord(db)
  return word === undefined ? [] : [`--db ${word}`]
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
