/** Names accepted by `spamdctl allow`. */
import { domainToASCII } from 'node:url'
import { isHostName } from '../../codec/dns/dns-name.js'
import { isTooWide } from '../../codec/spf/collect-ranges.js'
import { isAllowedNetwork } from '../../domain/allow.js'
import type { WireText } from '../../domain/entry.js'
import { formatCidr, parseCidr } from '../../ip/cidr.js'
import { EMPTY_SET } from '../../ip/ip-range-set.js'
import { AppError } from '../../platform/app-error.js'
import { setOfNetworks } from './network-set.js'

/** A domain in lower case, or canonical CIDR text. Throws `AppError` `ERR_USAGE` for anything else. */
export function parseAllowName(text: string): string {
  const network = parseCidr(text)
  if (network !== undefined) {
    const name = formatCidr(network)
    if (network.prefixLength === 0 || isTooWide({ sure: setOfNetworks([name]), possible: EMPTY_SET })) {
      throw usage(`${name} is too wide for an exception`, 'the limit is a /12 of IPv4 or a /28 of IPv6')
    }
    return name
  }
  // Text that a URL parser would read differently is not a name.
  const domain = /[\s%/?#@:\\[\]\0-\x1f\x7f]/.test(text) ? '' : domainToASCII(text.replace(/\.$/, ''))
  if (isHostName(domain) && /^[a-z0-9_]/.test(domain) && !isAllowedNetwork(domain)) return domain
  throw usage(
    `${JSON.stringify(text)} is neither a domain nor a network`,
    'for example example.org, 192.0.2.0/24 or 2001:db8::/32',
  )
}

/**
 * The argument of `spamdctl allow add` that names exactly this domain, which is text from outside; undefined
 * when none does.
 */
export function allowWordOf(domain: WireText): string | undefined {
  try {
    return !isAllowedNetwork(domain) && parseAllowName(domain) === domain ? domain : undefined
  } catch (error) {
    if (error instanceof AppError) return undefined
    throw error
  }
}

function usage(message: string, hint: string): AppError {
  return new AppError('ERR_USAGE', message, { hint })
}
