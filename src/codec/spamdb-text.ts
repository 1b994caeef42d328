/**
 * The lines of spamdb's listing, read and written. Wire text is latin-1: one character for one byte.
 *
 *   WHITE|ip|||first|pass|expire|bcount|pcount
 *   TRAPPED|ip|expire
 *   SPAMTRAP|address
 *   GREY|ip|helo|from|to|first|pass|expire|bcount|pcount       (written; also read without helo: 9 fields)
 *
 * Fields are written as they are, except that control characters (below 0x20, and 0x7f) become `\xNN`, and a
 * backslash that would read as such an escape becomes `\x5c`, so that reading gives back the same bytes.
 * Source: spamdb(8) of OpenBSD; docs/protocol/database-text.md.
 */

import { formatCidr, parseCidr } from '../ip/cidr.js'
import { canonicalPaddedIp } from '../ip/padded-address.js'

/** A WHITE or TRAPPED line; times in seconds since the Epoch, `expire` 0 is never. */
export interface HostLine {
  kind: 'WHITE' | 'TRAPPED'
  ip: string
  first: number
  pass: number
  expire: number
  bcount: number
  pcount: number
}

export interface SpamtrapLine {
  kind: 'SPAMTRAP'
  address: string
  first: number
}

export interface GreyLine extends Omit<HostLine, 'kind'> {
  kind: 'GREY'
  helo: string
  from: string
  to: string
}

export type EntryLine = HostLine | SpamtrapLine | GreyLine

export type ParsedLine = { ok: true; entry: EntryLine } | { ok: false; reason: string }

/** Numbers of the original have 64 bits; the longest is `-9223372036854775808`. */
const MAX_NUMBER_CHARS = 20
/** bcount and pcount are C ints. */
const MAX_COUNT = 2_147_483_647
const COUNT_FIELDS = 5
const GREY_FIELDS = 10
/**
 * Starts a line of `spamdctl export` that holds the comment of the entry on the line before; spamdb itself
 * prints no comments, since the original's lines have no place for them.
 */
export const COMMENT_LINE_PREFIX = '#comment|'
/** Words between bars of a tuple: all ways to part them are tried, so their number is bounded. */
export const MAX_TUPLE_WORDS = 64

/**
 * Reads one line, without its line feed, latin-1. IP addresses come out canonical, spamtraps as written. `nowSec` becomes `first` where the line has no such field (TRAPPED, SPAMTRAP). Times beyond
 * +-(2^53 - 1) are cut to that. Bars inside HELO, sender and recipient are told apart by angle brackets
 * where that has one answer; else the line is refused.
 */
export function parseSpamdbLine(line: string, nowSec: number): ParsedLine {
  if (line.includes('\0')) return bad('a NUL byte')
  const fields = line.split('|')
  switch (fields[0]) {
    case 'WHITE':
      return parseWhite(fields)
    case 'TRAPPED':
      return parseTrapped(fields, nowSec)
    case 'SPAMTRAP':
      return parseSpamtrap(line.slice('SPAMTRAP|'.length), nowSec)
    case 'GREY':
      return parseGrey(fields)
    default:
      return bad('not a line of spamdb (WHITE, TRAPPED, SPAMTRAP or GREY)')
  }
}

/** The line of an entry in the original's form, latin-1, without line feed. */
export function formatSpamdbLine(entry: EntryLine): string {
  switch (entry.kind) {
    case 'WHITE':
      return `WHITE|${entry.ip}|||${formatCounts(entry)}`
    case 'TRAPPED':
      return `TRAPPED|${entry.ip}|${entry.expire}`
    case 'SPAMTRAP':
      return `SPAMTRAP|${escapeField(entry.address)}`
    case 'GREY': {
      const tuple = `${escapeField(entry.helo)}|${escapeField(entry.from)}|${escapeField(entry.to)}`
      return `GREY|${entry.ip}|${tuple}|${formatCounts(entry)}`
    }
  }
}

/**
 * As `formatSpamdbLine`, with bars inside the fields of a tuple as `\x7c` where the line would else be read
 * back differently: what export writes, so that import loses nothing.
 */
export function formatExactLine(entry: EntryLine): string {
  const line = formatSpamdbLine(entry)
  if (entry.kind !== 'GREY' || !`${entry.helo}${entry.from}${entry.to}`.includes('|')) return line
  const parsed = parseSpamdbLine(line, 0)
  if (parsed.ok && parsed.entry.kind === 'GREY') {
    const { helo, from, to } = parsed.entry
    if (helo === entry.helo && from === entry.from && to === entry.to) return line
  }
  const tuple = [entry.helo, entry.from, entry.to]
    .map((field) => escapeField(field).replaceAll('|', '\\x7c'))
    .join('|')
  return `GREY|${entry.ip}|${tuple}|${formatCounts(entry)}`
}

/** Field text with control characters and look-alike backslashes escaped; other bytes stay. */
export function escapeField(text: string): string {
  if (!/[\u0000-\u001f\u007f\\]/.test(text)) return text
  return text.replace(
    /[\u0000-\u001f\u007f]|\\(?=x(?:0[1-9a-f]|1[0-9a-f]|7f|5c|7c))/g,
    (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
  )
}

/** Inverse of `escapeField`; also reads `\x7c`. Other backslashes stay as they are. */
export function unescapeField(text: string): string {
  if (!text.includes('\\x')) return text
  return text.replace(/\\x(0[1-9a-f]|1[0-9a-f]|7f|5c|7c)/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 16)),
  )
}

function formatCounts(entry: HostLine | GreyLine): string {
  return `${entry.first}|${entry.pass}|${entry.expire}|${entry.bcount}|${entry.pcount}`
}

function parseWhite(fields: readonly string[]): ParsedLine {
  if (fields.length !== 9 || fields[2] !== '' || fields[3] !== '') {
    return bad('a WHITE line has 9 fields, the third and fourth empty')
  }
  const ip = canonicalPaddedIp(fields[1]!)
  if (ip === undefined) return bad('the second field is not an ip address')
  const counts = parseCounts(fields, 4)
  return counts === undefined ? badCounts() : { ok: true, entry: { kind: 'WHITE', ip, ...counts } }
}

function parseTrapped(fields: readonly string[], nowSec: number): ParsedLine {
  if (fields.length !== 3) return bad('a TRAPPED line has 3 fields')
  const ip = canonicalPaddedIp(fields[1]!)
  if (ip === undefined) return bad('the second field is not an ip address')
  const expire = parseTime(fields[2]!)
  if (expire === undefined) return bad('the third field is not a time in seconds since the epoch')
  return { ok: true, entry: { kind: 'TRAPPED', ip, first: nowSec, pass: 0, expire, bcount: 1, pcount: -1 } }
}

function parseSpamtrap(text: string, nowSec: number): ParsedLine {
  const address = unescapeField(text)
  if (!address.includes('@')) return bad('a spamtrap is an e-mail address')
  return { ok: true, entry: { kind: 'SPAMTRAP', address, first: nowSec } }
}

function parseGrey(fields: string[]): ParsedLine {
  if (fields.length < 9) return bad('a GREY line has 10 fields, or 9 without helo')
  const ip = canonicalPaddedIp(fields[1]!) ?? canonicalNetwork(fields[1]!)
  if (ip === undefined) return bad('the second field is not an ip address')
  const counts = parseCounts(fields, fields.length - COUNT_FIELDS)
  if (counts === undefined) return badCounts()
  const tuple =
    fields.length === GREY_FIELDS
      ? { helo: unescapeField(fields[2]!), from: unescapeField(fields[3]!), to: unescapeField(fields[4]!) }
      : splitTuple(fields.slice(2, -COUNT_FIELDS))
  if (tuple === undefined) return bad('bars inside helo, from or to leave their ends unclear')
  const { helo, from, to } = tuple
  const { first, pass, expire, bcount, pcount } = counts
  return { ok: true, entry: { kind: 'GREY', ip, helo, from, to, first, pass, expire, bcount, pcount } }
}

function canonicalNetwork(text: string): string | undefined {
  const network = text.includes('/') ? parseCidr(text) : undefined
  return network === undefined || network.hadHostBits ? undefined : formatCidr(network)
}

/** helo, from and to of the words between bars: two words have no helo, more than three held bars. */
function splitTuple(words: string[]): { helo: string; from: string; to: string } | undefined {
  if (words.length === 2) return { helo: '', from: unescapeField(words[0]!), to: unescapeField(words[1]!) }
  if (words.length > MAX_TUPLE_WORDS) return undefined
  const isBracketed = (start: number, end: number): boolean =>
    words[start]!.startsWith('<') && words[end - 1]!.endsWith('>')
  let found: [number, number] | undefined
  for (let fromStart = 1; fromStart < words.length - 1; fromStart += 1) {
    if (!words[fromStart]!.startsWith('<')) continue
    for (let toStart = fromStart + 1; toStart < words.length; toStart += 1) {
      if (!isBracketed(fromStart, toStart) || !isBracketed(toStart, words.length)) continue
      if (found !== undefined) return undefined
      found = [fromStart, toStart]
    }
  }
  if (found === undefined) return undefined
  const join = (start: number, end?: number): string => unescapeField(words.slice(start, end).join('|'))
  return { helo: join(0, found[0]), from: join(found[0], found[1]), to: join(found[1]) }
}

function parseCounts(fields: readonly string[], at: number): Omit<HostLine, 'kind' | 'ip'> | undefined {
  const first = parseTime(fields[at]!)
  const pass = parseTime(fields[at + 1]!)
  const expire = parseTime(fields[at + 2]!)
  const bcount = parseTime(fields[at + 3]!)
  const pcount = parseTime(fields[at + 4]!)
  if (first === undefined || pass === undefined || expire === undefined) return undefined
  if (bcount === undefined || pcount === undefined || !isCount(bcount) || !isCount(pcount)) return undefined
  return { first, pass, expire, bcount, pcount }
}

function isCount(value: number): boolean {
  return value >= -MAX_COUNT - 1 && value <= MAX_COUNT
}

/** A whole number with an optional minus sign, cut to what a JS number holds exactly. By hand: five a line. */
function parseTime(text: string): number | undefined {
  const isNegative = text.charCodeAt(0) === 0x2d
  const start = isNegative ? 1 : 0
  if (text.length === start || text.length > MAX_NUMBER_CHARS) return undefined
  let value = 0
  for (let index = start; index < text.length; index += 1) {
    const digit = text.charCodeAt(index) - 0x30
    if (digit < 0 || digit > 9) return undefined
    value = value * 10 + digit
  }
  const cut = Math.min(value, Number.MAX_SAFE_INTEGER)
  return isNegative && cut !== 0 ? -cut : cut
}

function bad(reason: string): ParsedLine {
  return { ok: false, reason }
}

function badCounts(): ParsedLine {
  return bad('times and counters at the end are not five whole numbers')
}
