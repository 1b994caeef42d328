/**
 * How messages travel between spamd's two processes: a frame is the length of its words and of its bytes (32
 * bits each, big-endian), the words as JSON, and the bytes. Lengths are checked before anything is stored, so
 * that a compromised process can claim any length.
 */

import type { Writable } from 'node:stream'

const HEADER_BYTES = 8

/** Limits on what one side accepts from the other; beyond them the connection is closed. */
export interface FrameLimits {
  maxWordsBytes: number
  maxBytes: number
}

/** One message: its words (JSON) and, where it carries some, its bytes. */
export interface Frame {
  words: string
  bytes: Uint8Array
}

/** The frame as it is written. */
function encodeFrame({ words, bytes }: Frame): Uint8Array[] {
  const text = Buffer.from(words, 'utf8')
  const header = Buffer.alloc(HEADER_BYTES)
  header.writeUInt32BE(text.length, 0)
  header.writeUInt32BE(bytes.length, 4)
  return bytes.length === 0 ? [header, text] : [header, text, bytes]
}

/** Writes a frame; resolves when it has left, rejects when nobody reads any more. */
export function writeFrame(stream: Writable, frame: Frame): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(Buffer.concat(encodeFrame(frame)), (error) =>
      error === undefined || error === null ? resolve() : reject(error),
    )
  })
}

/** Splits the input into frames; it never holds more than one frame of maximum size and one chunk. */
export class FrameReader {
  readonly #limits: FrameLimits
  #chunks: Uint8Array[] = []
  #size = 0
  #wantedBytes = HEADER_BYTES

  constructor(limits: FrameLimits) {
    this.#limits = limits
  }

  /** The frames that are complete with this chunk. Throws `RangeError` for a length beyond the limits. */
  *push(chunk: Uint8Array): Generator<Frame> {
    this.#chunks.push(chunk)
    this.#size += chunk.length
    while (this.#size >= this.#wantedBytes) {
      const buffer = this.#joined()
      const wordsBytes = buffer.readUInt32BE(0)
      const byteCount = buffer.readUInt32BE(4)
      if (wordsBytes > this.#limits.maxWordsBytes || byteCount > this.#limits.maxBytes) {
        throw new RangeError(`a message of ${wordsBytes} and ${byteCount} bytes`)
      }
      const end = HEADER_BYTES + wordsBytes + byteCount
      this.#wantedBytes = end
      if (this.#size < end) return
      const words = buffer.toString('utf8', HEADER_BYTES, HEADER_BYTES + wordsBytes)
      const bytes = buffer.subarray(HEADER_BYTES + wordsBytes, end)
      this.#chunks = [buffer.subarray(end)]
      this.#size -= end
      this.#wantedBytes = HEADER_BYTES
      yield { words, bytes }
    }
  }

  #joined(): Buffer {
    const [only] = this.#chunks
    const buffer =
      this.#chunks.length === 1 && only !== undefined
        ? Buffer.from(only.buffer, only.byteOffset, only.length)
        : Buffer.concat(this.#chunks)
    this.#chunks = [buffer]
    return buffer
  }
}
