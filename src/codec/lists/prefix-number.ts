import { isDigit } from './address-scanner.js'
import { isItemEnd, skipBlanks } from './list-bytes.js'

const HASH = 0x23
const PLUS = 0x2b
const DASH = 0x2d
const DIGIT_0 = 0x30
const SEMICOLON = 0x3b

/**
 * Maximum number of digits: the largest prefix length is `128`. Longer numbers are refused unread, so that none can
 * overflow.
 */
const MAX_DIGITS = 3

/**
 * What follows a slash: a prefix length, something meant as one that cannot be (`/-1`, `/4294967320`), or something
 * else (`/x`, `/24hours.html`, `/24/8`).
 */
export type BehindSlash = 'number' | 'impossible' | 'other'

/** Reads prefix lengths; its fields hold what the last call read. */
export class PrefixNumber {
  value = 0
  /** Where the number ends. */
  end = 0

  /** Reads the number at `start`, right after the slash. Blanks and a plus sign may precede it, as for scanf(3). */
  read(bytes: Uint8Array, start: number, end: number): BehindSlash {
    let at = skipBlanks(bytes, start, end)
    const isApart = at > start
    if (bytes[at] === DASH && at + 1 < end && isDigit(bytes[at + 1])) return 'impossible'
    if (at < end && bytes[at] === PLUS) at += 1
    const digitsStart = at
    let value = 0
    for (; at < end && isDigit(bytes[at]); at += 1) {
      if (at - digitsStart < MAX_DIGITS) value = value * 10 + (bytes[at]! - DIGIT_0)
    }
    if (at === digitsStart || !isItemEnd(bytes, at, end)) return 'other'
    if (isApart && !isRestEmpty(bytes, at, end)) return 'other'
    this.value = value
    this.end = at
    return at - digitsStart > MAX_DIGITS ? 'impossible' : 'number'
  }
}

/** True if nothing but blanks and a comment follows. */
function isRestEmpty(bytes: Uint8Array, at: number, end: number): boolean {
  const next = skipBlanks(bytes, at, end)
  return next === end || bytes[next] === HASH || bytes[next] === SEMICOLON
}

/** Characters that a misprint may put between the digits of a number: carriage return, comma, colon, semicolon. */
const MISPRINTS = new Set([0x0d, ...Buffer.from(',:;')])

/**
 * The number formed by a prefix length and further digits after it, as in `2 4` or `2,4` for 24: what separates them may
 * be a misprint. undefined if no such digits follow.
 */
export function splitNumber(
  { value, end: at }: PrefixNumber,
  bytes: Uint8Array,
  end: number,
): number | undefined {
  let next = at
  while (next < end && MISPRINTS.has(bytes[next]!)) next += 1
  next = skipBlanks(bytes, next, end)
  let number = value
  let place = next
  for (; place < end && isDigit(bytes[place]) && place < next + 3; place += 1) {
    number = number * 10 + (bytes[place]! - DIGIT_0)
  }
  return next === at || place === next ? undefined : number
}
