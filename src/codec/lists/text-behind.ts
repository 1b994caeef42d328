import { type AddressScanner, isDigit, isHexDigit } from './address-scanner.js'
import { isBlank, isItemEnd, isLetter, skipColumnMarks } from './list-bytes.js'

/**
 * Remark about an accepted item: `second-address`, another address on the line was left out; `path`, no prefix length
 * follows the slash; `prefix-apart`, a number that may be meant as one follows; `joined`, text follows the address without a blank; `lone-cr`, a carriage return within the
 * line; `leading-zeros`, numbers such as `010`, which are decimal here and octal elsewhere.
 */
export type ItemRemark = 'second-address' | 'path' | 'prefix-apart' | 'joined' | 'lone-cr' | 'leading-zeros'

const CARRIAGE_RETURN = 0x0d
const HASH = 0x23
const DASH = 0x2d
const DOT = 0x2e
const SLASH = 0x2f
const COLON = 0x3a
const SEMICOLON = 0x3b
const UNDERSCORE = 0x5f

/** One more than the length of the longest address, `ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255`. */
const MAX_WORD_BYTES = 46

/** The remark about the text from `at`, right after an item, to the end of the line; undefined if there is none. */
export function remarkBehind(
  scanner: AddressScanner,
  bytes: Uint8Array,
  at: number,
  end: number,
): ItemRemark | undefined {
  if (at >= end) return undefined
  if (hasLoneReturn(bytes, at, end)) return 'lone-cr'
  if (hasAddress(scanner, bytes, at, end)) return 'second-address'
  if (!isItemEnd(bytes, at, end) && bytes[at] !== DASH) return 'joined'
  let next = at
  while (next < end && bytes[next] !== SLASH && isItemEnd(bytes, next, end) && !beginsComment(bytes, next))
    next += 1
  if (bytes[next] !== SLASH) return undefined
  const number = skipColumnMarks(bytes, next + 1, end)
  return number < end && isDigit(bytes[number]) ? 'path' : undefined
}

/**
 * The number in the column after an address, as in `192.0.2.0,24`: a prefix length or a count. undefined if there is
 * none.
 */
export function numberBehind(bytes: Uint8Array, at: number, end: number): number | undefined {
  const next = skipColumnMarks(bytes, at, end)
  let place = next
  while (place < end && isDigit(bytes[place])) place += 1
  if (next === at || place === next || place > next + 3 || !isItemEnd(bytes, place, end)) return undefined
  return Number(String.fromCharCode(...bytes.subarray(next, place)))
}

/** True if a carriage return is followed by more than carriage returns and blanks. */
export function hasLoneReturn(bytes: Uint8Array, at: number, end: number): boolean {
  let last = end
  while (last > at && (bytes[last - 1] === CARRIAGE_RETURN || isBlank(bytes[last - 1]))) last -= 1
  for (let place = at; place < last; place += 1) if (bytes[place] === CARRIAGE_RETURN) return true
  return false
}

/** True if the word at `at` contains at least two colons, as IPv6 addresses do. */
export function looksLikeIpv6(bytes: Uint8Array, at: number, end: number): boolean {
  let colons = 0
  for (let place = at; place < end; place += 1) {
    const byte = bytes[place]!
    if (byte === COLON) colons += 1
    else if (!isHexDigit(byte) && byte !== DOT) break
  }
  return colons >= 2
}

/** True for `#`, and for `;` after a blank: a comment follows. */
function beginsComment(bytes: Uint8Array, at: number): boolean {
  return bytes[at] === HASH || (bytes[at] === SEMICOLON && isBlank(bytes[at - 1]))
}

/** Looks for a complete address of either family before any comment. */
function hasAddress(scanner: AddressScanner, bytes: Uint8Array, at: number, end: number): boolean {
  let place = at
  while (place < end) {
    if (beginsComment(bytes, place)) return false
    const wordEnd = endOfWord(bytes, place, end)
    if (wordEnd === place) {
      place += 1
      continue
    }
    // Letters may be joined to it: `to192.0.2.5`.
    let digits = place
    while (digits < wordEnd && isLetter(bytes[digits])) digits += 1
    if (digits < wordEnd && isDigit(bytes[digits])) {
      scanner.scanIpv4(bytes, digits, withoutDots(bytes, digits, wordEnd))
      if (scanner.octets === 4) return true
    }
    // Colons alone are the unspecified address, but may also separate columns.
    if (looksLikeIpv6(bytes, place, wordEnd) && scanner.scanIpv6(bytes, place, wordEnd) > place + 2)
      return true
    // The address may follow a key and a colon, or be followed by a colon and a port.
    const colon = bytes.subarray(place, wordEnd).indexOf(COLON)
    place = colon >= 0 ? place + colon + 1 : wordEnd
  }
  return false
}

/** The end of a word, without the full stop of a sentence. */
function withoutDots(bytes: Uint8Array, at: number, end: number): number {
  let place = end
  while (place > at && bytes[place - 1] === DOT) place -= 1
  return place
}

/** The end of the letters, digits, dots and colons at `at`, or an offset after which no address can end. */
function endOfWord(bytes: Uint8Array, at: number, end: number): number {
  const limit = Math.min(end, at + MAX_WORD_BYTES)
  let place = at
  while (place < limit) {
    const byte = bytes[place]!
    if (!isLetter(byte) && !isDigit(byte) && byte !== DOT && byte !== COLON && byte !== UNDERSCORE) break
    place += 1
  }
  return place
}
