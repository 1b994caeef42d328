import { pipeline, Transform, type TransformCallback } from 'node:stream'

/** Data is passed on at the latest when it reaches this size. */
const MAX_GATHERED_BYTES = 8 * 1_048_576
/** Input that pauses for this long is passed on. */
const IDLE_MS = 5
/** No byte waits longer than this. */
const MAX_WAIT_MS = 250

/**
 * Joins input that arrives without a pause into larger parts: the system delivers 64 KiB at a time, and a
 * reader for which each part is expensive (a transaction on disk) wants fewer. Slow input is passed on as it
 * arrives. The end, errors and a reader that stops are passed on between the two streams.
 */
export function gatheredInput(input: NodeJS.ReadableStream): AsyncIterable<Uint8Array> {
  const gatherer = new Gatherer({ readableHighWaterMark: MAX_GATHERED_BYTES })
  pipeline(input, gatherer, () => undefined)
  return gatherer
}

class Gatherer extends Transform {
  #pieces: Buffer[] = []
  #sizeBytes = 0
  #firstMs = 0
  #timer: NodeJS.Timeout | undefined

  override _transform(piece: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    const nowMs = performance.now()
    if (this.#pieces.length === 0) this.#firstMs = nowMs
    this.#pieces.push(piece)
    this.#sizeBytes += piece.length
    clearTimeout(this.#timer)
    if (this.#sizeBytes >= MAX_GATHERED_BYTES || nowMs - this.#firstMs >= MAX_WAIT_MS) this.#handOn()
    else this.#timer = setTimeout(() => this.#handOn(), IDLE_MS)
    done()
  }

  override _flush(done: TransformCallback): void {
    this.#handOn()
    done()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    clearTimeout(this.#timer)
    done(error)
  }

  #handOn(): void {
    clearTimeout(this.#timer)
    if (this.#sizeBytes === 0) return
    this.push(Buffer.concat(this.#pieces))
    this.#pieces = []
    this.#sizeBytes = 0
  }
}
