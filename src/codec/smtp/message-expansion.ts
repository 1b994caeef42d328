/**
 * The refusal that a block-listed client reads: expansion of the lists' messages into one multi-line reply.
 * Source: doreply/build_reply of OpenBSD's spamd.c for the expansion; RFC 5321 section 4.2.1 for the form,
 * which the original gets wrong (it stops after the first line and ends lines with a bare LF).
 */

/** Reply codes of -4 and -5. */
export type ListReplyCode = 450 | 550

const BACKSLASH = '\\'
const PERCENT = '%'

/**
 * Expands one stored message: `\n` is a line break (LF in the result), `\"` a quote, `\\` a backslash, `%A` the
 * client's address, `%%` a percent sign; other pairs stay as they are. As in the original, `\%` gives a backslash,
 * `%\` a percent sign, and a pending character at the very end is lost.
 */
function expandMessage(message: string, clientAddress: string): string {
  let result = ''
  let pending = ''
  for (const character of message) {
    if (pending === '') {
      if (character === BACKSLASH || character === PERCENT) pending = character
      else result += character
      continue
    }
    if (pending === BACKSLASH && character === 'n') result += '\n'
    else if (pending === BACKSLASH && character === '"') result += '"'
    else if (pending === PERCENT && character === 'A') result += clientAddress
    else if (character === BACKSLASH || character === PERCENT) result += pending
    else result += pending + character
    pending = ''
  }
  return result
}

/**
 * The whole refusal, with CR LF at each line end: the lines of all messages, each preceded by `450-`, the last by
 * `450 `. A message that ends in a line break yields no empty line for it; no message at all gives one empty line.
 * Characters that would break a line (CR, LF, NUL) are removed.
 */
export function formatListReply(
  code: ListReplyCode,
  messages: readonly string[],
  clientAddress: string,
): string {
  const lines: string[] = []
  for (const message of messages) {
    const messageLines = expandMessage(message, clientAddress).split('\n')
    if (messageLines.length > 1 && messageLines.at(-1) === '') messageLines.pop()
    for (const line of messageLines) lines.push(line.replace(/[\r\0]/g, ''))
  }
  if (lines.length === 0) lines.push('')
  const last = lines.length - 1
  return lines.map((line, index) => `${code}${index === last ? ' ' : '-'}${line}\r\n`).join('')
}
