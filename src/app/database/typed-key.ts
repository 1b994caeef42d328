import type { EntryKey, WireText } from '../../domain/entry.js'
import { normaliseSpamtrap } from '../../domain/spamtrap.js'
import { formatCidr, parseCidr } from '../../ip/cidr.js'
import { canonicalPaddedIp } from '../../ip/padded-address.js'

/**
 * Maximum length of a key: what one argument of a program may hold on Linux (MAX_ARG_STRLEN), so only a line
 * of standard input can be longer, and no real address or tuple comes near it.
 */
export const MAX_KEY_BYTES = 131_072

/**
 * The entry that a typed key names: an ip address is a host, a network that of a pool, text with line feeds a
 * tuple (`IP LF helo LF from LF to`, or without helo as older releases wrote it), anything else a spamtrap.
 * `undefined` for text that can name no entry (one line feed, NUL, too long).
 */
export function parseTypedKey(text: WireText): EntryKey | undefined {
  if (text.length > MAX_KEY_BYTES || text.includes('\0')) return undefined
  if (!text.includes('\n')) {
    const ip = canonicalPaddedIp(text)
    const network = text.includes('/') && !text.includes('@') ? parseCidr(text) : undefined
    if (network?.hadHostBits === false) return { kind: 'pool', ip: formatCidr(network) }
    return ip === undefined ? { kind: 'spamtrap', address: normaliseSpamtrap(text) } : { kind: 'host', ip }
  }
  const [ipText = '', ...parts] = text.split('\n')
  if (parts.length < 2) return undefined
  const ip = canonicalPaddedIp(ipText) ?? ipText
  if (parts.length === 2) return { kind: 'tuple', ip, helo: '', from: parts[0]!, to: parts[1]! }
  return { kind: 'tuple', ip, helo: parts[0]!, from: parts[1]!, to: parts.slice(2).join('\n') }
}
