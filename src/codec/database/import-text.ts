/**
 * Text that an import reads, line by line: of spamdb and `spamdctl export` (spamdb-text.ts), greydb, db_dump(1)
 * (db-dump-text.ts), and the dump of milter-greylist:
 *
 *   address TAB <sender> TAB <recipient> TAB time [AUTO] # comment
 *
 * where the time is when the tuple will be accepted, or, with AUTO, until when it is whitelisted. Source:
 * docs/protocol/database-text.md.
 */
import { canonicalPaddedIp } from '../../ip/padded-address.js'
import { DbDumpReader, isDbDumpStart } from './db-dump-text.js'
import type { ImportedLine, ImportTimes } from './imported-line.js'
import { COMMENT_LINE_PREFIX, type GreyLine, parseSpamdbLine } from './spamdb-text.js'

/**
 * Written in an export before the first tuple without angle brackets; otherwise a reader would assume a file of
 * greydb, which prints all tuples that way.
 */
export const EXACT_LINE = '#exact'

const DOMAIN_PREFIX = 'DOMAIN|'
const NOTHING: ImportedLine = { type: 'nothing' }

/** Reads the lines of one file in order, without line ends, latin-1. */
export class ImportTextReader {
  readonly #times: ImportTimes
  #isFirstLine = true
  #dump: DbDumpReader | undefined
  /** Set once a tuple shows that sender and recipient are written as they were received. */
  #hasBrackets = false
  /**
   * Time until which milter-greylist lets an address pass: it has a line for each tuple, we have one for the
   * address.
   */
  readonly #autoWhite = new Map<string, number>()

  constructor(times: ImportTimes) {
    this.#times = times
  }

  /** The entries and findings of one line. */
  read(rawLine: string): ImportedLine {
    const line = rawLine.endsWith('\r') ? rawLine.slice(0, -1) : rawLine
    if (this.#isFirstLine) {
      this.#isFirstLine = false
      const start = withoutByteOrderMark(line)
      if (!isDbDumpStart(start)) return this.#readEntry(start)
      this.#dump = new DbDumpReader(this.#times)
      return NOTHING
    }
    return this.#dump === undefined ? this.#readEntry(line) : this.#dump.read(line)
  }

  /** The findings at the end of the file: `bad` if the text is incomplete. */
  end(): ImportedLine {
    return this.#dump?.end() ?? NOTHING
  }

  #readEntry(line: string): ImportedLine {
    if (line === '') return NOTHING
    if (line.startsWith('#')) {
      if (line.startsWith(COMMENT_LINE_PREFIX)) {
        return { type: 'comment', text: line.slice(COMMENT_LINE_PREFIX.length) }
      }
      if (line === EXACT_LINE) this.#hasBrackets = true
      return NOTHING
    }
    if (line.startsWith(DOMAIN_PREFIX)) {
      const domain = line.slice(DOMAIN_PREFIX.length)
      return /^[\x21-\x7e]+$/.test(domain)
        ? { type: 'domain', domain }
        : { type: 'bad', reason: 'not a domain' }
    }
    const tuple = /^([0-9A-Fa-f.:]+)\t(.*)\t(.*)\t([0-9]{1,15})(?: ([A-Z]+))?(?:[ \t]*#.*)?$/.exec(line)
    if (tuple !== null)
      return this.#readMilterGreylist(tuple[1]!, tuple[2]!, tuple[3]!, Number(tuple[4]), tuple[5])
    const parsed = parseSpamdbLine(line, this.#times.nowSec)
    if (!parsed.ok) return { type: 'bad', reason: parsed.reason }
    return {
      type: 'entry',
      entry: parsed.entry.kind === 'GREY' ? this.#withBrackets(parsed.entry) : parsed.entry,
    }
  }

  /** greydb prints addresses without the angle brackets that a tuple of a live delivery has. */
  #withBrackets(entry: GreyLine): GreyLine {
    if (this.#hasBrackets) return entry
    if (!lacksBrackets(entry)) {
      this.#hasBrackets = hasBrackets(entry)
      return entry
    }
    return { ...entry, from: `<${entry.from}>`, to: `<${entry.to}>` }
  }

  #readMilterGreylist(
    address: string,
    from: string,
    to: string,
    time: number,
    word: string | undefined,
  ): ImportedLine {
    const { nowSec, passSec, greySec } = this.#times
    const ip = canonicalPaddedIp(address)
    if (ip === undefined) return { type: 'bad', reason: 'the first field is not an ip address' }
    if (word === 'AUTO') {
      const expire = Math.max(time, this.#autoWhite.get(ip) ?? 0)
      this.#autoWhite.set(ip, expire)
      if (expire <= nowSec) return { type: 'skipped' }
      return {
        type: 'entry',
        entry: { kind: 'WHITE', ip, first: nowSec, pass: nowSec, expire, bcount: 0, pcount: 1 },
      }
    }
    if (word !== undefined) return { type: 'bad', reason: `a line of milter-greylist with the word ${word}` }
    const first = time - passSec
    const expire = first + greySec
    if (expire <= nowSec) return { type: 'skipped' }
    const tuple = { helo: '', from: inBrackets(from), to: inBrackets(to) }
    return {
      type: 'entry',
      entry: { kind: 'GREY', ip, ...tuple, first, pass: expire, expire, bcount: 1, pcount: 0 },
    }
  }
}

/**
 * True for a tuple whose sender and recipient have no angle brackets: greydb prints all tuples in this way, spamdb hardly any.
 */
export function lacksBrackets({ from, to }: { from: string; to: string }): boolean {
  return !/[<>]/.test(from) && !/[<>]/.test(to)
}

/** True for a tuple that shows that its text is not greydb's. */
export function hasBrackets({ from, to }: { from: string; to: string }): boolean {
  return from.startsWith('<') || to.startsWith('<')
}

function inBrackets(address: string): string {
  return address.startsWith('<') ? address : `<${address}>`
}

/** A line without the byte order mark of UTF-8 that Windows editors write at the start of a file. */
export function withoutByteOrderMark(line: string): string {
  return line.startsWith('\u00ef\u00bb\u00bf') ? line.slice(3) : line
}
