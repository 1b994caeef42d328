import { familyOf } from '../../ip/address.js'
import { ipToBytes } from '../../ip/cidr.js'

/** Source: RFC 1035 section 2.3.4, without the length byte and the root. */
const MAX_NAME_LENGTH = 253
const MAX_LABEL_LENGTH = 63

/** True for a name that can be looked up in DNS: at least two labels, each of 1 to 63 characters, at most 253 in all. */
export function isAskable(name: string): boolean {
  if (name.length > MAX_NAME_LENGTH) return false
  const labels = name.split('.')
  return labels.length > 1 && labels.every((label) => label.length > 0 && label.length <= MAX_LABEL_LENGTH)
}

/**
 * True for the name of a mail domain or host: it can be looked up in DNS, it consists of letters, digits, `-` and `_`,
 * and its last label is not a number.
 */
export function isHostName(name: string): boolean {
  return isAskable(name) && /^[a-z0-9_.-]+$/i.test(name) && !/\.[0-9]+$/.test(name)
}

/**
 * A name shortened to the maximum of DNS by removing whole labels on the left; without the dot at its end. Source:
 * RFC 7208 section 7.3.
 */
export function fitName(name: string): string {
  const bare = name.endsWith('.') ? name.slice(0, -1) : name
  if (bare.length <= MAX_NAME_LENGTH) return bare
  const dot = bare.indexOf('.', bare.length - MAX_NAME_LENGTH - 1)
  return dot < 0 ? bare : bare.slice(dot + 1)
}

/** Dotted labels of a canonical address, most significant first: `192.0.2.1`, or 32 hexadecimal digits. */
export function dottedAddress(ip: string): string {
  const bytes = [...ipToBytes(ip)]
  if (familyOf(ip) === 4) return bytes.join('.')
  return bytes.map((byte) => `${(byte >>> 4).toString(16)}.${(byte & 15).toString(16)}`).join('.')
}

/** The reversed labels of an address, as lists and reverse zones use them: `1.2.0.192.`, before the zone. */
export function reversedUnder(ip: string, zone: string): string {
  return `${dottedAddress(ip).split('.').reverse().join('.')}.${zone}`
}

/** The name of the reverse look-up of a canonical address. Source: RFC 1035 section 3.5, RFC 3596 section 2.5. */
export function reverseName(ip: string): string {
  return reversedUnder(ip, familyOf(ip) === 4 ? 'in-addr.arpa' : 'ip6.arpa')
}
