import type { WireText } from './entry.js'

/**
 * A spamtrap address as it is stored and compared: one pair of surrounding angle brackets removed, ASCII
 * letters in lower case. The original keeps brackets when adding and converts case only then, so such entries
 * never match or cannot be deleted.
 */
export function normaliseSpamtrap(address: WireText): WireText {
  let text = address.startsWith('<') ? address.slice(1) : address
  if (text.endsWith('>')) text = text.slice(0, -1)
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase())
}
