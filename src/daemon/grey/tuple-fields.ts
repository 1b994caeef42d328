/** The fields of a tuple: as they are recorded, and as the log shows them. */
import { escapeControl } from '../../codec/escape.js'
import type { Tuple, WireText } from '../../domain/entry.js'
import { MAX_FIELD_BYTES } from '../../domain/times.js'

/**
 * A field as recorded: truncated to its length and, if it contains a control character, escaped, so that such
 * a client passes like any other and a line feed never splits a key. Bytes above 0x7f are UTF-8.
 */
export function fieldOf(text: WireText): WireText {
  const safe = /[\u0000-\u001f\u007f]/.test(text) ? escapeControl(text) : text
  return safe.slice(0, MAX_FIELD_BYTES)
}

/** A tuple in one line, escaped. */
export function describeTuple({ ip, helo, from, to }: Tuple): string {
  return `${ip} from ${escapeControl(from)} to ${escapeControl(to)}, helo ${escapeControl(helo)}`
}
