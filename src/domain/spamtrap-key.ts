import type { WireText } from './entry.js'
import { normaliseSpamtrap } from './spamtrap.js'

/**
 * True for text that can equal a recipient, so that it is useful as a spamtrap: a local part and a domain
 * around the last `@`, and no angle bracket left after removing one pair around it. `@example.org` (a whole
 * domain) and `Name <a@example.org>` (as shown by mail clients) never match.
 */
export function canBeSpamtrap(address: WireText): boolean {
  const text = normaliseSpamtrap(address)
  const at = text.lastIndexOf('@')
  return at > 0 && at < text.length - 1 && !/[<>]/.test(text)
}
