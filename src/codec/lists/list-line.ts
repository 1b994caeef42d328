import type { IpRangeCollector } from '../../ip/ip-range-set.js'
import { CsvColumn } from './csv-column.js'
import { type ItemOutcome, ItemSink } from './item-sink.js'
import { isBlank } from './list-bytes.js'
import { ListItemReader } from './list-item.js'
import { readJsonLine } from './list-json-line.js'
import { isDefaultValue, RbldnsdItemReader, startsRbldnsdZone } from './rbldnsd-item.js'
import { hasLoneReturn, looksLikeIpv6 } from './text-behind.js'

/**
 * Kind of one line of a list: an item (see `ItemOutcome`), nothing to read (`ignored`, or `lone-cr` for a comment
 * with a carriage return in it, which looks like its end but is not), an address removed from the list (`excluded` by
 * an exclamation mark, `nomatch` by ipset), the start of an HTML page, or a JSON record that counts only if similar ones follow (`held`).
 */
export type LineOutcome = ItemOutcome | 'ignored' | 'lone-cr' | 'excluded' | 'nomatch' | 'html' | 'held'

const EXCLAMATION_MARK = 0x21
const DOUBLE_QUOTE = 0x22
const HASH = 0x23
const DOLLAR = 0x24
const COLON = 0x3a
const SEMICOLON = 0x3b
const LESS_THAN = 0x3c
const OPENING_BRACE = 0x7b

/** How lines of HTML and XML pages begin: error pages need not begin with a declaration. */
const PAGE_START = /^<[a-z!?/]/i
/** Lines of `ipset save` without an address. */
const IPSET_CONTROL = /^(?:(?:create|flush|destroy|swap|rename)[ \t]|COMMIT[ \t]*$)/
/** `add SET ADDRESS OPTIONS`; group 1 ends where the address starts. */
const IPSET_ADD = /^(add[ \t]+[^ \t]+[ \t]+)[^ \t]/
const IPSET_NOMATCH = /[ \t]nomatch(?:[ \t]|$)/
/** A comment of ipset may contain any word. */
const QUOTED = /"[^"]*(?:"|$)/g
/** The expressions above are matched with at most this many bytes of a line; set names have up to 31. */
const KEYWORD_BYTES = 256
/** Options of ipset may follow a comment of 255 bytes. */
const IPSET_LINE_BYTES = 2048

/** How many JSON records a list announced and how many it contained. */
export interface RecordMismatch {
  wanted: number
  found: number
}

/** Reads single lines of all formats, without their line end. */
export class ListLineReader {
  /** The remark about the last item. */
  readonly facts: ItemSink
  readonly #items: ListItemReader
  readonly #zoneItems: RbldnsdItemReader
  readonly #collector: IpRangeCollector
  readonly #excluded: IpRangeCollector
  readonly #column: CsvColumn | undefined
  #jsonRecords = 0
  /** The address of a first record, which may be an error answer of a service as long as it is the only one. */
  #held: Uint8Array | undefined
  #isOfRecords = false
  #isHeaderPossible: boolean
  /** False once an item was read: only lines before the first item show the format of the file. */
  #canBeZone: boolean
  /** True in a zone file of rbldnsd, which has its own grammar. */
  isZone = false
  /** The first announced record count that was wrong. */
  recordMismatch: RecordMismatch | undefined

  /** Accepted addresses go to `collector`, those that the list removes again to `excluded`. */
  constructor(column: number | undefined, collector: IpRangeCollector, excluded: IpRangeCollector) {
    this.#collector = collector
    this.#excluded = excluded
    this.#column = column === undefined ? undefined : new CsvColumn(column)
    this.#isHeaderPossible = column !== undefined
    this.#canBeZone = column === undefined
    this.facts = new ItemSink(collector)
    this.#items = new ListItemReader(this.facts)
    this.#zoneItems = new RbldnsdItemReader(this.facts)
  }

  /** True if only this reader knows which items the list allows. */
  get isLimited(): boolean {
    return this.#zoneItems.hasLimit
  }

  /** Called when items were read elsewhere: from then on no line can make the list a zone file. */
  noteItems(): void {
    this.#canBeZone = false
  }

  /** The item of the line that was `held`, once another record shows that this is a list of such records. */
  takeHeld(): Uint8Array | undefined {
    const held = this.#isOfRecords ? this.#held : undefined
    if (held !== undefined) this.#held = undefined
    return held
  }

  /** Reads a text that consists of a single item. */
  readItem(text: Uint8Array): LineOutcome {
    return this.#items.read(text, 0, text.length, this.#collector)
  }

  /** Reads the line from `start` to `end`. */
  read(bytes: Uint8Array, start: number, end: number): LineOutcome {
    const outcome = this.#readLine(bytes, start, end)
    if (outcome !== 'ignored') this.#canBeZone = false
    return outcome
  }

  // eslint-disable-next-line complexity -- a grammar: what a line begins with decides
  #readLine(bytes: Uint8Array, start: number, end: number): LineOutcome {
    let at = start
    while (at < end && isBlank(bytes[at])) at += 1
    if (at === end) return 'ignored'
    const byte = bytes[at]!
    if (byte === HASH || byte === SEMICOLON) return hasLoneReturn(bytes, at, end) ? 'lone-cr' : 'ignored'
    if (byte === LESS_THAN && PAGE_START.test(textOf(bytes, at, end))) return 'html'
    if (this.#column !== undefined) return this.#readRow(this.#column, bytes, start, end)
    if (byte === OPENING_BRACE) return this.#readJson(bytes, at, end)
    if (byte === DOLLAR || (byte === COLON && (at + 1 === end || bytes[at + 1] !== COLON))) {
      return this.#readZoneLine(textOf(bytes, at, end))
    }
    if (byte === EXCLAMATION_MARK) return this.#readExclusion(bytes, at + 1, end)
    if (this.isZone) return this.#zoneItems.read(bytes, at, end, this.#collector)
    if (byte === DOUBLE_QUOTE) return this.#items.read(bytes, at + 1, end, this.#collector)
    const outcome = this.#items.read(bytes, at, end, this.#collector)
    return outcome === 'unknown' ? this.#readKeywordLine(bytes, at, end) : outcome
  }

  /** One row of a table. If the first row has no address in that column, it is the header. */
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
        return line.isDoubtful && !this.#isOfRecords
          ? this.#readDoubtful(line.address)
          : this.#readRecord(line.address)
      case 'unknown':
        return 'unknown'
    }
  }

  #readRecord(address: Uint8Array): LineOutcome {
    this.#isOfRecords = true
    return this.readItem(address)
  }

  #readDoubtful(address: Uint8Array): LineOutcome {
    if (this.#held === undefined) {
      this.#held = address
      return 'held'
    }
    // The same answer may come from two sources.
    return isSame(this.#held, address) ? 'unknown' : this.#readRecord(address)
  }

  #readExclusion(bytes: Uint8Array, start: number, end: number): LineOutcome {
    let at = start
    while (at < end && isBlank(bytes[at])) at += 1
    const items = this.isZone ? this.#zoneItems : this.#items
    const outcome = items.read(bytes, at, end, this.#excluded)
    return outcome === 'accepted' ? 'excluded' : outcome
  }

  /** A directive or a default value; `:2001:db8::1` is an address after a colon. */
  #readZoneLine(text: string): LineOutcome {
    if (this.#canBeZone && startsRbldnsdZone(text)) this.isZone = true
    if (this.isZone) this.#zoneItems.readDirective(text)
    const bytes = Buffer.from(text, 'latin1')
    return !isDefaultValue(text) && looksLikeIpv6(bytes, 1, bytes.length) ? 'unknown' : 'ignored'
  }

  #readKeywordLine(bytes: Uint8Array, start: number, end: number): LineOutcome {
    const text = textOf(bytes, start, end)
    if (IPSET_CONTROL.test(text)) return 'ignored'
    const addressAt = IPSET_ADD.exec(text)?.[1]?.length
    if (addressAt === undefined) return 'unknown'
    const options = textOf(bytes, start, end, IPSET_LINE_BYTES).replace(QUOTED, '""')
    if (!IPSET_NOMATCH.test(options)) return this.#items.read(bytes, start + addressAt, end, this.#collector)
    const outcome = this.#items.read(bytes, start + addressAt, end, this.#excluded)
    return outcome === 'accepted' ? 'nomatch' : outcome
  }
}

function isSame(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, at) => byte === other[at])
}

function textOf(bytes: Uint8Array, start: number, end: number, maxBytes = KEYWORD_BYTES): string {
  return String.fromCharCode(...bytes.subarray(start, Math.min(end, start + maxBytes)))
}
