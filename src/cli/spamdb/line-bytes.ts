const FIRST_BYTES = 256 * 1024
const BLANK = 0x20

/**
 * Lines being built byte by byte: for a million of them, joining and copying strings would cost several times
 * as much as the fields themselves.
 */
export class LineBytes {
  #bytes = new Uint8Array(FIRST_BYTES)
  #length = 0

  clear(): void {
    this.#length = 0
  }

  /** Adds latin-1 text, one byte for each character. */
  text(text: string): void {
    const { length } = text
    this.#reserve(length)
    const bytes = this.#bytes
    let at = this.#length
    for (let index = 0; index < length; index += 1) bytes[at++] = text.charCodeAt(index)
    this.#length = at
  }

  /** Adds the bytes from `start` to before `end` of others; a few at a time, for which a call of `set` costs more. */
  copy(source: Uint8Array, start: number, end: number): void {
    this.#reserve(end - start)
    const bytes = this.#bytes
    let at = this.#length
    for (let index = start; index < end; index += 1) bytes[at++] = source[index]!
    this.#length = at
  }

  /** Adds this many blanks; none for less than one. */
  blanks(count: number): void {
    if (count <= 0) return
    this.#reserve(count)
    const end = this.#length + count
    for (let at = this.#length; at < end; at += 1) this.#bytes[at] = BLANK
    this.#length = end
  }

  /** What was added, valid until the next call. */
  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length)
  }

  #reserve(count: number): void {
    if (this.#length + count <= this.#bytes.length) return
    const larger = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + count))
    larger.set(this.bytes())
    this.#bytes = larger
  }
}
