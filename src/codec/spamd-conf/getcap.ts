/**
 * The capability databases of getcap(3), as spamd.conf uses them: records of colon-separated fields, one per line,
 * each with its position in the file. Text is held as Latin-1, one character per byte.
 *
 * Source: getcap(3) and spamd.conf(5) of OpenBSD; intended differences are noted where they are made.
 */

/** A position in a file, both numbers from 1; columns count bytes. */
export interface TextPosition {
  line: number
  column: number
}

/** One field of a record; `text` is as written, without the colons around it. */
export interface CapabilityField {
  readonly text: string
  readonly position: TextPosition
  /** The position of the character `text[offset]`, possibly in a later line, of a field without quotes. */
  positionAt(offset: number): TextPosition
}

export interface CapabilityRecord {
  /** Everything before the first colon: the names, separated by vertical bars. */
  readonly names: string
  readonly position: TextPosition
  /** The fields after the names. `#` starts no comment here. */
  readonly fields: readonly CapabilityField[]
  /** The fields as read for the record `all`: a colon between double quotes ends a field, too. */
  readonly unquotedFields: readonly CapabilityField[]
  /** Lines of the file that were joined. */
  readonly lineCount: number
  /** Position of a backslash that ends the last line of the file, so that nothing follows it. */
  readonly openContinuation: TextPosition | undefined
  /** Position of a backslash at the end that does not join the next line because blanks follow it. */
  readonly blankedContinuation: TextPosition | undefined
  /** Position of the end of the text, if that is within double quotes. */
  readonly openQuoteEnd: TextPosition | undefined
  /** Continued lines after the first one that begin with `#` and so look like comments. */
  readonly commentLikeLines: readonly TextPosition[]
}

/** A comment that ends with a backslash and so hides the next line. */
export interface SwallowedLine {
  position: TextPosition
  text: string
}

export interface CapabilityDatabase {
  records: CapabilityRecord[]
  swallowedLines: SwallowedLine[]
}

/** The part of a joined record that comes from one line of the file. */
interface LinePart {
  /** Where the part begins in the joined text. */
  start: number
  line: number
}

interface JoinedLine {
  text: string
  parts: LinePart[]
  openContinuation: TextPosition | undefined
}

/**
 * Splits a file into records. Lines end with LF or CR LF (in the original only LF), and the last line may lack its
 * end (the original ignores such a record). A backslash right before the line end joins the next line, also in
 * comments; both are removed and nothing is trimmed. Joined lines that are empty or begin with `#` are not records.
 */
export function parseCapabilities(text: string): CapabilityDatabase {
  const records: CapabilityRecord[] = []
  const swallowedLines: SwallowedLine[] = []
  for (const joined of joinLines(text)) {
    if (joined.text === '') continue
    if (!joined.text.startsWith('#')) {
      records.push(new JoinedRecord(joined))
      continue
    }
    for (const { line, text: hidden } of continuedLines(joined)) {
      if (hidden.trim() === '' || hidden.startsWith('#')) continue
      swallowedLines.push({ position: { line, column: 1 }, text: hidden })
    }
  }
  return { records, swallowedLines }
}

/**
 * True if one of the names is `name`: it is at the beginning or after a vertical bar, and a vertical bar or the end
 * follows. So `a|b` is found both as `a` and as `a|b`.
 */
export function hasName(record: CapabilityRecord, name: string): boolean {
  let at = 0
  for (;;) {
    if (record.names.startsWith(name, at)) {
      const next = record.names[at + name.length]
      if (next === undefined || next === '|') return true
    }
    const bar = record.names.indexOf('|', at)
    if (bar < 0) return false
    at = bar + 1
  }
}

/** Result of a search for a capability; `cancelled`: `:cap@:` precedes any definition. */
export type FoundCapability =
  | { kind: 'present'; value: string; field: CapabilityField }
  | { kind: 'cancelled'; field: CapabilityField }
  | { kind: 'absent' }

/**
 * Looks a capability up: `:` finds `cap`, `=` finds `cap=value`, `#` finds `cap#value`. The first field of
 * that form wins; `cap@`, `cap=@` and `cap#@` before it cancel it. The value is not decoded.
 */
export function findCapability(
  fields: readonly CapabilityField[],
  name: string,
  type: ':' | '=' | '#',
): FoundCapability {
  for (const field of fields) {
    if (!field.text.startsWith(name)) continue
    const next = field.text[name.length]
    if (next === '@') return { kind: 'cancelled', field }
    if (type === ':') {
      if (next === undefined) return { kind: 'present', value: '', field }
      continue
    }
    if (next !== type) continue
    const value = field.text.slice(name.length + 1)
    return value.startsWith('@') ? { kind: 'cancelled', field } : { kind: 'present', value, field }
  }
  return { kind: 'absent' }
}

const NAMED_ESCAPES: Readonly<Record<string, string>> = {
  b: '\b',
  t: '\t',
  n: '\n',
  f: '\f',
  r: '\r',
  e: '\u001b',
  c: ':',
}

/**
 * The value of a string capability: `^X` is a control character, a backslash with one to three octal digits that
 * byte, with one of `btnfrec` (either case) a control character, ESC or a colon, with any other character that
 * character. An escape that is cut off at the end is dropped. Source: cgetstr in getcap(3).
 */
export function decodeCapabilityString(text: string): string {
  return text.replace(
    /\^(.?)|\\(?:([0-7]{1,3})|(.?))/gs,
    (_whole, control: string | undefined, octal: string | undefined, other: string | undefined) => {
      if (control !== undefined) {
        return control === '' ? '' : String.fromCharCode(control.charCodeAt(0) & 31)
      }
      if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal, 8) & 255)
      return NAMED_ESCAPES[(other ?? '').toLowerCase()] ?? other ?? ''
    },
  )
}

/** Inverse of `decodeCapabilityString`; the result has no colons, quotes, line ends or bare carets. */
export function encodeCapabilityString(value: string): string {
  return value.replace(/[\u0000-\u001f":\\^\u007f]/g, (character) => {
    if (character === ':') return '\\c'
    if (character === '\n') return '\\n'
    if (character === '\t') return '\\t'
    return `\\${character.charCodeAt(0).toString(8).padStart(3, '0')}`
  })
}

/**
 * The number of a numeric capability: hexadecimal after `0x`, octal after a leading `0`, otherwise decimal; undefined
 * if it is not a number or above 2^53. Source: cgetnum in getcap(3).
 */
export function parseCapabilityNumber(text: string): number | undefined {
  let value: number
  if (/^0[xX][0-9a-fA-F]+$/.test(text)) value = Number.parseInt(text.slice(2), 16)
  else if (/^0[0-7]*$/.test(text)) value = Number.parseInt(text, 8)
  else if (/^[1-9][0-9]*$/.test(text)) value = Number(text)
  else return undefined
  return Number.isSafeInteger(value) ? value : undefined
}

function* joinLines(text: string): Generator<JoinedLine> {
  let joined: JoinedLine = { text: '', parts: [], openContinuation: undefined }
  let line = 0
  for (let at = 0; at < text.length; ) {
    const lineFeed = text.indexOf('\n', at)
    let end = lineFeed < 0 ? text.length : lineFeed
    const next = end + 1
    if (lineFeed >= 0 && end > at && text[end - 1] === '\r') end -= 1
    line += 1
    joined.parts.push({ start: joined.text.length, line })
    if (end > at && text[end - 1] === '\\') {
      joined.text += text.slice(at, end - 1)
      joined.openContinuation = { line, column: end - at }
    } else {
      joined.text += text.slice(at, end)
      joined.openContinuation = undefined
      yield joined
      joined = { text: '', parts: [], openContinuation: undefined }
    }
    at = next
  }
  if (joined.parts.length > 0) yield joined
}

/** A record that is split into fields on first use: most records of a large file are never used. */
class JoinedRecord implements CapabilityRecord {
  readonly names: string
  readonly #joined: JoinedLine

  constructor(joined: JoinedLine) {
    const colon = joined.text.indexOf(':')
    this.#joined = joined
    this.names = colon < 0 ? joined.text : joined.text.slice(0, colon)
  }

  get position(): TextPosition {
    return positionOf(this.#joined, 0)
  }

  get fields(): CapabilityField[] {
    return splitFields(this.#joined, true).slice(1)
  }

  get unquotedFields(): CapabilityField[] {
    return splitFields(this.#joined, false).slice(1)
  }

  get lineCount(): number {
    return this.#joined.parts.length
  }

  get openContinuation(): TextPosition | undefined {
    return this.#joined.openContinuation
  }

  get blankedContinuation(): TextPosition | undefined {
    const { text } = this.#joined
    const end = text.trimEnd().length
    return end < text.length && text[end - 1] === '\\' ? positionOf(this.#joined, end - 1) : undefined
  }

  get openQuoteEnd(): TextPosition | undefined {
    const { text } = this.#joined
    const quotes = text.match(/(?<!\\)"/g)?.length ?? 0
    return quotes % 2 === 1 ? positionOf(this.#joined, text.length) : undefined
  }

  get commentLikeLines(): TextPosition[] {
    return continuedLines(this.#joined)
      .filter((part) => part.text.startsWith('#'))
      .map((part) => ({ line: part.line, column: 1 }))
  }
}

class JoinedField implements CapabilityField {
  readonly text: string
  readonly #joined: JoinedLine
  readonly #start: number

  constructor(text: string, joined: JoinedLine, start: number) {
    this.text = text
    this.#joined = joined
    this.#start = start
  }

  get position(): TextPosition {
    return this.positionAt(0)
  }

  positionAt(offset: number): TextPosition {
    return positionOf(this.#joined, this.#start + offset)
  }
}

/**
 * Splits at colons. With `quotes`, a double quote without a backslash right before it starts or ends a section in
 * which a colon is read as if it were `\C`; the quotes themselves are kept.
 */
function splitFields(joined: JoinedLine, quotes: boolean): CapabilityField[] {
  const { text } = joined
  const fields: CapabilityField[] = []
  let field = ''
  let fieldStart = 0
  let isQuoted = false
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at]!
    if (quotes && character === '"' && text[at - 1] !== '\\') isQuoted = !isQuoted
    if (character !== ':') field += character
    else if (isQuoted) field += '\\C'
    else {
      fields.push(new JoinedField(field, joined, fieldStart))
      field = ''
      fieldStart = at + 1
    }
  }
  fields.push(new JoinedField(field, joined, fieldStart))
  return fields
}

/** The position of a character of the joined text; one right after a joined line end belongs to the later line. */
function positionOf(joined: JoinedLine, at: number): TextPosition {
  let low = 0
  let high = joined.parts.length
  while (high - low > 1) {
    const middle = (low + high) >>> 1
    if (joined.parts[middle]!.start <= at) low = middle
    else high = middle
  }
  const part = joined.parts[low]!
  return { line: part.line, column: at - part.start + 1 }
}

/** The lines after the first one of a joined line, each without what follows it. */
function continuedLines({ text, parts }: JoinedLine): { line: number; text: string }[] {
  return parts
    .map((part, index) => ({ line: part.line, text: text.slice(part.start, parts[index + 1]?.start) }))
    .slice(1)
}
