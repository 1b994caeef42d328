/** The terms of a release as people type and read them. */
import { formatRecipient, readRecipient } from '../../codec/smtp/recipient-address.js'
import type { Release, ReleaseScope, ReleaseTerms } from '../../domain/release.js'
import { formatCidr, parseCidr } from '../../ip/cidr.js'
import { AppError } from '../../platform/app-error.js'
import { toDisplayText, toWireText } from '../wire-text.js'

/** Words of a command; undefined where the option is not given. */
export interface TypedTerms {
  from: string | undefined
  to: string | undefined
  ip: string | undefined
}

/** Longest address or domain. Source: RFC 5321 section 4.5.3.1.3. */
const MAX_ADDRESS_BYTES = 256
const DOMAIN = /^\.?[^\s@.<>*?]+(?:\.[^\s@.<>*?]+)+$/

/** Checks what was typed. Throws `AppError` `ERR_USAGE` for what no mail meets, or every mail. */
export function parseReleaseTerms({ from, to, ip }: TypedTerms): ReleaseTerms {
  if (from === undefined && to === undefined) {
    throw usage(
      'name the mail with --to, --from or both',
      'for example --to user@example.org --from example.net',
    )
  }
  return {
    ...(from === undefined ? {} : { from: parseSender(from) }),
    ...(to === undefined ? {} : { to: parseRecipient(to) }),
    ...(ip === undefined ? {} : { network: parseNetwork(ip) }),
  }
}

function parseSender(text: string): string {
  if (text === '<>' || text === '') return ''
  const wire = normalised(toWireText(text))
  const isSound = wire.includes('@') ? isAddress(wire) : DOMAIN.test(wire)
  if (!isSound || wire.length > MAX_ADDRESS_BYTES) {
    throw usage(
      `--from: ${JSON.stringify(text)} is not a sender`,
      'an address such as user@example.net, a domain such as example.net, .example.net with its subdomains, or <>',
    )
  }
  return wire
}

function parseRecipient(text: string): string {
  const wire = normalised(toWireText(text))
  if ((wire !== 'postmaster' && !isAddress(wire)) || wire.length > MAX_ADDRESS_BYTES) {
    throw usage(`--to: ${JSON.stringify(text)} is not an address`, 'a whole address such as user@example.org')
  }
  return wire
}

/** As the address of a recipient is compared: without brackets, letters in lower case. */
function normalised(wire: string): string {
  return wire.startsWith('.') ? wire.toLowerCase() : formatRecipient(readRecipient(wire))
}

function isAddress(wire: string): boolean {
  const at = wire.lastIndexOf('@')
  return at > 0 && at < wire.length - 1 && !/[\0-\x1f\x7f]/.test(wire)
}

function parseNetwork(text: string): string {
  const network = parseCidr(text)
  if (network === undefined || network.prefixLength === 0) {
    throw usage(
      `--ip: ${JSON.stringify(text)} is not an address or network`,
      'for example 192.0.2.1 or 192.0.2.0/24',
    )
  }
  return formatCidr(network)
}

function usage(message: string, hint: string): AppError {
  return new AppError('ERR_USAGE', message, { hint })
}

/** `mail from example.net to user@example.org at 192.0.2.0/24`; not yet escaped. */
export function describeTerms({ from, to, network, scope }: ReleaseTerms & { scope?: ReleaseScope }): string {
  const words = ['mail']
  if (from !== undefined) words.push(`from ${from === '' ? '<>' : toDisplayText(from)}`)
  if (to !== undefined) words.push(`to ${toDisplayText(to)}`)
  if (network !== undefined) words.push(`at ${network}`)
  if (scope === 'pool') words.push('with the network it comes from')
  return words.join(' ')
}

/** The fields of a release for programs, as `spamdb --json` has those of entries. */
export function releaseFields({
  kind,
  id,
  from,
  to,
  network,
  scope,
  first,
  expire,
  used,
  author,
}: Release): object {
  return {
    kind,
    id,
    from: from === undefined ? null : toDisplayText(from),
    to: to === undefined ? null : toDisplayText(to),
    ip: network ?? null,
    scope,
    first,
    expire,
    used,
    author: author ?? null,
  }
}
