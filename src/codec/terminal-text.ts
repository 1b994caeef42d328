/**
 * Characters that a terminal obeys or that change the order in which text is read: the C1 controls (U+009B starts
 * an escape sequence), line and paragraph separators, and the bidirectional marks, embeddings, overrides and
 * isolates. Source: ECMA-48 section 5.3; Unicode Standard Annex 9 section 2.
 */
const OBEYED = /[\u0080-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g
/** A complete UTF-8 sequence, a byte that is not part of one, or ASCII. Source: RFC 3629 section 4. */
const SEQUENCES =
  /[\x00-\x7f]+|[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2}|[\x80-\xff]/g

/**
 * Makes UTF-8 text safe for a terminal: a character that a terminal would obey is shown as `\u202e`, and a byte from
 * 0x80 to 0x9f outside a UTF-8 sequence as `\x9b`. ASCII controls are left to the author of the text, since a line
 * feed has a meaning there. `bytes` must not end inside a sequence. Returns the same bytes if nothing has to be
 * escaped.
 */
export function toTerminalText(bytes: Uint8Array): Uint8Array {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
  if (!/[\x80-\xff]/.test(text)) return bytes
  const shown = text.replace(SEQUENCES, (sequence) => {
    const first = sequence.charCodeAt(0)
    if (first < 0x80) return sequence
    if (sequence.length === 1) return first < 0xa0 ? `\\x${first.toString(16)}` : sequence
    const character = Buffer.from(sequence, 'latin1').toString('utf8')
    const safe = character.replace(OBEYED, (each) => `\\u${each.charCodeAt(0).toString(16).padStart(4, '0')}`)
    return safe === character ? sequence : safe
  })
  return Buffer.from(shown, 'latin1')
}
