import { LineSplitter } from '../../codec/line-splitter.js'
import type { WireText } from '../../domain/entry.js'
import { LineGuard } from './line-guard.js'
import { MAX_KEY_BYTES } from './typed-key.js'

/**
 * Keys from standard input, one per line: blanks around a key, `#` at the start of a line and ` #` behind a
 * key with what follows, empty lines and the carriage return of CRLF are left out. One batch for each piece
 * of input, so that keys that arrive slowly are stored as they arrive.
 */
export async function* readKeyLines(input: AsyncIterable<Uint8Array>): AsyncGenerator<WireText[]> {
  const splitter = new LineSplitter(MAX_KEY_BYTES)
  const guard = new LineGuard()
  for await (const bytes of input) {
    const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
    const lines = splitter.push(chunk)
    guard.pass(bytes.length, lines.length)
    if (lines.length === 0) continue
    // The first line may have begun in the chunk before.
    const arePlain = !NOT_PLAIN.test(chunk) && !NOT_PLAIN.test(lines[0]!) && !lines.includes('')
    yield arePlain ? lines : toKeys(lines)
  }
  yield toKeys(splitter.end())
}

/** Blanks, comments and carriage returns. */
const NOT_PLAIN = /[# \t\r]/

function toKeys(lines: readonly string[]): WireText[] {
  return lines.map(keyOfLine).filter((key) => key !== '')
}

/** The key on one line, without blanks and comment; empty when there is none. */
export function keyOfLine(line: string): WireText {
  const isPlain = !line.includes('#') && !/^[ \t]|[ \t\r]$/.test(line)
  return isPlain ? line : withoutComment(line)
}

/** Only ASCII blanks are removed: other white space may be part of a UTF-8 sequence. */
function withoutComment(line: string): string {
  let end = line.search(/(?:^|[ \t])#/)
  if (end < 0) end = line.length
  let start = 0
  while (start < end && ' \t'.includes(line[start]!)) start += 1
  while (end > start && ' \t\r'.includes(line[end - 1]!)) end -= 1
  return line.slice(start, end)
}
