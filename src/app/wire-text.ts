import { encodeSurrogateEscape } from '../codec/surrogate-escape.js'
import type { WireText } from '../domain/entry.js'

/** Wire text of text typed or read as UTF-8: its bytes, one character each; a lone U+DCNN is byte NN. */
export function toWireText(text: string): WireText {
  return encodeSurrogateEscape(text)
}

/** Wire text for people: decoded as UTF-8, with U+FFFD for invalid bytes. */
export function toDisplayText(text: WireText): string {
  return /^[\u0000-\u007f]*$/.test(text) ? text : Buffer.from(text, 'latin1').toString('utf8')
}
