import { IpRangeCollector, type IpRangeSet, subtractSet } from '../../ip/ip-range-set.js'
import { escapeControl } from '../escape.js'
import { type LineOutcome, ListLineReader } from './list-line.js'
import { PlainLineReader } from './plain-lines.js'
import type { ItemRemark } from './text-behind.js'

/**
 * Maximum length of a line: JSON records and CSV rows are far shorter; a longer line counts as unknown.
 * @internal The tests go to the limit and beyond it.
 */
export const MAX_LINE_BYTES = 65536
/** Maximum number of wide items kept; lists of unassigned space have about a hundred. */
export const MAX_WIDE_ITEMS = 1024
/** Bytes of an unknown line that are shown to the user. */
const EXCERPT_BYTES = 60

const LINE_FEED = 0x0a
const CARRIAGE_RETURN = 0x0d

/** How a list is to be read. */
export interface ListParserOptions {
  /** Column that holds the addresses of a CSV list, from 1; without it the first one, like any other list. */
  column?: number | undefined
}

/** A kind of line that was corrected or refused. */
type LineNoteKind =
  | 'host-bits'
  | 'zero-prefix'
  | 'reversed'
  | 'short-form'
  | 'netmask'
  | 'max-range'
  | ItemRemark
  | 'excluded'
  | 'nomatch'
  | 'long-line'

/** Notes about the list as a whole, made by the users of a parser. */
type WholeNoteKind = 'wide' | 'special-use' | 'special-use-cut'

/** A kind of note about a list. */
export type ListNoteKind = LineNoteKind | WholeNoteKind

/** One kind of line to report, once for the whole list. */
export interface ListNote {
  kind: ListNoteKind
  count: number
  /** Undefined for notes that are not about one line. */
  firstLine: number | undefined
  /** What happened to these lines, as a message: lower case, no full stop. */
  message: string
}

/** An item with more addresses than a /8 or, for IPv6, a /19. */
export interface WideItem {
  line: number
  /** Its text, escaped for a terminal. */
  excerpt: string
  set: IpRangeSet
}

/** Why the whole list must not be used. `message`: lower case, no full stop. */
export interface ListFailure {
  reason: 'html' | 'mostly-unknown' | 'record-count'
  message: string
}

/** The content of a list and everything unusual in it. */
export interface ListSummary {
  /** Every address of the accepted lines, without the excluded ones. */
  set: IpRangeSet
  /** Accepted lines: the N of `blacklist NAME N entries`. */
  accepted: number
  /** All lines, including a last one without a line feed. */
  lineCount: number
  /** Empty lines, comments and lines that only describe the list. */
  ignored: number
  /** Lines that should have given an address but did not; refused ones are included. */
  unknown: number
  /** The first such line: its number, and its beginning, escaped for a terminal. */
  firstUnknown: { line: number; excerpt: string } | undefined
  notes: ListNote[]
  /** The wide items in order, at most `MAX_WIDE_ITEMS`. `set` contains their addresses, too. */
  wideItems: WideItem[]
  failure: ListFailure | undefined
}

/** Receives a list piece by piece; where the pieces are cut makes no difference. */
export interface ListParser {
  /** Reads the next bytes of the list; they may be reused afterwards. */
  push(chunk: Uint8Array): void
  /** Ends the list. The parser must not be used again. */
  end(): ListSummary
}

const NOTE_MESSAGES: Readonly<Record<LineNoteKind, string>> = {
  'host-bits': 'networks with host bits set were read as the whole network',
  'zero-prefix': 'networks that cover every address were refused',
  reversed: 'ranges that end below their start were refused',
  'short-form': 'incomplete addresses without a matching prefix length were refused',
  netmask: 'ranges that end with a netmask were refused',
  'max-range': 'ranges larger than $MAXRANGE4 of the zone file were refused',
  'second-address': 'only the first of several addresses on a line was read',
  path: 'addresses followed by a slash without prefix length were read as single addresses',
  'prefix-apart': 'addresses followed by a number that may be a prefix length were read as single addresses',
  joined: 'text joined to an address was ignored',
  'lone-cr': 'lines were read only up to a carriage return inside them',
  'leading-zeros': 'numbers with leading zeros were read as decimal',
  excluded: 'addresses marked with ! were removed from the list',
  nomatch: 'ipset entries marked nomatch were taken out of the list',
  'long-line': `lines of more than ${MAX_LINE_BYTES} bytes were refused`,
}

/**
 * A parser for address lists in any of the formats of docs/protocol/list-formats.md, recognised line by line. It
 * keeps 4 to 17 bytes per address and at most one line of text, whatever the input.
 */
export function createListParser(options: ListParserOptions = {}): ListParser {
  return new LineByLineParser(options.column)
}

class LineByLineParser implements ListParser {
  readonly #collector = new IpRangeCollector()
  readonly #excluded = new IpRangeCollector()
  readonly #reader: ListLineReader
  readonly #plain = new PlainLineReader(this.#collector)
  readonly #hasColumn: boolean
  readonly #notes = new Map<LineNoteKind, ListNote>()
  readonly #wideItems: WideItem[] = []
  /** Beginning of a line whose end has not arrived yet, with room for the line feed that will end it. */
  readonly #pending = new Uint8Array(MAX_LINE_BYTES + 1)
  #pendingLength = 0
  /** True if the current line is already too long: its rest is skipped. */
  #isPendingLong = false
  #lineCount = 0
  #accepted = 0
  #ignored = 0
  #unknown = 0
  #hasExcluded = false
  #isHtml = false
  #firstUnknown: { line: number; excerpt: string } | undefined
  /** A line that counts only if similar lines follow. */
  #held: { line: number; excerpt: string } | undefined

  constructor(column: number | undefined) {
    this.#reader = new ListLineReader(column, this.#collector, this.#excluded)
    this.#hasColumn = column !== undefined
  }

  push(chunk: Uint8Array): void {
    let at = 0
    if (this.#pendingLength > 0 || this.#isPendingLong || this.#lineCount === 0) {
      const firstEnd = chunk.indexOf(LINE_FEED)
      this.#keep(chunk, 0, firstEnd < 0 ? chunk.length : firstEnd)
      if (firstEnd < 0) return
      this.#endPending()
      at = firstEnd + 1
    }
    const lastEnd = chunk.lastIndexOf(LINE_FEED)
    if (at <= lastEnd) this.#readLines(chunk, at, lastEnd)
    if (lastEnd + 1 < chunk.length) this.#keep(chunk, Math.max(at, lastEnd + 1), chunk.length)
  }

  end(): ListSummary {
    if (this.#pendingLength > 0 || this.#isPendingLong) this.#endPending()
    this.#refuseHeld()
    const set = this.#collector.takeSet()
    return {
      set: this.#hasExcluded ? subtractSet(set, this.#excluded.takeSet()) : set,
      accepted: this.#accepted,
      lineCount: this.#lineCount,
      ignored: this.#ignored,
      unknown: this.#unknown,
      firstUnknown: this.#firstUnknown,
      notes: [...this.#notes.values()],
      wideItems: this.#wideItems,
      failure: this.#findFailure(),
    }
  }

  #findFailure(): ListFailure | undefined {
    if (this.#isHtml) return { reason: 'html', message: 'the source is an HTML page, not a list' }
    const lines = this.#lineCount - this.#ignored
    if (this.#unknown * 2 > lines) {
      const { line, excerpt } = this.#firstUnknown!
      const column = this.#hasColumn ? ' in that column' : ''
      return {
        reason: 'mostly-unknown',
        message: `${this.#unknown} of ${lines} lines hold no address${column}, first line ${line}: ${excerpt}`,
      }
    }
    const mismatch = this.#reader.recordMismatch
    if (mismatch === undefined) return undefined
    return {
      reason: 'record-count',
      message: `the list announces ${mismatch.wanted} records, but ${mismatch.found} were read`,
    }
  }

  #keep(bytes: Uint8Array, start: number, end: number): void {
    if (this.#isPendingLong) return
    const lengthBytes = this.#pendingLength + end - start
    if (lengthBytes > MAX_LINE_BYTES) {
      this.#pending.set(bytes.subarray(start, end - (lengthBytes - MAX_LINE_BYTES)), this.#pendingLength)
      this.#isPendingLong = true
      return
    }
    this.#pending.set(bytes.subarray(start, end), this.#pendingLength)
    this.#pendingLength = lengthBytes
  }

  #endPending(): void {
    const lengthBytes = this.#isPendingLong ? MAX_LINE_BYTES + 1 : this.#pendingLength
    this.#pendingLength = 0
    this.#isPendingLong = false
    this.#pending[Math.min(lengthBytes, MAX_LINE_BYTES)] = LINE_FEED
    this.#readLine(this.#pending, 0, lengthBytes)
  }

  /** Reads whole lines from `start`, the last one ending with the line feed at `lastEnd`. */
  #readLines(bytes: Uint8Array, start: number, lastEnd: number): void {
    let at = start
    while (at <= lastEnd) {
      if (!this.#hasColumn && !this.#reader.isLimited) {
        this.#plain.isZone = this.#reader.isZone
        at = this.#plain.read(bytes, at, lastEnd)
        this.#countPlain()
        if (at > lastEnd) return
      }
      let lineEnd = at
      while (bytes[lineEnd] !== LINE_FEED) lineEnd += 1
      this.#readLine(bytes, at, lineEnd)
      at = lineEnd + 1
    }
  }

  #countPlain(): void {
    const { accepted, ignored, hostBits, linesBeforeHostBits } = this.#plain
    if (accepted > 0) this.#reader.noteItems()
    if (hostBits > 0) this.#note('host-bits', hostBits, this.#lineCount + linesBeforeHostBits + 1)
    this.#accepted += accepted
    this.#ignored += ignored
    this.#lineCount += accepted + ignored
  }

  #readLine(bytes: Uint8Array, start: number, end: number): void {
    this.#lineCount += 1
    if (end - start > MAX_LINE_BYTES) {
      this.#note('long-line')
      this.#countUnknown(bytes, start, end)
      return
    }
    const textStart = this.#lineCount === 1 && startsWithByteOrderMark(bytes, start, end) ? start + 3 : start
    const textEnd = end > textStart && bytes[end - 1] === CARRIAGE_RETURN ? end - 1 : end
    const outcome = this.#reader.read(bytes, textStart, textEnd)
    this.#count(outcome, bytes, textStart, textEnd)
    const held = this.#reader.takeHeld()
    if (held !== undefined) this.#readHeld(held)
  }

  #readHeld(item: Uint8Array): void {
    const { line } = this.#held!
    const lineCount = this.#lineCount
    this.#held = undefined
    this.#lineCount = line
    this.#count(this.#reader.readItem(item), item, 0, item.length)
    this.#lineCount = lineCount
  }

  /** No similar line followed. */
  #refuseHeld(): void {
    if (this.#held === undefined) return
    this.#unknown += 1
    if (this.#firstUnknown === undefined || this.#firstUnknown.line > this.#held.line) {
      this.#firstUnknown = this.#held
    }
  }

  #count(outcome: LineOutcome, bytes: Uint8Array, start: number, end: number): void {
    switch (outcome) {
      case 'accepted':
        this.#accepted += 1
        this.#noteFacts()
        this.#keepWide(bytes, start, end)
        return
      case 'lone-cr':
        this.#ignored += 1
        this.#note(outcome)
        return
      case 'ignored':
        this.#ignored += 1
        return
      case 'excluded':
      case 'nomatch':
        this.#hasExcluded = true
        this.#note(outcome)
        this.#noteFacts()
        return
      case 'held':
        this.#held = { line: this.#lineCount, excerpt: excerptOf(bytes, start, end) }
        return
      case 'html':
        if (this.#accepted === 0) this.#isHtml = true
        this.#countUnknown(bytes, start, end)
        return
      case 'unknown':
        this.#countUnknown(bytes, start, end)
        return
      default:
        this.#note(outcome)
        this.#countUnknown(bytes, start, end)
    }
  }

  #noteFacts(): void {
    const { hadHostBits, remark } = this.#reader.facts
    if (hadHostBits) this.#note('host-bits')
    if (remark !== undefined) this.#note(remark)
  }

  #keepWide(bytes: Uint8Array, start: number, end: number): void {
    const { wide } = this.#reader.facts
    if (wide === undefined || this.#wideItems.length === MAX_WIDE_ITEMS) return
    this.#wideItems.push({ line: this.#lineCount, excerpt: excerptOf(bytes, start, end), set: wide })
  }

  #countUnknown(bytes: Uint8Array, start: number, end: number): void {
    this.#unknown += 1
    this.#firstUnknown ??= { line: this.#lineCount, excerpt: excerptOf(bytes, start, end) }
  }

  #note(kind: LineNoteKind, count = 1, firstLine = this.#lineCount): void {
    const note = this.#notes.get(kind)
    if (note !== undefined) note.count += count
    else this.#notes.set(kind, { kind, count, firstLine, message: NOTE_MESSAGES[kind] })
  }
}

function excerptOf(bytes: Uint8Array, start: number, end: number): string {
  const excerpt = new TextDecoder().decode(bytes.subarray(start, Math.min(end, start + EXCERPT_BYTES)))
  return `"${escapeControl(excerpt)}"${end - start > EXCERPT_BYTES ? '...' : ''}`
}

function startsWithByteOrderMark(bytes: Uint8Array, start: number, end: number): boolean {
  return end - start >= 3 && bytes[start] === 0xef && bytes[start + 1] === 0xbb && bytes[start + 2] === 0xbf
}
