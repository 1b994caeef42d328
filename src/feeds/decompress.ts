/** Gzip recognised by its first bytes, as the original does with every source. */
import { createGunzip } from 'node:zlib'
import { FeedError } from './feed.js'

/** Source: RFC 1952 section 2.3.1. */
const GZIP_MAGIC = [0x1f, 0x8b] as const

/** A `.gz` file that the server compressed once more for the transfer is two layers; nobody means three. */
const MAX_LAYERS = 2

/**
 * Address lists shrink by 3 to 30. Deflate reaches 1032 on repeated bytes, which no list has: beyond this
 * ratio a document is a bomb. Small documents are let through, they cannot hurt.
 */
const MAX_RATIO = 250
const RATIO_CHECKED_FROM_BYTES = 16 * 1024 * 1024

/**
 * Passes bytes through, decompressed when they begin with the gzip magic; concatenated members are read in
 * sequence and bytes behind the last member ignored, as by gzread(3).
 *
 * Errors: `ERR_FEED_TOO_BIG` beyond `maxBytes` before or after decompression, `ERR_FEED_GZIP` for damaged
 * data, a bomb, and a stream without its trailer.
 */
export function decompress(source: AsyncIterable<Uint8Array>, maxBytes: number): AsyncIterable<Uint8Array> {
  return unwrapLayer(limitBytes(source, maxBytes), maxBytes, MAX_LAYERS)
}

async function* limitBytes(source: AsyncIterable<Uint8Array>, maxBytes: number): AsyncGenerator<Uint8Array> {
  let sizeBytes = 0
  for await (const chunk of source) {
    sizeBytes += chunk.length
    if (sizeBytes > maxBytes) throw tooBig(maxBytes)
    yield chunk
  }
}

async function* unwrapLayer(
  source: AsyncIterable<Uint8Array>,
  maxBytes: number,
  layersLeft: number,
): AsyncGenerator<Uint8Array> {
  const iterator = source[Symbol.asyncIterator]()
  try {
    let head: Uint8Array = new Uint8Array(0)
    while (head.length < GZIP_MAGIC.length) {
      const next = await iterator.next()
      if (next.done === true) break
      head = head.length === 0 ? next.value : Buffer.concat([head, next.value])
    }
    const chunks = rest(head, iterator)
    if (head[0] !== GZIP_MAGIC[0] || head[1] !== GZIP_MAGIC[1]) {
      yield* chunks
      return
    }
    if (layersLeft === 0) {
      throw new FeedError('ERR_FEED_GZIP', `compressed more than ${MAX_LAYERS} times over`)
    }
    yield* unwrapLayer(gunzip(chunks, maxBytes), maxBytes, layersLeft - 1)
  } finally {
    await iterator.return?.()
  }
}

async function* rest(
  head: Uint8Array,
  iterator: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  if (head.length > 0) yield head
  for (;;) {
    const next = await iterator.next()
    if (next.done === true) return
    yield next.value
  }
}

async function* gunzip(source: AsyncIterable<Uint8Array>, maxBytes: number): AsyncGenerator<Uint8Array> {
  const inflater = createGunzip()
  let compressedBytes = 0
  let sourceError: unknown
  const feeding = (async () => {
    try {
      for await (const chunk of source) {
        compressedBytes += chunk.length
        if (inflater.destroyed) return
        await written(inflater, chunk)
      }
      inflater.end()
    } catch (error) {
      sourceError = error
      inflater.destroy()
    }
  })()
  let sizeBytes = 0
  try {
    for await (const chunk of inflater as AsyncIterable<Uint8Array>) {
      sizeBytes += chunk.length
      if (sizeBytes > maxBytes) throw tooBig(maxBytes)
      if (sizeBytes > RATIO_CHECKED_FROM_BYTES && sizeBytes > compressedBytes * MAX_RATIO) {
        throw new FeedError('ERR_FEED_GZIP', `decompresses to more than ${MAX_RATIO} times its size`)
      }
      yield chunk
    }
  } catch (error) {
    if (sourceError !== undefined) throw sourceError
    if (error instanceof FeedError) throw error
    throw gzipError(error)
  } finally {
    inflater.destroy()
    await feeding
  }
  if (sourceError !== undefined) throw sourceError
}

/** Resolves when the chunk's memory may be used again, or when nobody will read any more. */
function written(inflater: ReturnType<typeof createGunzip>, chunk: Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      inflater.off('close', done)
      resolve()
    }
    inflater.on('close', done)
    inflater.write(chunk, done)
  })
}

function gzipError(error: unknown): FeedError {
  const code = (error as NodeJS.ErrnoException).code
  const isCut = code === 'Z_BUF_ERROR'
  return new FeedError(
    'ERR_FEED_GZIP',
    isCut ? 'the compressed data ends too early' : 'the compressed data is damaged',
    { cause: error, isTransient: isCut },
  )
}

function tooBig(maxBytes: number): FeedError {
  return new FeedError('ERR_FEED_TOO_BIG', `larger than ${maxBytes} bytes`, {
    hint: 'raise the limit with --max-bytes if the list is really that large',
  })
}
