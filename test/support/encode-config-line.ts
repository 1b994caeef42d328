/** A whole config line in one piece, to be compared with those that spamd-setup sends in chunks. */
import { encodeClearLine, encodeConfigMessage } from '../../src/codec/config-line/config-line.js'

const SEMICOLON = 0x3b
const LF = 0x0a

/** Canonical CIDR text of one family, one per line, each line ended by LF, and the number of lines. */
export interface CidrLines {
  text: Uint8Array
  count: number
}

/** A block list to send. Name and message hold one character per byte (latin-1). */
export interface ConfigList {
  name: string
  /**
   * The message in spamd's own notation: `%A` is the client, `%%` a percent sign, `\n` a line break, a doubled
   * backslash a single one. Quotes and line breaks may also be written as they are.
   */
  message: string
  ipv4: CidrLines
  ipv6: CidrLines
}

/**
 * The line that replaces a list, LF included; for a list without addresses the line that clears it, because spamd
 * refuses `inet;0` and would keep the old content. Throws RangeError for a name that `isConfigListName` refuses.
 */
export function encodeConfigLine(list: ConfigList): Uint8Array {
  if (list.ipv4.count === 0 && list.ipv6.count === 0) return encodeClearLine(list.name)
  const name = Buffer.from(encodeClearLine(list.name)).toString('latin1', 0, list.name.length)
  let head = `${name};"${encodeConfigMessage(list.message)}"`
  const parts: Uint8Array[] = []
  for (const [keyword, lines] of [
    ['inet', list.ipv4],
    ['inet6', list.ipv6],
  ] as const) {
    if (lines.count === 0) continue
    head += `;${keyword};${lines.count};`
    parts.push(Buffer.from(head, 'latin1'), joinWithSemicolons(lines.text))
    head = ''
  }
  parts.push(Uint8Array.of(LF))
  return Buffer.concat(parts)
}

/** `a\nb\n` as `a;b`. */
function joinWithSemicolons(lines: Uint8Array): Uint8Array {
  const joined = Uint8Array.prototype.slice.call(lines, 0, Math.max(0, lines.length - 1))
  for (let index = 0; index < joined.length; index += 1) if (joined[index] === LF) joined[index] = SEMICOLON
  return joined
}
