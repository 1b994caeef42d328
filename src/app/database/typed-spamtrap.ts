/** Spamtraps as people type them. */
import { formatRecipient, readRecipient } from '../../codec/smtp/recipient-address.js'
import type { WireText } from '../../domain/entry.js'
import { normaliseSpamtrap } from '../../domain/spamtrap.js'
import { canBeSpamtrap } from '../../domain/spamtrap-key.js'
import { MAX_KEY_BYTES } from './typed-key.js'

/** Quoted strings and quoted pairs, in which any character belongs to the address. */
const QUOTED = /"(?:[^"\\]|\\.)*"|\\./g

/**
 * The spamtrap that `key` names, as it is stored; undefined for text that never equals the intended
 * recipient: part of an address, two addresses, a pattern, or an address that mail servers write in another
 * way (blanks around it, a trailing dot, a comment, a source route). Quoted text is kept: the original stores
 * it so.
 */
export function readTypedSpamtrap(key: WireText): WireText | undefined {
  if (!canBeSpamtrap(key) || /[\0\n]/.test(key) || key.length > MAX_KEY_BYTES) return undefined
  const trap = normaliseSpamtrap(key)
  const unquoted = trap.replace(QUOTED, 'q')
  if (isPattern(unquoted) || hasTextBehind(unquoted) || /^mailto:/.test(unquoted)) return undefined
  return unquoted === trap && canonicalOf(trap) !== trap ? undefined : trap
}

/**
 * The one address that `key` contains in another spelling, as it would be stored; undefined for none or
 * several.
 */
export function plainSpamtrap(key: WireText): WireText | undefined {
  if (/[\0\n]/.test(key)) return undefined
  const trap = normaliseSpamtrap(key.replace(/^\s*mailto:/i, ''))
  const plain = canonicalOf(trap)
  if (!canBeSpamtrap(plain) || isPattern(plain) || hasTextBehind(plain) || /["\\]/.test(plain))
    return undefined
  return canonicalOf(plain) === plain ? plain : undefined
}

/** How a mail server reads an address, in brackets or without. */
function canonicalOf(address: WireText): WireText {
  return formatRecipient(readRecipient(address.includes('<') ? address : `<${address}>`))
}

/** `*@example.org`, `trap@*.example.org`. */
function isPattern(text: WireText): boolean {
  return /^\*@|\*[^@]*$/.test(text)
}

/** `a@example.org, b@example.org`: a separator after an `@`. */
function hasTextBehind(text: WireText): boolean {
  return /@[^\s,;]*[\s,;]/.test(text)
}
