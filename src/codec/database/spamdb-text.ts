/**
 * The lines of spamdb's listing, read and written. Wire text is latin-1: one character for one byte.
 *
 *   WHITE|ip|||first|pass|expire|bcount|pcount
 *   TRAPPED|ip|expire
 *   SPAMTRAP|address
 *   GREY|ip|helo|from|to|first|pass|expire|bcount|pcount       (written; also read without helo: 9 fields)
 *   POOL|network|key|first|pass|expire|bcount|pcount            (ours, never read)
 *
 * Fields are written as they are, except that control characters (below 0x20, and 0x7f) become `\xNN`, and a
 * backslash that would read as such an escape becomes `\x5c`, so that reading gives back the same bytes.
 * Source: spamdb(8) of OpenBSD; docs/protocol/database-text.md.
 */

import { formatCidr, parseCidr } from '../../ip/cidr.js'
import { canonicalPaddedIp } from '../../ip/padded-address.js'

/** A WHITE or TRAPPED line; times in seconds since the Epoch; `expire` 0 means never. */
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

/** A network that a pool of senders opened. */
export interface PoolLine extends Omit<HostLine, 'kind'> {
  kind: 'POOL'
  pool: string
}

export type EntryLine = HostLine | SpamtrapLine | GreyLine | PoolLine

export type ParsedLine = { ok: true; entry: Exclude<EntryLine, PoolLine> } | { ok: false; reason: string }

/** Numbers of the original have 64 bits; the longest is `-9223372036854775808`. */
const MAX_NUMBER_CHARS = 20
/** bcount and pcount are C ints. */
const MAX_COUNT = 2_147_483_647
const COUNT_FIELDS = 5
const BAR = 0x7c
/** Distance of the minus sign from the digit 0. */
const MINUS = 0x2d - 0x30
/**
 * Starts a line of `spamdctl export` that contains the comment of the entry on the line before; spamdb itself
 * prints no comments, because the original's lines have no place for them.
 */
export const COMMENT_LINE_PREFIX = '#comment|'
/**
 * Maximum number of words between bars in a tuple: all ways to divide them are tried.
 * @internal The tests go to the limit and beyond it.
 */
export const MAX_TUPLE_WORDS = 64

/**
 * Reads one line, without its line feed, latin-1. IP addresses come out canonical, spamtraps as written. `nowSec`
 * becomes `first` where the line has no such field (TRAPPED, SPAMTRAP). Times beyond +-(2^53 - 1) are limited to
 * that. Bars inside HELO, sender and recipient are recognised by the angle brackets if that has one answer only;
 * otherwise the line is refused.
 */
export function parseSpamdbLine(line: string, nowSec: number): ParsedLine {
  if (line.includes('\0')) return bad('a NUL byte')
  if (line.startsWith('GREY|')) return parseGrey(line)
  if (line.startsWith('WHITE|')) return parseWhite(line)
  if (line.startsWith('TRAPPED|')) return parseTrapped(line.split('|'), nowSec)
  if (line.startsWith('SPAMTRAP|')) return parseSpamtrap(line.slice('SPAMTRAP|'.length), nowSec)
  return bad('not a line of spamdb (WHITE, TRAPPED, SPAMTRAP or GREY)')
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
    case 'POOL':
      return `POOL|${entry.ip}|${entry.pool}|${formatCounts(entry)}`
    case 'GREY': {
      const tuple = `${escapeField(entry.helo)}|${escapeField(entry.from)}|${escapeField(entry.to)}`
      return `GREY|${entry.ip}|${tuple}|${formatCounts(entry)}`
    }
  }
}

/**
 * As `formatSpamdbLine`, with bars inside the fields of a tuple as `\x7c` if the line would otherwise be read back
 * differently. Export writes this form, so that import loses nothing.
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

/** Field text with control characters, and backslashes that look like an escape, escaped; other bytes are unchanged. */
export function escapeField(text: string): string {
  if (!/[\u0000-\u001f\u007f\\]/.test(text)) return text
  return text.replace(
    /[\u0000-\u001f\u007f]|\\(?=x(?:0[1-9a-f]|1[0-9a-f]|7f|5c|7c))/g,
    (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
  )
}

/** Inverse of `escapeField`; also reads `\x7c`. Other backslashes are kept. */
export function unescapeField(text: string): string {
  if (!text.includes('\\x')) return text
  return text.replace(/\\x(0[1-9a-f]|1[0-9a-f]|7f|5c|7c)/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 16)),
  )
}

function formatCounts(entry: HostLine | GreyLine | PoolLine): string {
  return `${entry.first}|${entry.pass}|${entry.expire}|${entry.bcount}|${entry.pcount}`
}

function parseWhite(line: string): ParsedLine {
  const ipStart = 'WHITE|'.length
  const ipEnd = line.indexOf('|', ipStart)
  const { bar: countsBar, areNumbers } = scanCounts(line)
  // Two empty fields: three bars in a row, the last of them before the counts.
  if (ipEnd < 0 || countsBar !== ipEnd + 2 || line[ipEnd + 1] !== '|') {
    return bad('a WHITE line has 9 fields, the third and fourth empty')
  }
  const ip = canonicalPaddedIp(line.slice(ipStart, ipEnd))
  if (ip === undefined) return bad('the second field is not an ip address')
  if (!areNumbers) return badCounts()
  const [first, pass, expire, bcount, pcount] = scanned as Counts
  if (pcount === -1 || pcount === -2) return bad(`pcount ${pcount} is not that of a WHITE entry`)
  return { ok: true, entry: { kind: 'WHITE', ip, first, pass, expire, bcount, pcount } }
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

function parseGrey(line: string): ParsedLine {
  const ipStart = 'GREY|'.length
  const ipEnd = line.indexOf('|', ipStart)
  const { bar: countsBar, areNumbers } = scanCounts(line)
  const firstBar = line.indexOf('|', ipEnd + 1)
  if (ipEnd < 0 || firstBar < 0 || firstBar >= countsBar) {
    return bad('a GREY line has 10 fields, or 9 without helo')
  }
  const ipText = line.slice(ipStart, ipEnd)
  const ip = canonicalPaddedIp(ipText) ?? canonicalNetwork(ipText)
  if (ip === undefined) return bad('the second field is not an ip address')
  if (!areNumbers) return badCounts()
  const tuple = parseTuple(line, ipEnd + 1, firstBar, countsBar)
  if (tuple === undefined) return bad('vertical bars inside helo, from or to make the fields ambiguous')
  const { helo, from, to } = tuple
  const [first, pass, expire, bcount, pcount] = scanned as Counts
  return { ok: true, entry: { kind: 'GREY', ip, helo, from, to, first, pass, expire, bcount, pcount } }
}

interface TupleText {
  helo: string
  from: string
  to: string
}

/**
 * The words from `start` to `end`, the first of which ends at `firstBar`. With two words there is no helo; with more
 * than three, a field contained bars.
 */
function parseTuple(line: string, start: number, firstBar: number, end: number): TupleText | undefined {
  const word = (from: number, to: number): string => unescapeField(line.slice(from, to))
  const secondBar = line.indexOf('|', firstBar + 1)
  if (secondBar === end) return { helo: '', from: word(start, firstBar), to: word(firstBar + 1, end) }
  const thirdBar = line.indexOf('|', secondBar + 1)
  if (thirdBar !== end) return splitTuple(line.slice(start, end).split('|'))
  return {
    helo: word(start, firstBar),
    from: word(firstBar + 1, secondBar),
    to: word(secondBar + 1, end),
  }
}

function canonicalNetwork(text: string): string | undefined {
  const network = text.includes('/') ? parseCidr(text) : undefined
  return network === undefined || network.hadHostBits ? undefined : formatCidr(network)
}

/** helo, from and to of more than three words between bars, if angle brackets divide them in one way only. */
function splitTuple(words: readonly string[]): TupleText | undefined {
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

/** The numbers that `scanCounts` found, in the order of the line; one array for all lines. */
const scanned: number[] = [0, 0, 0, 0, 0]

type Counts = [first: number, pass: number, expire: number, bcount: number, pcount: number]

interface CountsPlace {
  /** Position of the bar before the five numbers at the end; negative if there are fewer bars. */
  bar: number
  areNumbers: boolean
}

/**
 * Reads the five numbers at the end of a line into `scanned`, from the end, since only there no bar can belong to a
 * text. Whole numbers with an optional minus sign, limited to what a JS number holds exactly. Written by hand for
 * speed: a migration has millions of them.
 */
// eslint-disable-next-line complexity -- one loop over bytes, run for each of millions of lines
function scanCounts(line: string): CountsPlace {
  let index = line.length - 1
  let areNumbers = true
  for (let field = COUNT_FIELDS - 1; field >= 0; field -= 1) {
    const end = index
    let value = 0
    let scale = 1
    let code = 0
    for (; index >= 0; index -= 1) {
      code = line.charCodeAt(index) - 0x30
      if (code < 0 || code > 9) break
      // Sums below 2^53 are exact; larger ones are limited.
      value += code * scale
      scale *= 10
    }
    const isNegative = code === MINUS && end > index
    if (isNegative) index -= 1
    const length = end - index
    if (length === 0 || length > MAX_NUMBER_CHARS) areNumbers = false
    if (index >= 0 && line.charCodeAt(index) !== BAR) {
      areNumbers = false
      index = line.lastIndexOf('|', index)
    }
    if (index < 0) return { bar: -1, areNumbers: false }
    const cut = Math.min(value, Number.MAX_SAFE_INTEGER)
    scanned[field] = isNegative && cut !== 0 ? -cut : cut
    index -= 1
  }
  return { bar: index + 1, areNumbers: areNumbers && isCount(scanned[3]!) && isCount(scanned[4]!) }
}

function isCount(value: number): boolean {
  return value >= -MAX_COUNT - 1 && value <= MAX_COUNT
}

/** The number that is the whole text, as `scanCounts` reads them. */
function parseTime(text: string): number | undefined {
  if (text.length > MAX_NUMBER_CHARS || !/^-?[0-9]+$/.test(text)) return undefined
  const value = Math.max(Math.min(Number(text), Number.MAX_SAFE_INTEGER), -Number.MAX_SAFE_INTEGER)
  return value === 0 ? 0 : value
}

function bad(reason: string): ParsedLine {
  return { ok: false, reason }
}

function badCounts(): ParsedLine {
  return bad('times and counters at the end are not five whole numbers')
}
