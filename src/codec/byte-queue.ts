/**
 * Bytes of a stream that arrive in chunks and leave in pieces of our choice. Holds what is unread only, so
 * its size is bounded by the largest piece asked for plus one chunk.
 */
export class ByteQueue {
  /** Offset in the stream of the next unread byte. */
  offset = 0
  private bytes: Uint8Array = new Uint8Array(0)
  private start = 0

  /** Unread bytes. */
  get available(): number {
    return this.bytes.length - this.start
  }

  /** Appends a chunk; views handed out before stay valid. */
  push(chunk: Uint8Array): void {
    if (this.available === 0) {
      this.bytes = chunk
    } else {
      const joined = new Uint8Array(this.available + chunk.length)
      joined.set(this.bytes.subarray(this.start))
      joined.set(chunk, this.available)
      this.bytes = joined
    }
    this.start = 0
  }

  /** A view of the next bytes, which stay unread; undefined while fewer are there. */
  peek(lengthBytes: number): Uint8Array | undefined {
    if (lengthBytes > this.available) return undefined
    return this.bytes.subarray(this.start, this.start + lengthBytes)
  }

  /** Drops up to `lengthBytes` unread bytes and returns how many there were. */
  discard(lengthBytes: number): number {
    const dropped = Math.min(lengthBytes, this.available)
    this.start += dropped
    this.offset += dropped
    return dropped
  }
}
