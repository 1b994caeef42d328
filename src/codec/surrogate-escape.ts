/** Well-formed UTF-8 sequences of more than one byte, by RFC 3629 section 4, or any single byte. */
const SEQUENCE =
  /[\u00c2-\u00df][\u0080-\u00bf]|\u00e0[\u00a0-\u00bf][\u0080-\u00bf]|[\u00e1-\u00ec\u00ee\u00ef][\u0080-\u00bf]{2}|\u00ed[\u0080-\u009f][\u0080-\u00bf]|\u00f0[\u0090-\u00bf][\u0080-\u00bf]{2}|[\u00f1-\u00f3][\u0080-\u00bf]{3}|\u00f4[\u0080-\u008f][\u0080-\u00bf]{2}|[\u0080-\u00ff]/g

/** Payload bits of the first byte of a sequence, by its length. */
const LEAD_MASK = [0, 0x7f, 0x1f, 0x0f, 0x07] as const
const INVALID_BYTE_BASE = 0xdc00

/**
 * Decodes bytes that are mostly UTF-8 without loss: well-formed sequences become their characters, every other byte
 * NN the lone surrogate U+DCNN, which JSON writes as `"\udcNN"`. `wire` is latin-1, one character per byte. Source:
 * PEP 383 (surrogateescape), RFC 3629.
 */
export function decodeSurrogateEscape(wire: string): string {
  if (!/[\u0080-\u00ff]/.test(wire)) return wire
  return wire.replace(SEQUENCE, (sequence) => {
    if (sequence.length === 1) return String.fromCharCode(INVALID_BYTE_BASE + sequence.charCodeAt(0))
    let codePoint = sequence.charCodeAt(0) & LEAD_MASK[sequence.length as 2 | 3 | 4]
    for (let index = 1; index < sequence.length; index += 1) {
      codePoint = (codePoint << 6) | (sequence.charCodeAt(index) & 0x3f)
    }
    return String.fromCodePoint(codePoint)
  })
}

/**
 * Inverse of `decodeSurrogateEscape`: the bytes, as latin-1, of text that may contain lone surrogates U+DC80 to
 * U+DCFF.
 */
export function encodeSurrogateEscape(text: string): string {
  if (!/[\u0080-\uffff]/.test(text)) return text
  const encoder = new TextEncoder()
  let wire = ''
  for (const character of text) {
    const code = character.charCodeAt(0)
    if (character.length === 1 && code >= INVALID_BYTE_BASE + 0x80 && code <= INVALID_BYTE_BASE + 0xff) {
      wire += String.fromCharCode(code - INVALID_BYTE_BASE)
    } else wire += String.fromCharCode(...encoder.encode(character))
  }
  return wire
}
