import type { IpRangeCollector } from '../../ip/ip-range-set.js'
import { CsvColumn } from './csv-column.js'
import { type ItemOutcome, isBlank, ListItemReader } from './list-item.js'
import { readJsonLine } from './list-json-line.js'

/**
 * What one line of a list was: an item (see `ItemOutcome`), nothing to read (`ignored`), an address taken
 * out of the list (`excluded` by an exclamation mark, `nomatch` by ipset), or the start of an HTML page.
 */
export type LineOutcome = ItemOutcome | 'ignored' | 'excluded' | 'nomatch' | 'html'

const EXCLAMATION_MARK = 0x21
const DOUBLE_QUOTE = 0x22
const HASH = 0x23
const DOLLAR = 0x24
const COLON = 0x3a
const SEMICOLON = 0x3b
const LESS_THAN = 0x3c
const OPENING_BRACE = 0x7b

/** How HTML and XML pages begin. */
const PAGE_START = /^<(?:!doctype|html|head|body|title|script|meta|\?xml|!--)/i
/** Lines of `ipset save` that hold no address. */
const IPSET_CONTROL = /^(?:(?:create|flush|destroy|swap|rename)[ \t]|COMMIT[ \t]*$)/
/** `add SET ADDRESS OPTIONS`; group 1 ends where the address starts. */
const IPSET_ADD = /^(add[ \t]+[^ \t]+[ \t]+)[^ \t]/
const IPSET_NOMATCH = /[ \t]nomatch(?:[ \t]|$)/
/** The longest part of a line that is matched with the expressions above; set names have 31 bytes. */
const KEYWORD_BYTES = 256

/** How many JSON records a list announced and how many came. */
export interface RecordMismatch {
  wanted: number
  found: number
}

/** Reads single lines, without their line end, of all formats. */
export class ListLineReader {
  readonly #items = new ListItemReader()
  readonly #collector: IpRangeCollector
  readonly #excluded: IpRangeCollector
  readonly #column: CsvColumn | undefined
  #jsonRecords = 0
  #isHeaderPossible: boolean
  /** The first announced record count that was wrong. */
  recordMismatch: RecordMismatch | undefined

  /** Accepted addresses go to `collector`, those that a list takes out again to `excluded`. */
  constructor(column: number | undefined, collector: IpRangeCollector, excluded: IpRangeCollector) {
    this.#collector = collector
    this.#excluded = excluded
    this.#column = column === undefined ? undefined : new CsvColumn(column)
    this.#isHeaderPossible = column !== undefined
  }

  /** True when the last accepted line was a network written with host bits. */
  get hadHostBits(): boolean {
    return this.#items.hadHostBits
  }

  read(bytes: Uint8Array, start: number, end: number): LineOutcome {
    let at = start
    while (at < end && isBlank(bytes[at])) at += 1
    if (at === end) return 'ignored'
    const byte = bytes[at]!
    if (byte === HASH || byte === SEMICOLON) return 'ignored'
    if (byte === LESS_THAN && PAGE_START.test(textOf(bytes, at, end))) return 'html'
    if (this.#column !== undefined) return this.#readRow(this.#column, bytes, start, end)
    if (byte === OPENING_BRACE) return this.#readJson(bytes, at, end)
    if (byte === DOLLAR) return 'ignored'
    if (byte === COLON && (at + 1 === end || bytes[at + 1] !== COLON)) return 'ignored'
    if (byte === EXCLAMATION_MARK) return this.#readExclusion(bytes, at + 1, end)
    if (byte === DOUBLE_QUOTE) return this.#items.read(bytes, at + 1, end, this.#collector)
    const outcome = this.#items.read(bytes, at, end, this.#collector)
    return outcome === 'unknown' ? this.#readKeywordLine(bytes, at, end) : outcome
  }

  /** One row of a table; a first row without an address in that column is taken for the headings. */
  #readRow(column: CsvColumn, bytes: Uint8Array, start: number, end: number): LineOutcome {
    const isFirstRow = this.#isHeaderPossible
    this.#isHeaderPossible = false
    const outcome = column.find(bytes, start, end)
      ? this.#items.read(bytes, column.start, column.end, this.#collector)
      : 'unknown'
    return outcome === 'unknown' && isFirstRow ? 'ignored' : outcome
  }

  #readJson(bytes: Uint8Array, start: number, end: number): LineOutcome {
    const line = readJsonLine(bytes.subarray(start, end))
    switch (line.kind) {
      case 'metadata':
        if (line.recordCount !== undefined && line.recordCount !== this.#jsonRecords) {
          this.recordMismatch ??= { wanted: line.recordCount, found: this.#jsonRecords }
        }
        this.#jsonRecords = 0
        return 'ignored'
      case 'record':
        this.#jsonRecords += 1
        return this.#items.read(line.address, 0, line.address.length, this.#collector)
      case 'unknown':
        return 'unknown'
    }
  }

  #readExclusion(bytes: Uint8Array, start: number, end: number): LineOutcome {
    let at = start
    while (at < end && isBlank(bytes[at])) at += 1
    const outcome = this.#items.read(bytes, at, end, this.#excluded)
    return outcome === 'accepted' ? 'excluded' : outcome
  }

  #readKeywordLine(bytes: Uint8Array, start: number, end: number): LineOutcome {
    const text = textOf(bytes, start, end)
    if (IPSET_CONTROL.test(text)) return 'ignored'
    const addressAt = IPSET_ADD.exec(text)?.[1]?.length
    if (addressAt === undefined) return 'unknown'
    if (!IPSET_NOMATCH.test(text)) return this.#items.read(bytes, start + addressAt, end, this.#collector)
    const outcome = this.#items.read(bytes, start + addressAt, end, this.#excluded)
    return outcome === 'accepted' ? 'nomatch' : outcome
  }
}

function textOf(bytes: Uint8Array, start: number, end: number): string {
  return String.fromCharCode(...bytes.subarray(start, Math.min(end, start + KEYWORD_BYTES)))
}
