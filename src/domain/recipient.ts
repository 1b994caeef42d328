import type { WireText } from './entry.js'
import { MAX_FIELD_BYTES } from './times.js'

/**
 * The recipient as the trap test sees it: one leading `<` removed, cut to 1023 bytes, one `>` removed when it
 * is the very last character, ASCII letters in lower case. Source routes, quotes, plus tags and a trailing
 * dot stay as they are. Never used as the key of a tuple. Source: trap_check and normalize_email_addr of
 * spamd's grey.c.
 */
export function trapKeyOf(recipient: WireText): WireText {
  let text = recipient.startsWith('<') ? recipient.slice(1) : recipient
  text = text.slice(0, MAX_FIELD_BYTES)
  if (text.endsWith('>')) text = text.slice(0, -1)
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase())
}
