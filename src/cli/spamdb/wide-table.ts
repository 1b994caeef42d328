/**
 * `spamdb --human` of a whole list that goes to no terminal: the same table as HumanTable makes without a width. Rows
 * come as lines that the store produces (its form `wide`) and stay bytes, since a million of them would else be entries,
 * texts and garbage.
 */
import { toWireText } from '../../app/wire-text.js'
import { escapeField } from '../../codec/database/spamdb-text.js'
import { ENTRY_KINDS, type Entry } from '../../domain/entry.js'
import { EXPIRE_NEVER } from '../../domain/times.js'
import {
  ARROW,
  cellCount,
  durationText,
  GAP,
  header,
  isEnough,
  KINDS,
  type Layout,
  LEAST_ADDRESS_CHARS,
  LEAST_LEFT_CHARS,
  layoutFor,
  type Needed,
  ROWS_AT_ONCE,
} from './human-table.js'
import { LineBytes } from './line-bytes.js'
import { LOCAL_TIME_CHARS, LocalTimeBytes } from './local-time.js'

const COMMA = 0x2c
const MINUS = 0x2d
const DIGIT_0 = 0x30
const LINE_FEED = 0x0a
/** Stands between a spamtrap and its comment. */
const TAB = 0x09

/** Places in the bytes of a row. */
const ADDRESS = 0
const ADDRESS_END = 1
const BLOCKED = 2
const PASSED = 3
const DETAIL = 4
const DETAIL_END = 5
const PLACES = 6

const FIRST = 0
const PASS = 1
const EXPIRE = 2
const TIMES = 3

const BLOCKED_CHARS = 7
const PASSED_CHARS = 6

/** Place of a kind in ENTRY_KINDS by the first byte of its name, which all have for themselves. */
const KIND_OF_BYTE = new Map(ENTRY_KINDS.map((kind, index) => [kind.charCodeAt(0), index]))
const TRAPPED = ENTRY_KINDS.indexOf('TRAPPED')
const SPAMTRAP = ENTRY_KINDS.indexOf('SPAMTRAP')

/** A table being written: rows go in, lines come out when there are enough of them. */
export class WideTable {
  readonly #nowSec: number
  readonly #localTime = new LocalTimeBytes()
  readonly #lines = new LineBytes()
  /** The bytes that hold each row that waits. */
  readonly #sources: Uint8Array[] = []
  readonly #kinds = new Uint8Array(ROWS_AT_ONCE)
  readonly #places = new Int32Array(ROWS_AT_ONCE * PLACES)
  readonly #times = new Float64Array(ROWS_AT_ONCE * TIMES)
  readonly #lefts: string[] = []
  #rowCount = 0
  #layout: Layout | undefined

  constructor(nowSec: number) {
    this.#nowSec = nowSec
  }

  /** Adds lines of the store, which must stay as they are; yields bytes that are valid until the next step. */
  *addLines(lines: Uint8Array): Generator<Uint8Array> {
    for (let at = 0; at < lines.length; ) {
      at = this.#readRow(lines, at)
      if (this.#rowCount === ROWS_AT_ONCE) yield this.end()
    }
  }

  /** Adds entries whose texts may have to be escaped. */
  *addEntries(entries: readonly Entry[]): Generator<Uint8Array> {
    for (const entry of entries) {
      this.#readRow(Buffer.from(lineOf(entry), 'latin1'), 0)
      if (this.#rowCount === ROWS_AT_ONCE) yield this.end()
    }
  }

  /** The lines of the pending rows. */
  end(): Uint8Array {
    const lines = this.#lines
    lines.clear()
    if (this.#rowCount === 0) return lines.bytes()
    const needed = this.#neededByRows()
    let layout = this.#layout
    if (layout === undefined || !isEnough(layout, needed)) {
      if (layout !== undefined) lines.text('\n')
      layout = layoutFor(needed, layout, undefined)
      this.#layout = layout
      lines.text(header(layout))
    }
    for (let row = 0; row < this.#rowCount; row += 1) this.#writeRow(row, layout)
    this.#rowCount = 0
    this.#sources.length = 0
    return lines.bytes()
  }

  /** Reads the line that begins at `start`; returns where it ends. */
  #readRow(bytes: Uint8Array, start: number): number {
    const kind = KIND_OF_BYTE.get(bytes[start]!)!
    const row = this.#rowCount
    const places = this.#places
    const base = row * PLACES
    const address = start + ENTRY_KINDS[kind]!.length + 1
    const addressEnd = endOf(bytes, address)
    let at = addressEnd + 1
    for (let time = FIRST; time <= EXPIRE; time += 1) at = this.#readTime(bytes, at, time)
    const passed = endOf(bytes, at) + 1
    const detail = endOf(bytes, passed) + 1
    const end = bytes.indexOf(LINE_FEED, detail)
    places[base + ADDRESS] = address
    places[base + ADDRESS_END] = addressEnd
    places[base + BLOCKED] = at
    places[base + PASSED] = passed
    places[base + DETAIL] = detail
    places[base + DETAIL_END] = end
    if (kind === SPAMTRAP) {
      const tab = bytes.subarray(detail, end).indexOf(TAB)
      places[base + ADDRESS] = detail
      places[base + ADDRESS_END] = tab < 0 ? end : detail + tab
      places[base + DETAIL] = tab < 0 ? end : detail + tab + 1
    }
    this.#sources[row] = bytes
    this.#kinds[row] = kind
    const expire = this.#times[row * TIMES + EXPIRE]!
    this.#lefts[row] = expire === EXPIRE_NEVER ? 'never' : durationText(expire - this.#nowSec)
    this.#rowCount = row + 1
    return end + 1
  }

  #readTime(bytes: Uint8Array, start: number, time: number): number {
    let at = start
    const isNegative = bytes[at] === MINUS
    if (isNegative) at += 1
    let value = 0
    for (let byte = bytes[at]!; byte !== COMMA; byte = bytes[at]!) {
      value = value * 10 + byte - DIGIT_0
      at += 1
    }
    this.#times[this.#rowCount * TIMES + time] = isNegative ? -value : value
    return at + 1
  }

  #neededByRows(): Needed {
    let addressChars = LEAST_ADDRESS_CHARS
    let leftChars = LEAST_LEFT_CHARS
    let hasDetail = false
    for (let row = 0; row < this.#rowCount; row += 1) {
      addressChars = Math.max(addressChars, this.#addressCells(row))
      leftChars = Math.max(leftChars, this.#lefts[row]!.length)
      const base = row * PLACES
      hasDetail ||= this.#places[base + DETAIL]! < this.#places[base + DETAIL_END]!
    }
    return { addressChars, leftChars, hasDetail }
  }

  #addressCells(row: number): number {
    const start = this.#places[row * PLACES + ADDRESS]!
    const end = this.#places[row * PLACES + ADDRESS_END]!
    if (this.#kinds[row] !== SPAMTRAP) return end - start
    return cellCount(Buffer.from(this.#sources[row]!.subarray(start, end)).toString('latin1'))
  }

  #writeRow(row: number, { addressChars, leftChars }: Layout): void {
    const lines = this.#lines
    const bytes = this.#sources[row]!
    const places = this.#places
    const kind = this.#kinds[row]!
    const base = row * PLACES
    const left = this.#lefts[row]!
    lines.text(KINDS[ENTRY_KINDS[kind]!])
    lines.copy(bytes, places[base + ADDRESS]!, places[base + ADDRESS_END]!)
    lines.blanks(addressChars - this.#addressCells(row) + GAP.length + leftChars - left.length)
    lines.text(left)
    // Blanks are held back until something follows: no line ends with any.
    const blocked = places[base + BLOCKED]!
    const passed = places[base + PASSED]!
    let gap = GAP.length
    gap = this.#writeNumber(bytes, blocked, BLOCKED_CHARS, gap)
    gap = this.#writeNumber(bytes, passed, PASSED_CHARS, gap)
    gap = this.#writeTimes(row, kind, gap)
    const detail = places[base + DETAIL]!
    const end = places[base + DETAIL_END]!
    if (detail < end) {
      lines.blanks(gap)
      lines.copy(bytes, detail, end)
    }
    lines.text('\n')
  }

  /** Writes the number at `start`, up to its comma, to the right of its column; returns the blanks held back. */
  #writeNumber(bytes: Uint8Array, start: number, chars: number, gap: number): number {
    const end = endOf(bytes, start)
    if (start === end) return gap + chars + GAP.length
    this.#lines.blanks(gap + chars - (end - start))
    this.#lines.copy(bytes, start, end)
    return GAP.length
  }

  #writeTimes(row: number, kind: number, start: number): number {
    const at = row * TIMES
    let gap = start
    if (kind === SPAMTRAP) gap += LOCAL_TIME_CHARS + GAP.length
    else if (this.#times[at + EXPIRE] === EXPIRE_NEVER) gap = this.#writeNever(gap)
    else gap = this.#writeTime(this.#times[at + EXPIRE]!, gap)
    if (kind === SPAMTRAP || kind === TRAPPED) gap += LOCAL_TIME_CHARS + GAP.length
    else gap = this.#writeTime(this.#times[at + PASS]!, gap)
    return this.#writeTime(this.#times[at + FIRST]!, gap)
  }

  #writeTime(timeSec: number, gap: number): number {
    this.#lines.blanks(gap)
    return GAP.length + LOCAL_TIME_CHARS - this.#localTime.addTo(this.#lines, timeSec)
  }

  #writeNever(gap: number): number {
    this.#lines.blanks(gap)
    this.#lines.text('never')
    return GAP.length + LOCAL_TIME_CHARS - 'never'.length
  }
}

/** Where the part that begins at `start` ends: short ones, for which a call of `indexOf` costs more. */
function endOf(bytes: Uint8Array, start: number): number {
  let at = start
  while (bytes[at] !== COMMA) at += 1
  return at
}

/** The line of an entry whose texts are escaped or that has a comment. */
function lineOf(entry: Entry): string {
  if (entry.kind === 'SPAMTRAP') {
    const note = entry.comment === undefined ? '' : `\t${escapeField(toWireText(entry.comment))}`
    return `SPAMTRAP,,${entry.first},0,0,,,${escapeField(entry.address)}${note}\n`
  }
  const { kind, ip, first, expire, bcount } = entry
  // The original marks TRAPPED by -1.
  const [pass, passed] = kind === 'TRAPPED' ? [0, ''] : [entry.pass, entry.pcount]
  return `${kind},${ip},${first},${pass},${expire},${bcount},${passed},${detailOf(entry)}\n`
}

function detailOf(entry: Exclude<Entry, { kind: 'SPAMTRAP' }>): string {
  if (entry.kind !== 'GREY') return entry.comment === undefined ? '' : escapeField(toWireText(entry.comment))
  return `${escapeField(entry.from)}${ARROW}${escapeField(entry.to)} (${escapeField(entry.helo)})`
}
