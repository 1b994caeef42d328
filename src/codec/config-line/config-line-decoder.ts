/**
 * Reads config lines (grammar in `config-line.ts`) as their bytes arrive, split anywhere, in bounded memory: only the
 * addresses of a line are kept, in typed arrays. Source: spamd(8), CONFIGURATION CONNECTIONS, and the original's
 * behaviour for each kind of bad line.
 */
import { type PrefixCollector as Collector, PrefixCollector, type PrefixColumns } from './config-prefixes.js'

/** Maximum length of a list name; names come from capability records and are far shorter. */
export const MAX_NAME_BYTES = 4096
/**
 * Maximum length of a message; each client on the list receives it at a byte per second, so this would take
 * two weeks.
 * @internal The tests go to the limit and beyond it.
 */
export const MAX_MESSAGE_BYTES = 1024 * 1024
/**
 * Maximum length of an address item; the longest valid one has 49 bytes.
 * @internal The tests go to the limit and beyond it.
 */
export const MAX_ITEM_BYTES = 256
/** Maximum number of addresses of one decoder (one connection): ten times the largest list in use, 50 MB for IPv4. */
const MAX_ADDRESSES = 10_000_000
/** Maximum number of lines of one decoder; a few dozen lists exist in the world. */
const MAX_LINES = 10_000

/** What the original prints after the cause for every line of bad structure. */
const BOGUS_LINE_TEXT = "bogus config line - need 'tag;message;af;count;a/m;a/m;a/m...'"

/** A list as received. `name` and `message` hold one character for one byte; the message is not expanded. */
export interface ReceivedList {
  name: string
  message: string
  /** Sum of the announced counts. */
  entryCount: number
  ipv4: PrefixColumns
  ipv6: PrefixColumns
}

/** One complete line. */
export type ConfigLine =
  | ({ kind: 'replace' } & ReceivedList)
  | { kind: 'clear'; name: string }
  /**
   * The structure is valid, but an item is not an address: `ipv4` and `ipv6` hold the valid ones before the
   * first bad one.
   */
  | ({ kind: 'bad-address'; item: string; reason: string; debugTexts: string[] } & ReceivedList)
  /** Bad structure. `name` is empty when the line had none. */
  | { kind: 'bad-structure'; name: string; reason: string; debugTexts: string[] }

export interface ConfigLineLimits {
  maxAddresses: number
  maxLines: number
}

type State =
  | 'name'
  | 'after name'
  | 'message'
  | 'after message'
  | 'bad message'
  | 'family'
  | 'count'
  | 'address'
  | 'refused'

const LF = 0x0a
const NUL = 0x00
const DQUOTE = 0x22
const SEMICOLON = 0x3b
const BACKSLASH = 0x5c
/** Largest count: an unsigned int of C. */
const MAX_COUNT = 0xffffffff

/** Bytes of one field, kept up to a limit. */
class Field {
  readonly #maxBytes: number
  #bytes = new Uint8Array(64)
  length = 0
  isOverlong = false

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  clear(): void {
    this.length = 0
    this.isOverlong = false
  }

  push(byte: number): void {
    if (this.length === this.#maxBytes) {
      this.isOverlong = true
      return
    }
    if (this.length === this.#bytes.length) {
      const larger = new Uint8Array(Math.min(this.#maxBytes, this.length * 2))
      larger.set(this.#bytes)
      this.#bytes = larger
    }
    this.#bytes[this.length] = byte
    this.length += 1
  }

  text(): string {
    return Buffer.from(this.#bytes.buffer, 0, this.length).toString('latin1')
  }
}

/**
 * Push chunks as they come, then `end()`; `onLine` is called for each line when its LF (or the end) is seen. Lines of
 * at most one byte are skipped. Never throws, whatever the bytes.
 */
export class ConfigLineDecoder {
  readonly #onLine: (line: ConfigLine) => void
  readonly #limits: ConfigLineLimits
  #state: State = 'name'
  readonly #name = new Field(MAX_NAME_BYTES)
  readonly #message = new Field(MAX_MESSAGE_BYTES)
  readonly #token = new Field(MAX_ITEM_BYTES)
  #isEscaped = false
  /** Where the text between the quotes ends in `#message`, which also holds the text that `bad message:` shows. */
  #messageLength = 0
  #lineBytes = 0
  #isBehindNul = false
  #family: 4 | 6 = 4
  /** The family appeared before: refused after its addresses, as by the original. */
  #isDuplicate = false
  #announced = 0
  #remaining = 0
  #entryCount = 0
  #hasEmptyItem = false
  readonly #seen = new Set<4 | 6>()
  #collectors: Readonly<Record<4 | 6, Collector>> = newCollectors()
  readonly #badItems = new Map<4 | 6, string>()
  #reason = ''
  #debugTexts: string[] = []
  #addressTotal = 0
  #lineTotal = 0

  constructor(onLine: (line: ConfigLine) => void, limits: Partial<ConfigLineLimits> = {}) {
    this.#onLine = onLine
    this.#limits = { maxAddresses: MAX_ADDRESSES, maxLines: MAX_LINES, ...limits }
  }

  push(chunk: Uint8Array): void {
    let at = 0
    while (at < chunk.length) {
      if (this.#isBehindNul || this.#state === 'refused') {
        const lineEnd = chunk.indexOf(LF, at)
        const next = lineEnd < 0 ? chunk.length : lineEnd
        this.#lineBytes += next - at
        at = next
        if (lineEnd < 0) return
      }
      if (this.#state === 'address' && this.#token.length === 0 && !this.#badItems.has(this.#family)) {
        const most = Math.min(this.#remaining, this.#limits.maxAddresses - this.#addressTotal)
        const { next, taken } = this.#collectors[this.#family].takePlainItems(chunk, at, most)
        this.#countAddresses(taken)
        this.#lineBytes += next - at
        at = next
        if (at === chunk.length) return
      }
      const byte = chunk[at]!
      at += 1
      if (byte === LF) this.#finishLine()
      else {
        this.#lineBytes += 1
        if (byte === NUL) this.#isBehindNul = true
        else this.#takeByte(byte)
      }
    }
  }

  /** The sender has closed: a last line without LF counts. */
  end(): void {
    if (this.#lineBytes > 0) this.#finishLine()
  }

  #takeByte(byte: number): void {
    switch (this.#state) {
      case 'name':
        if (byte === SEMICOLON) this.#state = 'after name'
        else this.#name.push(byte)
        if (this.#name.isOverlong) this.#refuse(`list name longer than ${MAX_NAME_BYTES} bytes`)
        return
      case 'after name':
        this.#message.push(byte)
        if (byte === DQUOTE) this.#state = 'message'
        else this.#refuse('the message does not begin with a quote')
        return
      case 'message':
        this.#takeMessageByte(byte)
        return
      case 'after message':
        if (byte === SEMICOLON) {
          this.#state = 'family'
          return
        }
        this.#state = 'bad message'
        this.#message.push(byte)
        return
      case 'bad message':
        this.#message.push(byte)
        return
      case 'family':
      case 'count':
      case 'address':
        if (byte === SEMICOLON) this.#finishToken()
        else this.#token.push(byte)
        return
      case 'refused':
        return
    }
  }

  #takeMessageByte(byte: number): void {
    this.#message.push(byte)
    if (this.#message.isOverlong) this.#refuse(`message longer than ${MAX_MESSAGE_BYTES} bytes`)
    else if (this.#isEscaped) this.#isEscaped = false
    else if (byte === BACKSLASH) this.#isEscaped = true
    else if (byte === DQUOTE) {
      this.#messageLength = this.#message.length
      this.#state = 'after message'
    }
  }

  #finishToken(): void {
    const text = this.#token.text()
    if (this.#state === 'family') this.#takeFamily(text)
    else if (this.#state === 'count') this.#takeCount(text)
    else this.#takeAddress(text)
    this.#token.clear()
  }

  #takeFamily(keyword: string): void {
    if (keyword === '') return
    if (keyword !== 'inet' && keyword !== 'inet6') {
      const shown = `unsupported address family: ${keyword}`
      // The original quotes the family only if it begins like one that it knows.
      this.#refuse(shown, keyword.startsWith('inet') ? [shown] : [])
      return
    }
    this.#family = keyword === 'inet' ? 4 : 6
    this.#isDuplicate = this.#seen.has(this.#family)
    this.#seen.add(this.#family)
    this.#state = 'count'
  }

  #takeCount(text: string): void {
    const value = /^[ \t\n\v\f\r]*[+-]?[0-9]+$/.test(text) ? Number(text) : Number.NaN
    const fault = Number.isNaN(value)
      ? 'invalid'
      : value < 0
        ? 'too small'
        : value > MAX_COUNT
          ? 'too large'
          : undefined
    if (fault !== undefined) {
      const shown = `count "${text}" is ${fault}`
      this.#refuse(shown, [shown])
      return
    }
    this.#announced = value
    this.#remaining = value
    this.#entryCount += value
    if (value === 0) this.#finishFamily()
    else this.#state = 'address'
  }

  #finishFamily(): void {
    this.#state = 'family'
    if (!this.#isDuplicate) return
    const shown = `duplicate ${this.#family === 4 ? 'inet' : 'inet6'}`
    this.#refuse(shown, [shown])
  }

  #takeAddress(item: string): void {
    if (item === '') this.#hasEmptyItem = true
    else if (!this.#badItems.has(this.#family)) {
      const isGood = !this.#token.isOverlong && this.#collectors[this.#family].takeItem(item)
      if (!isGood) this.#badItems.set(this.#family, item)
    }
    this.#countAddresses(1)
  }

  #countAddresses(taken: number): void {
    this.#remaining -= taken
    this.#addressTotal += taken
    if (this.#remaining === 0) this.#finishFamily()
    if (this.#addressTotal > this.#limits.maxAddresses) {
      this.#refuse(`more than ${this.#limits.maxAddresses} addresses on one connection`)
      this.#collectors = newCollectors()
    }
  }

  #refuse(reason: string, debugTexts: string[] = []): void {
    this.#reason = reason
    this.#debugTexts = [...debugTexts, BOGUS_LINE_TEXT]
    this.#state = 'refused'
  }

  #finishLine(): void {
    const line = this.#lineBytes > 1 ? this.#lineFromState() : undefined
    this.#reset()
    if (line === undefined) return
    this.#lineTotal += 1
    if (this.#lineTotal < this.#limits.maxLines) this.#onLine(line)
    else if (this.#lineTotal === this.#limits.maxLines) {
      const reason = `more than ${this.#limits.maxLines - 1} lines on one connection; the rest is ignored`
      this.#onLine({ kind: 'bad-structure', name: '', reason, debugTexts: [] })
    }
  }

  #lineFromState(): ConfigLine {
    const name = this.#name.text()
    this.#checkEnd()
    if (this.#state === 'after name') return { kind: 'clear', name }
    if (this.#state === 'refused') {
      return { kind: 'bad-structure', name, reason: this.#reason, debugTexts: this.#debugTexts }
    }
    const list: ReceivedList = {
      name,
      message: this.#message.text().slice(1, this.#messageLength - 1),
      entryCount: this.#entryCount,
      ipv4: this.#collectors[4].columns(),
      ipv6: this.#collectors[6].columns(),
    }
    const item = this.#badItems.get(4) ?? this.#badItems.get(6)
    if (item === undefined) return { kind: 'replace', ...list }
    const reason = `not an address with prefix length: "${item}"`
    return { kind: 'bad-address', ...list, item, reason, debugTexts: [`sdl_add: parse error, "${item}"`] }
  }

  /** Refuses a line that ends too early. */
  #checkEnd(): void {
    switch (this.#state) {
      case 'name':
        this.#refuse('no ";" after the list name')
        return
      case 'message':
      case 'after message':
      case 'bad message':
        this.#refuse('the message is not closed by a quote and ";"', [`bad message: ${this.#message.text()}`])
        return
      case 'family':
      case 'count':
      case 'address':
        this.#checkFields()
        return
      case 'after name':
      case 'refused':
        return
    }
  }

  #checkFields(): void {
    this.#finishToken()
    if (this.#state === 'count') this.#refuse('missing address count', ['missing address count'])
    else if (this.#state === 'address') {
      // The original includes the missing item in the count.
      const got = this.#announced - this.#remaining + 1
      const shown = `expected ${this.#announced} addrs, got ${got}`
      this.#refuse(`${got - 1} of ${this.#announced} addresses`, [shown])
    } else if (this.#state === 'family') {
      if (this.#entryCount === 0) this.#refuse('no addresses', ['no addresses'])
      else if (this.#hasEmptyItem) this.#refuse('empty address')
    }
  }

  #reset(): void {
    this.#state = 'name'
    this.#name.clear()
    this.#message.clear()
    this.#token.clear()
    this.#isEscaped = false
    this.#messageLength = 0
    this.#lineBytes = 0
    this.#isBehindNul = false
    this.#entryCount = 0
    this.#hasEmptyItem = false
    this.#isDuplicate = false
    this.#seen.clear()
    this.#collectors = newCollectors()
    this.#badItems.clear()
  }
}

function newCollectors(): Readonly<Record<4 | 6, Collector>> {
  return { 4: new PrefixCollector(4), 6: new PrefixCollector(6) }
}
