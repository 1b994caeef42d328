import type { WireText } from '../../domain/entry.js'
import type { SqlValue } from '../sqlite-driver.js'

/**
 * Binds text as the bytes it stands for; statements take it as `CAST(? AS TEXT)`. Plain ASCII, which is
 * nearly all, goes as a string. Throws TypeError for NUL, which separates fields in our own queries, and for
 * characters that are not bytes; callers refuse both beforehand.
 */
export function wireValue(text: WireText): SqlValue {
  if (PLAIN_ASCII.test(text)) return text
  if (!BYTES_WITHOUT_NUL.test(text)) throw new TypeError('text for the database holds NUL or is not bytes')
  return Buffer.from(text, 'latin1')
}

/** Binds a comment: ordinary text, stored as UTF-8, absent as NULL. NUL throws TypeError. */
export function commentValue(comment: string | undefined): SqlValue {
  if (comment === undefined) return null
  if (comment.includes('\0')) throw new TypeError('a comment for the database holds NUL')
  return comment
}

const PLAIN_ASCII = /^[\x01-\x7f]*$/
const BYTES_WITHOUT_NUL = /^[\x01-\xff]*$/
