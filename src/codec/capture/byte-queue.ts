/** First size of the buffer; it grows by doubling to what the largest piece needs. */
const INITIAL_BYTES = 64 * 1024

/**
 * Bytes of a stream that arrive in chunks and are taken in parts of any size. Chunks are copied into one
 * buffer that holds only unread bytes: its size is bounded by the largest part requested plus one chunk.
 */
export class ByteQueue {
  /** Offset in the stream of the next unread byte. */
  offset = 0
  #buffer = new Uint8Array(INITIAL_BYTES)
  #start = 0
  #end = 0

  /** Unread bytes. */
  get available(): number {
    return this.#end - this.#start
  }

  /** Appends a chunk, which may be used again afterwards. Views handed out before become invalid. */
  push(chunk: Uint8Array): void {
    const unread = this.#buffer.subarray(this.#start, this.#end)
    const neededBytes = unread.length + chunk.length
    if (neededBytes > this.#buffer.length) {
      this.#buffer = new Uint8Array(Math.max(neededBytes, this.#buffer.length * 2))
    }
    this.#buffer.set(unread)
    this.#buffer.set(chunk, unread.length)
    this.#start = 0
    this.#end = neededBytes
  }

  /** A view of the next bytes, which stay unread; undefined while there are fewer. Valid until the next push. */
  peek(lengthBytes: number): Uint8Array | undefined {
    if (lengthBytes > this.available) return undefined
    return this.#buffer.subarray(this.#start, this.#start + lengthBytes)
  }

  /** Drops up to `lengthBytes` unread bytes and returns how many there were. */
  discard(lengthBytes: number): number {
    const dropped = Math.min(lengthBytes, this.available)
    this.#start += dropped
    this.offset += dropped
    return dropped
  }
}
