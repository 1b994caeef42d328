import type { WireText } from './entry.js'
import { normaliseSpamtrap } from './spamtrap.js'

/**
 * True for text that a recipient can be equal to, so that it is worth keeping as a spamtrap: a local part and a
 * domain around the last `@`, and no angle bracket left when one pair around it is removed. `@example.org` (a whole domain) and
 * `Name <a@example.org>` (as a mail client shows it) never match.
 */
export function canBeSpamtrap(address: WireText): boolean {
  const text = normaliseSpamtrap(address)
  const at = text.lastIndexOf('@')
  return at > 0 && at < text.length - 1 && !/[<>]/.test(text)
}
