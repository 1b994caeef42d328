/**
 * Bounds-checked reading of untrusted bytes: the only way in which our binary decoders read them.
 *
 * Reading past the end never throws: it returns 0 (or an empty array) and sets `isShort`, which stays set. A decoder
 * reads what it needs, then checks `isShort` once before it uses any of the values.
 */
export class ByteReader {
  /** True once more bytes were requested than there are. */
  isShort = false
  /** Offset of the next byte, from the start of the array. */
  position: number
  readonly #bytes: Uint8Array
  readonly #end: number

  /** Reads `bytes[start..end)`; offsets beyond the array are limited to its end. */
  constructor(bytes: Uint8Array, start = 0, end: number = bytes.length) {
    this.#bytes = bytes
    this.#end = Math.min(end, bytes.length)
    this.position = start
    if (start > this.#end) this.#fail()
  }

  /** Bytes left to read. */
  get remaining(): number {
    return this.#end - this.position
  }

  /** Moves to an offset from the start of the array; an offset beyond the end sets `isShort`. */
  seek(offset: number): void {
    if (offset < 0 || offset > this.#end) this.#fail()
    else this.position = offset
  }

  skip(lengthBytes: number): void {
    this.seek(this.position + lengthBytes)
  }

  u8(): number {
    if (this.position + 1 > this.#end) return this.#fail()
    return this.#bytes[this.position++]!
  }

  u16be(): number {
    if (this.position + 2 > this.#end) return this.#fail()
    const at = this.position
    this.position = at + 2
    return this.#bytes[at]! * 256 + this.#bytes[at + 1]!
  }

  u16le(): number {
    if (this.position + 2 > this.#end) return this.#fail()
    const at = this.position
    this.position = at + 2
    return this.#bytes[at + 1]! * 256 + this.#bytes[at]!
  }

  u32be(): number {
    if (this.position + 4 > this.#end) return this.#fail()
    const at = this.position
    this.position = at + 4
    const high = this.#bytes[at]! * 256 + this.#bytes[at + 1]!
    return high * 65_536 + this.#bytes[at + 2]! * 256 + this.#bytes[at + 3]!
  }

  u32le(): number {
    if (this.position + 4 > this.#end) return this.#fail()
    const at = this.position
    this.position = at + 4
    const high = this.#bytes[at + 3]! * 256 + this.#bytes[at + 2]!
    return high * 65_536 + this.#bytes[at + 1]! * 256 + this.#bytes[at]!
  }

  /** The next bytes as a view, not a copy; empty when fewer are left. */
  take(lengthBytes: number): Uint8Array {
    if (lengthBytes < 0 || this.position + lengthBytes > this.#end) {
      this.#fail()
      return new Uint8Array(0)
    }
    const at = this.position
    this.position = at + lengthBytes
    return this.#bytes.subarray(at, at + lengthBytes)
  }

  /** Text of a fixed-size field up to its first NUL, one character per byte. */
  paddedText(lengthBytes: number): string {
    const fieldEnd = this.position + lengthBytes
    if (lengthBytes < 0 || fieldEnd > this.#end) {
      this.#fail()
      return ''
    }
    let text = ''
    for (let at = this.position; at < fieldEnd && this.#bytes[at] !== 0; at += 1) {
      text += String.fromCharCode(this.#bytes[at]!)
    }
    this.position = fieldEnd
    return text
  }

  #fail(): 0 {
    this.isShort = true
    this.position = this.#end
    return 0
  }
}
