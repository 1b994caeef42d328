const TAB = 0x09
const SPACE = 0x20
const DOUBLE_QUOTE = 0x22
/**
 * Bytes that may separate columns: comma, semicolon, tab, vertical bar; the first that fits is used for the whole
 * list.
 */
const DELIMITERS = [0x2c, 0x3b, TAB, 0x7c] as const

/**
 * Finds one column in the rows of a table, as `:column#N:` requests. The first row with enough columns determines the
 * delimiter. Fields may be quoted (RFC 4180); a doubled quote stays as it is, since no address contains one.
 */
export class CsvColumn {
  readonly #column: number
  #delimiter: number | undefined
  /** First byte of the field found last, without surrounding quotes and blanks. */
  start = 0
  end = 0

  /** `column` counts from 1. */
  constructor(column: number) {
    this.#column = column
  }

  /** Returns false if the row has fewer columns. */
  find(bytes: Uint8Array, start: number, end: number): boolean {
    if (this.#delimiter !== undefined) return this.#findWith(this.#delimiter, bytes, start, end)
    for (const delimiter of DELIMITERS) {
      if (!this.#findWith(delimiter, bytes, start, end)) continue
      if (this.#column > 1) this.#delimiter = delimiter
      return true
    }
    return false
  }

  #findWith(delimiter: number, bytes: Uint8Array, start: number, end: number): boolean {
    let fieldStart = start
    for (let column = 1; ; column += 1) {
      const fieldEnd = endOfField(delimiter, bytes, fieldStart, end)
      if (column === this.#column) {
        this.#store(bytes, fieldStart, fieldEnd)
        return true
      }
      if (fieldEnd === end) return false
      fieldStart = fieldEnd + 1
    }
  }

  #store(bytes: Uint8Array, start: number, end: number): void {
    this.start = start
    this.end = end
    this.#trimBlanks(bytes)
    if (
      this.end - this.start >= 2 &&
      bytes[this.start] === DOUBLE_QUOTE &&
      bytes[this.end - 1] === DOUBLE_QUOTE
    ) {
      this.start += 1
      this.end -= 1
      this.#trimBlanks(bytes)
    }
  }

  #trimBlanks(bytes: Uint8Array): void {
    while (this.start < this.end && (bytes[this.start] === SPACE || bytes[this.start] === TAB))
      this.start += 1
    while (this.end > this.start && (bytes[this.end - 1] === SPACE || bytes[this.end - 1] === TAB))
      this.end -= 1
  }
}

function endOfField(delimiter: number, bytes: Uint8Array, start: number, end: number): number {
  let isQuoted = false
  for (let at = start; at < end; at += 1) {
    if (bytes[at] === DOUBLE_QUOTE) isQuoted = !isQuoted
    else if (bytes[at] === delimiter && !isQuoted) return at
  }
  return end
}
