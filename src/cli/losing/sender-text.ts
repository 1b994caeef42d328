/**
 * Texts about a sender that is losing mail, in `losing` and on the page of `report`. They are not escaped.
 */

import type { LosingRow } from '../../app/losing/advise-senders.js'
import type { SenderIdentity } from '../../app/losing/identify-senders.js'
import type { LosingSender } from '../../app/losing/losing-senders.js'
import { toDisplayText } from '../../app/wire-text.js'
import { countText } from '../../codec/count-text.js'
import { formatDuration } from '../../codec/duration.js'

/** Tries, mails, addresses, and how long ago. */
export function triesText(
  { tries, addressCount, networks, mails, firstSec, lastSec }: LosingSender,
  nowSec: number,
): string {
  const ages = `the first ${formatDuration(Math.max(0, nowSec - firstSec))} ago, the last ${formatDuration(Math.max(0, nowSec - lastSec))} ago`
  return `${tries} of ${countText(mails, 'mail', 'mails')} from ${countText(addressCount, 'address', 'addresses')} in ${countText(networks.length, 'network', 'networks')}, ${ages}`
}

/** True when something already lets its mail pass. */
export function passesAlready({ releasedBy, allowedBy }: LosingSender): boolean {
  return releasedBy !== undefined || allowedBy !== undefined
}

/** What DNS says, as label and text. */
export function identityRows({ identity, domain, clients }: LosingRow): [string, string][] {
  if (identity === undefined) return [['DNS', 'not queried: the time for DNS was used up']]
  const { spf, names } = identity
  const rows: [string, string][] = []
  if (spf !== undefined) rows.push(['SPF', spfText(spf, domain, clients.length)])
  rows.push(['names', namesText(names)])
  return rows
}

function spfText(spf: NonNullable<SenderIdentity['spf']>, domain: string, count: number): string {
  if (spf.state === 'unanswered')
    return `DNS gave no answer in time; try again with spamdctl allow add --dry-run ${toDisplayText(domain)}`
  if (spf.state === 'unusable') return `not usable: ${spf.reason}`
  const { passing } = spf
  if (passing === count)
    return count === 1
      ? `its address passes SPF of ${toDisplayText(domain)}`
      : `all ${count} addresses pass SPF of ${toDisplayText(domain)}`
  if (passing === 0)
    return `${count === 1 ? 'its address does not pass' : `none of the ${count} addresses passes`} SPF of ${toDisplayText(domain)}: the mail may be forged`
  return `${passing} of ${count} addresses ${passing === 1 ? 'passes' : 'pass'} SPF of ${toDisplayText(domain)}; mail from the others may be forged`
}

function namesText({ asked, unanswered, named, greeting, example }: SenderIdentity['names']): string {
  const addresses = countText(asked, 'address', 'addresses')
  if (unanswered === asked) return `DNS gave no answer about ${addresses}`
  const found =
    example === undefined
      ? `none of ${addresses} has a name that resolves back to it`
      : `${named} of ${addresses} ${named === 1 ? 'has' : 'have'} a name that resolves back, such as ${toDisplayText(example)}; ${greeting} ${greeting === 1 ? 'greets' : 'greet'} with it`
  return unanswered === 0 ? found : `${found}; DNS gave no answer about ${unanswered}`
}

/** A command is always one line, so that it can be copied. */
export function commandText({ command, releasedBy, allowedBy }: LosingRow): string {
  if (releasedBy !== undefined) return `none is needed: release ${releasedBy} covers this mail`
  if (allowedBy !== undefined) return `none is needed: the exception ${allowedBy} covers its addresses`
  return command ?? 'none is possible, since its name cannot be typed: see spamdb --json --kind GREY'
}

/** The domain, or `<>`. */
export function senderName({ domain }: LosingSender): string {
  return domain === '' ? '<>' : toDisplayText(domain)
}
