/**
 * Gzip member by member. Node's own Gunzip loses what a member held when bytes that are no gzip follow it,
 * and real lists have such tails; the original reads on to the last member and ignores them.
 * Source: RFC 1952.
 */
import { crc32, createInflateRaw } from 'node:zlib'
import { FeedError } from './feed.js'

const MAGIC = [0x1f, 0x8b] as const
const DEFLATE = 8
const FLAG_HEADER_CRC = 0x02
const FLAG_EXTRA = 0x04
const FLAG_NAME = 0x08
const FLAG_COMMENT = 0x10
const FIXED_HEADER_BYTES = 10
const TRAILER_BYTES = 8
/** Name, comment and extra field of a member; honest ones are short. */
const MAX_HEADER_BYTES = 128 * 1024
/** Each member costs an inflater; log rotation concatenates a few, nobody a hundred thousand. */
const MAX_MEMBERS = 100_000

/**
 * The content of all members in sequence. Errors: `ERR_FEED_GZIP` for damage and for more members than
 * `maxMembers`, transient when the data ends inside a member; what `source` throws is passed on.
 */
export async function* gunzip(
  source: AsyncIterable<Uint8Array>,
  maxMembers = MAX_MEMBERS,
): AsyncGenerator<Uint8Array> {
  const input = new Input(source)
  try {
    for (let members = 0; ; members += 1) {
      if (!(await input.ensure(MAGIC.length)) || input.bytes[0] !== MAGIC[0] || input.bytes[1] !== MAGIC[1]) {
        if (members === 0) throw cut()
        return
      }
      if (members === maxMembers) throw new FeedError('ERR_FEED_GZIP', `more than ${maxMembers} gzip members`)
      await skipHeader(input)
      const checked = { crc: 0, lengthBytes: 0 }
      for await (const chunk of inflateMember(input)) {
        checked.crc = crc32(chunk, checked.crc)
        checked.lengthBytes += chunk.length
        yield chunk
      }
      if (!(await input.ensure(TRAILER_BYTES))) throw cut()
      const trailer = Buffer.from(input.take(TRAILER_BYTES))
      if (
        trailer.readUInt32LE(0) !== checked.crc ||
        trailer.readUInt32LE(4) !== checked.lengthBytes % 2 ** 32
      ) {
        throw damaged()
      }
    }
  } finally {
    await input.close()
  }
}

/** The bytes of the source that no member has used yet. */
class Input {
  readonly #iterator: AsyncIterator<Uint8Array>
  bytes: Uint8Array = new Uint8Array(0)

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#iterator = source[Symbol.asyncIterator]()
  }

  /** Makes at least `lengthBytes` bytes available; false when the source ends before. */
  async ensure(lengthBytes: number): Promise<boolean> {
    while (this.bytes.length < lengthBytes) {
      const chunk = await this.next()
      if (chunk === undefined) return false
      // A copy: the source may reuse the memory of its chunks.
      this.bytes = Buffer.concat([this.bytes, chunk])
    }
    return true
  }

  /** The next chunk of the source itself. */
  async next(): Promise<Uint8Array | undefined> {
    const result = await this.#iterator.next()
    return result.done === true ? undefined : result.value
  }

  take(lengthBytes: number): Uint8Array {
    const taken = this.bytes.subarray(0, lengthBytes)
    this.bytes = this.bytes.subarray(lengthBytes)
    return taken
  }

  async close(): Promise<void> {
    await this.#iterator.return?.()
  }
}

async function skipHeader(input: Input): Promise<void> {
  if (!(await input.ensure(FIXED_HEADER_BYTES))) throw cut()
  const head = input.take(FIXED_HEADER_BYTES)
  const flags = head[3]!
  if (head[2] !== DEFLATE || (flags & 0xe0) !== 0) throw damaged()
  if ((flags & FLAG_EXTRA) !== 0) {
    if (!(await input.ensure(2))) throw cut()
    const size = input.take(2)
    const extraBytes = size[0]! + size[1]! * 256
    if (!(await input.ensure(extraBytes))) throw cut()
    input.take(extraBytes)
  }
  for (const flag of [FLAG_NAME, FLAG_COMMENT]) if ((flags & flag) !== 0) await skipText(input)
  if ((flags & FLAG_HEADER_CRC) !== 0) {
    if (!(await input.ensure(2))) throw cut()
    input.take(2)
  }
}

/** Skips a text that ends at a NUL. */
async function skipText(input: Input): Promise<void> {
  for (;;) {
    const end = input.bytes.indexOf(0)
    if (end >= 0) {
      input.take(end + 1)
      return
    }
    if (input.bytes.length > MAX_HEADER_BYTES) throw damaged()
    if (!(await input.ensure(input.bytes.length + 1))) throw cut()
  }
}

async function* inflateMember(input: Input): AsyncGenerator<Uint8Array> {
  const inflater = createInflateRaw()
  let fedBytes = 0
  let lastChunk: Uint8Array = new Uint8Array(0)
  let sourceFailure: { error: unknown } | undefined
  let hasEnded = false
  inflater.once('end', () => {
    hasEnded = true
  })
  const feeding = (async () => {
    try {
      let chunk: Uint8Array | undefined = input.bytes.length > 0 ? input.bytes : await input.next()
      for (; chunk !== undefined; chunk = await input.next()) {
        lastChunk = chunk
        fedBytes += chunk.length
        await written(inflater, chunk)
        // Unused input is how raw deflate says that its stream is complete.
        if (inflater.destroyed || hasEnded || inflater.bytesWritten < fedBytes) return
      }
      inflater.end()
    } catch (error) {
      sourceFailure = { error }
      inflater.destroy()
    }
  })()
  try {
    yield* inflater as AsyncIterable<Uint8Array>
  } catch (error) {
    if (sourceFailure !== undefined) throw sourceFailure.error
    throw (error as NodeJS.ErrnoException).code === 'Z_BUF_ERROR' ? cut(error) : damaged(error)
  } finally {
    inflater.destroy()
    await feeding
    input.bytes = Buffer.from(lastChunk.subarray(lastChunk.length - (fedBytes - inflater.bytesWritten)))
  }
  if (sourceFailure !== undefined) throw sourceFailure.error
}

/** Resolves when the chunk's memory may be used again, or when nobody will read any more. */
function written(inflater: ReturnType<typeof createInflateRaw>, chunk: Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      inflater.off('close', done)
      inflater.off('end', done)
      resolve()
    }
    inflater.on('close', done)
    inflater.on('end', done)
    inflater.write(chunk, done)
  })
}

function cut(cause?: unknown): FeedError {
  return new FeedError('ERR_FEED_GZIP', 'the compressed data ends too early', { cause, isTransient: true })
}

function damaged(cause?: unknown): FeedError {
  return new FeedError('ERR_FEED_GZIP', 'the compressed data is damaged', { cause })
}
