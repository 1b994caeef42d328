/** Bytes that end, separate and continue the items of a list. */

const TAB = 0x09
const CARRIAGE_RETURN = 0x0d
const SPACE = 0x20
const DASH = 0x2d
const TILDE = 0x7e
/** En dash and em dash of Windows code page 1252; in UTF-8 neither byte begins a character. */
const WINDOWS_EN_DASH = 0x96
const WINDOWS_EM_DASH = 0x97

/**
 * Bytes that may follow a prefix length, a netmask or the end of a range: anything else makes it part of something
 * longer.
 */
const ITEM_ENDS = new Set([TAB, CARRIAGE_RETURN, SPACE, ...Buffer.from('"#\'),:;>]|}')])

/** True for a space or a tab. */
export function isBlank(byte: number | undefined): boolean {
  return byte === SPACE || byte === TAB
}

/** True when the item ends at `at`: at the end of the line, or before a blank, comment, quote or closing mark. */
export function isItemEnd(bytes: Uint8Array, at: number, end: number): boolean {
  return at >= end || ITEM_ENDS.has(bytes[at]!)
}

/** True for an ASCII letter of either case. */
export function isLetter(byte: number | undefined): boolean {
  return byte !== undefined && (byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x7a
}

/** Offset of the first byte from `at` on that is not a blank; `end` if there is none. */
export function skipBlanks(bytes: Uint8Array, at: number, end: number): number {
  let next = at
  while (next < end && isBlank(bytes[next])) next += 1
  return next
}

/** Length of the dash or tilde at `at` in bytes, in ASCII, UTF-8 or code page 1252; 0 if there is none. */
function dashBytes(bytes: Uint8Array, at: number, end: number): number {
  const byte = bytes[at]!
  if (byte === DASH || byte === TILDE || byte === WINDOWS_EN_DASH || byte === WINDOWS_EM_DASH) return 1
  if (byte !== 0xe2 || at + 2 >= end) return 0
  const [second, third] = [bytes[at + 1]!, bytes[at + 2]!]
  const isDash = second === 0x80 && third >= 0x90 && third <= 0x95
  const isMinus = second === 0x88 && third === 0x92
  return isDash || isMinus ? 3 : 0
}

/** A run of blanks and dashes in any mixture, and what follows it. */
export class SeparatorRun {
  /** Where the run ends. */
  next = 0
  hasBlank = false
  hasTab = false
  hasDash = false

  /** Reads the run at `at`, which may be empty. */
  read(bytes: Uint8Array, at: number, end: number): void {
    this.hasBlank = false
    this.hasTab = false
    this.hasDash = false
    let next = at
    while (next < end) {
      const byte = bytes[next]!
      if (byte === SPACE || byte === TAB) {
        this.hasBlank = true
        if (byte === TAB) this.hasTab = true
        next += 1
        continue
      }
      const length = dashBytes(bytes, next, end)
      if (length === 0) break
      this.hasDash = true
      next += length
    }
    this.next = next
  }
}

/**
 * Skips what separates columns: blanks, commas, semicolons, bars and quotes. A semicolon after a blank begins a
 * comment.
 */
export function skipColumnMarks(bytes: Uint8Array, at: number, end: number): number {
  let next = at
  while (next < end) {
    const byte = bytes[next]!
    const isMark = isBlank(byte) || byte === 0x22 || byte === 0x27 || byte === 0x2c || byte === 0x7c
    const isSemicolon = byte === 0x3b && (next === 0 || !isBlank(bytes[next - 1]))
    if (!isMark && !isSemicolon) break
    next += 1
  }
  return next
}

/** Offset after the word `to` and its blanks if it is at `at`; otherwise `at`. */
export function wordToEnd(bytes: Uint8Array, at: number, end: number): number {
  const isWord = at + 2 < end && (bytes[at]! | 0x20) === 0x74 && (bytes[at + 1]! | 0x20) === 0x6f
  return isWord && isBlank(bytes[at + 2]) ? skipBlanks(bytes, at + 2, end) : at
}
