/**
 * Recognises the commands of spamd's SMTP dialogue and their arguments.
 *
 * Commands are recognised by a case-insensitive prefix of the line (`QUITTER` is QUIT, `HELOfoo` is HELO foo);
 * leading blanks are not skipped. A line with a NUL byte is not a command: no text can be hidden after it. Source:
 * getcmd/setlog/nextstate of OpenBSD's spamd.c.
 */
import { detachText } from './smtp-line.js'

export type SmtpVerb =
  | 'HELO'
  | 'EHLO'
  | 'MAIL'
  | 'RCPT'
  | 'DATA'
  | 'NOOP'
  | 'RSET'
  | 'QUIT'
  | 'STARTTLS'
  | 'unknown'

/**
 * Maximum length of a HELO name, a sender or a recipient (MAX_MAIL without its terminator).
 * @internal The tests go to the limit and beyond it.
 */
export const MAX_ARGUMENT_BYTES = 1023

const FOUR_LETTER_VERBS: ReadonlySet<string> = new Set([
  'HELO',
  'EHLO',
  'MAIL',
  'RCPT',
  'DATA',
  'NOOP',
  'RSET',
  'QUIT',
])
const STARTTLS = 'STARTTLS'

/** The command with which a line (without its line end) begins. */
export function parseSmtpVerb(line: string): SmtpVerb {
  if (line.includes('\0')) return 'unknown'
  const verb = line.slice(0, 4).toUpperCase()
  if (FOUR_LETTER_VERBS.has(verb)) return verb as SmtpVerb
  return line.slice(0, STARTTLS.length).toUpperCase() === STARTTLS ? STARTTLS : 'unknown'
}

/** The name after HELO or EHLO, truncated to 1023 bytes; empty if there is none. */
export function parseHeloName(line: string): string {
  return firstWord(line, 4)
}

/**
 * The sender or recipient after the first colon with its angle brackets, truncated to 1023 bytes. Empty if nothing
 * follows the colon; undefined if the line has no colon.
 */
export function parseMailPath(line: string): string | undefined {
  const colon = line.indexOf(':')
  return colon < 0 ? undefined : firstWord(line, colon + 1)
}

/** Everything after the first colon, for `readRecipient`; empty without a colon. */
export function parseMailArgument(line: string): string {
  const colon = line.indexOf(':')
  return colon < 0 ? '' : detachText(line.slice(colon + 1))
}

function firstWord(line: string, from: number): string {
  let start = from
  while (start < line.length && isBlank(line.charCodeAt(start))) start += 1
  let end = start
  while (end < line.length && !isWordEnd(line.charCodeAt(end))) end += 1
  return detachText(line.slice(start, Math.min(end, start + MAX_ARGUMENT_BYTES)))
}

function isBlank(code: number): boolean {
  return code === 32 || code === 9
}

function isWordEnd(code: number): boolean {
  return isBlank(code) || code === 13 || code === 10
}
