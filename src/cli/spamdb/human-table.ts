/**
 * `spamdb --human`: a table with a header, streamed. Widths are those of the current rows; when later rows
 * need others (the first IPv6 address, the first tuple), a new table starts with a header. Text is latin-1,
 * one character per byte.
 */
import { toWireText } from '../../app/wire-text.js'
import { escapeField } from '../../codec/database/spamdb-text.js'
import { formatDuration } from '../../codec/duration.js'
import { ENTRY_KINDS, type Entry, type EntryKind, type WireText } from '../../domain/entry.js'
import { EXPIRE_NEVER } from '../../domain/times.js'
import { LineBytes } from './line-bytes.js'
import { LOCAL_TIME_CHARS, openLocalTime } from './local-time.js'

/** Number of rows that are laid out together. */
export const ROWS_AT_ONCE = 2000
export const GAP = '  '
const KIND_CHARS = 'SPAMTRAP'.length
/** Width of an IPv4 address, so that short ones do not start a new table. */
export const LEAST_ADDRESS_CHARS = 15
export const LEAST_LEFT_CHARS = 7
/** Width reserved for sender and recipient, or the comment, before less important columns. */
const LEAST_DETAIL_CHARS = 24
/** Anything narrower is useless for both. */
const LEAST_SHOWN_CHARS = 12
const DETAIL_HEAD = 'SENDER -> RECIPIENT (HELO), OR COMMENT'

/** Columns that are omitted if the terminal is too narrow, the last ones first. */
const OPTIONAL = [
  { name: 'blocked', head: 'BLOCKED', chars: 7 },
  { name: 'passed', head: 'PASSED', chars: 6 },
  { name: 'expire', head: 'EXPIRES', chars: LOCAL_TIME_CHARS },
  { name: 'pass', head: 'PASSES', chars: LOCAL_TIME_CHARS },
  { name: 'first', head: 'FIRST SEEN', chars: LOCAL_TIME_CHARS },
] as const

export interface Layout {
  addressChars: number
  leftChars: number
  columns: readonly (typeof OPTIONAL)[number][]
  hasDetail: boolean
  /** Columns for the detail; undefined: show all of it. */
  detailRoom: number | undefined
}

/** A table being written: rows go in one by one, lines come out when there are enough of them. */
export class HumanTable {
  readonly #nowSec: number
  readonly #width: number | undefined
  readonly #localTime = openLocalTime()
  readonly #lines = new LineBytes()
  #waiting: Entry[] = []
  #layout: Layout | undefined

  /** For a terminal of `width` columns, or with everything when it is undefined. */
  constructor(nowSec: number, width: number | undefined) {
    this.#nowSec = nowSec
    this.#width = width
  }

  /** Adds a row; the bytes belong to the caller until the next call. */
  add(entry: Entry): Uint8Array {
    this.#waiting.push(entry)
    return this.#waiting.length < ROWS_AT_ONCE ? NOTHING : this.end()
  }

  /** The lines of the pending rows. */
  end(): Uint8Array {
    const entries = this.#waiting
    this.#waiting = []
    const lines = this.#lines
    lines.clear()
    if (entries.length === 0) return NOTHING
    const lefts = entries.map((entry) => leftOf(entry, this.#nowSec))
    const needed = neededBy(entries, lefts)
    let layout = this.#layout
    if (layout === undefined || !isEnough(layout, needed)) {
      if (layout !== undefined) lines.text('\n')
      layout = layoutFor(needed, layout, this.#width)
      this.#layout = layout
      lines.text(header(layout))
    }
    for (const [index, entry] of entries.entries())
      addRow(lines, layout, entry, lefts[index]!, this.#localTime)
    return lines.bytes()
  }
}

const NOTHING = new Uint8Array(0)

/** What a table must have for some rows. */
export type Needed = Pick<Layout, 'addressChars' | 'leftChars' | 'hasDetail'>

function neededBy(entries: readonly Entry[], lefts: readonly string[]): Needed {
  let addressChars = LEAST_ADDRESS_CHARS
  let leftChars = LEAST_LEFT_CHARS
  let hasDetail = false
  for (const [index, entry] of entries.entries()) {
    const address = entry.kind === 'SPAMTRAP' ? cellCount(escapeField(entry.address)) : entry.ip.length
    if (address > addressChars) addressChars = address
    if (lefts[index]!.length > leftChars) leftChars = lefts[index]!.length
    hasDetail ||= entry.kind === 'GREY' || entry.comment !== undefined
  }
  return { addressChars, leftChars, hasDetail }
}

/** True when rows that need this can go on in a table. */
export function isEnough(layout: Layout, needed: Needed): boolean {
  return (
    needed.addressChars <= layout.addressChars &&
    needed.leftChars <= layout.leftChars &&
    (layout.hasDetail || !needed.hasDetail)
  )
}

/** What fitted before still fits, so that a long list has few tables. */
export function layoutFor(needed: Needed, before: Layout | undefined, width: number | undefined): Layout {
  const addressChars = Math.max(needed.addressChars, before?.addressChars ?? 0)
  const leftChars = Math.max(needed.leftChars, before?.leftChars ?? 0)
  const { hasDetail } = needed
  if (width === undefined)
    return { addressChars, leftChars, columns: OPTIONAL, hasDetail, detailRoom: undefined }
  let room = width - KIND_CHARS - addressChars - leftChars - 2 * GAP.length
  const kept = hasDetail ? GAP.length + LEAST_DETAIL_CHARS : 0
  const columns: Layout['columns'][number][] = []
  for (const column of OPTIONAL) {
    const used = GAP.length + column.chars
    if (room - used < kept) break
    room -= used
    columns.push(column)
  }
  return { addressChars, leftChars, columns, hasDetail, detailRoom: Math.max(0, room - GAP.length) }
}

/** The line with the names of the columns. */
export function header({ addressChars, leftChars, columns, hasDetail, detailRoom }: Layout): string {
  const cells = ['KIND'.padEnd(KIND_CHARS), 'ADDRESS'.padEnd(addressChars), 'LEFT'.padStart(leftChars)]
  for (const { head, chars } of columns) cells.push(isNumber(chars) ? head : head.padEnd(chars))
  if (hasDetail && hasRoom(detailRoom)) cells.push(DETAIL_HEAD.slice(0, detailRoom))
  return `${cells.join(GAP).trimEnd()}\n`
}

function hasRoom(detailRoom: number | undefined): boolean {
  return detailRoom === undefined || detailRoom >= LEAST_SHOWN_CHARS
}

function isNumber(chars: number): boolean {
  return chars !== LOCAL_TIME_CHARS
}

/** Kinds, padded with blanks. */
export const KINDS = Object.fromEntries(
  ENTRY_KINDS.map((kind) => [kind, kind.padEnd(KIND_CHARS) + GAP]),
) as Record<EntryKind, string>

function addRow(
  lines: LineBytes,
  { addressChars, leftChars, columns, detailRoom }: Layout,
  entry: Entry,
  left: string,
  localTime: (timeSec: number) => string,
): void {
  const isTrap = entry.kind === 'SPAMTRAP'
  const address = isTrap ? escapeField(entry.address) : entry.ip
  const cells = isTrap ? cellCount(address) : address.length
  lines.text(KINDS[entry.kind])
  lines.text(address)
  lines.blanks(addressChars - cells + GAP.length + leftChars - left.length)
  lines.text(left)
  // Blanks are held back until something follows: no line ends with any.
  let gap = GAP.length
  for (const { name, chars } of columns) {
    const value = cellOf(entry, name, localTime)
    if (value === '') {
      gap += chars + GAP.length
      continue
    }
    const rest = chars - value.length
    lines.blanks(isNumber(chars) ? gap + rest : gap)
    lines.text(value)
    gap = isNumber(chars) ? GAP.length : GAP.length + rest
  }
  if (hasRoom(detailRoom)) addDetail(lines, entry, detailRoom, gap)
  lines.text('\n')
}

function cellOf(
  entry: Entry,
  name: (typeof OPTIONAL)[number]['name'],
  localTime: (timeSec: number) => string,
): string {
  if (entry.kind === 'SPAMTRAP') return name === 'first' ? localTime(entry.first) : ''
  switch (name) {
    case 'blocked':
      return String(entry.bcount)
    case 'passed':
      // The original marks TRAPPED by -1.
      return entry.kind === 'TRAPPED' ? '' : String(entry.pcount)
    case 'expire':
      return entry.expire === EXPIRE_NEVER ? 'never' : localTime(entry.expire)
    case 'first':
      return localTime(entry.first)
    case 'pass':
      return entry.kind === 'TRAPPED' ? '' : localTime(entry.pass)
  }
}

/**
 * Time until the entry ends: `35d 4h`, `never`, and `-2m` for one that has expired and was not removed yet.
 */
function leftOf(entry: Entry, nowSec: number): string {
  if (entry.kind === 'SPAMTRAP' || entry.expire === EXPIRE_NEVER) return 'never'
  return durationText(entry.expire - nowSec)
}

/** Durations of days have no minutes, those of hours no seconds: each text is made once. */
const DURATION_TEXTS = new Map<number, string>()
const MAX_DURATION_TEXTS = 100_000

/** As `formatDuration`, for many that are alike. */
export function durationText(seconds: number): string {
  const size = Math.abs(seconds)
  const step = size >= 86_400 ? 3600 : size >= 3600 ? 60 : 1
  const rounded = step === 1 ? seconds : Math.trunc(seconds / step) * step
  let text = DURATION_TEXTS.get(rounded)
  if (text === undefined) {
    text = formatDuration(rounded)
    if (DURATION_TEXTS.size < MAX_DURATION_TEXTS) DURATION_TEXTS.set(rounded, text)
  }
  return text
}

export const ARROW = ' -> '
const CUT = '..'

/** Adds the last column in at most `room` cells. */
function addDetail(lines: LineBytes, entry: Entry, room: number | undefined, gap: number): void {
  if (entry.kind !== 'GREY') {
    if (entry.comment === undefined) return
    const note = escapeField(toWireText(entry.comment))
    lines.blanks(gap)
    lines.text(room === undefined ? note : cut(note, room))
    return
  }
  const from = escapeField(entry.from)
  const to = escapeField(entry.to)
  const helo = escapeField(entry.helo)
  lines.blanks(gap)
  const neededCells =
    room === undefined ? 0 : cellCount(from) + cellCount(to) + cellCount(helo) + ARROW.length + 3
  if (room === undefined || neededCells <= room) {
    lines.text(from)
    lines.text(ARROW)
    lines.text(to)
    lines.text(' (')
    lines.text(helo)
    lines.text(')')
    return
  }
  const half = Math.max(0, Math.floor((room - ARROW.length) / 2))
  // Space that one of the two does not need is given to the other.
  const shownFrom = cut(from, Math.max(half, room - ARROW.length - cellCount(to)))
  lines.text(shownFrom)
  lines.text(ARROW)
  lines.text(cut(to, Math.max(0, room - ARROW.length - cellCount(shownFrom))))
}

/** The text in at most `room` cells; characters are never split. */
function cut(text: WireText, room: number): WireText {
  if (cellCount(text) <= room) return text
  const wanted = Math.max(0, room - CUT.length)
  let cells = 0
  let end = 0
  while (end < text.length) {
    const next = cells + cellsOfByte(text.charCodeAt(end))
    if (next > wanted && !isContinuation(text.charCodeAt(end))) break
    cells = next
    end += 1
  }
  return text.slice(0, end) + CUT.slice(0, room)
}

/**
 * Terminal columns of UTF-8 text: one for most characters, two for those of three bytes or more, to be safe.
 */
export function cellCount(text: WireText): number {
  if (!/[\x80-\xff]/.test(text)) return text.length
  let cells = 0
  for (let at = 0; at < text.length; at += 1) cells += cellsOfByte(text.charCodeAt(at))
  return cells
}

function cellsOfByte(byte: number): number {
  if (isContinuation(byte)) return 0
  return byte < 0xe0 ? 1 : 2
}

function isContinuation(byte: number): boolean {
  return byte >= 0x80 && byte < 0xc0
}
