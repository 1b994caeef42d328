/** Gzip detection by the first bytes, as in the original, for every source. */
import { FeedError } from './feed.js'

/** Source: RFC 1952 section 2.3.1. */
const GZIP_MAGIC_BYTES = 2

/** A `.gz` file that the server compresses again for the transfer has two layers; three are not intended. */
const MAX_LAYERS = 2

/**
 * Address lists compress by a factor of 3 to 30. Deflate reaches 1032 on repeated bytes, which no list
 * consists of: beyond this ratio a document is a decompression bomb. Small documents are always accepted,
 * because they are harmless.
 */
const MAX_RATIO = 250
const RATIO_CHECKED_FROM_BYTES = 16 * 1024 * 1024

/**
 * Passes bytes through, decompressed when they begin with the gzip magic; concatenated members are read in
 * sequence and bytes after the last member ignored, as by gzread(3).
 *
 * Errors: `ERR_FEED_TOO_BIG` beyond `maxBytes` before or after decompression, `ERR_FEED_GZIP` for damaged
 * data, a bomb, and a stream without its trailer.
 */
export function decompress(source: AsyncIterable<Uint8Array>, maxBytes: number): AsyncIterable<Uint8Array> {
  return unwrapLayer(limitBytes(source, maxBytes), maxBytes, MAX_LAYERS)
}

async function* limitBytes(
  source: AsyncIterable<Uint8Array>,
  maxBytes: number,
  onChunk: (sizeBytes: number) => void = () => undefined,
): AsyncGenerator<Uint8Array> {
  let sizeBytes = 0
  for await (const chunk of source) {
    sizeBytes += chunk.length
    if (sizeBytes > maxBytes) throw tooBig(maxBytes)
    onChunk(sizeBytes)
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
    while (head.length < GZIP_MAGIC_BYTES) {
      const next = await iterator.next()
      if (next.done === true) break
      // Data kept across another read is copied, because the source may reuse its memory.
      head =
        head.length === 0 && next.value.length >= GZIP_MAGIC_BYTES
          ? next.value
          : Buffer.concat([head, next.value])
    }
    if (head[0] !== 0x1f || head[1] !== 0x8b) {
      yield* rest(head, iterator)
      return
    }
    if (layersLeft === 0) {
      throw new FeedError('ERR_FEED_GZIP', `compressed more than ${MAX_LAYERS} times`)
    }
    // Loaded when first needed: most lists in a run over local files are plain text.
    const { gunzip } = await import('./gunzip.js')
    let compressedBytes = 0
    const counted = limitBytes(rest(head, iterator), maxBytes, (sizeBytes) => {
      compressedBytes = sizeBytes
    })
    const content = limitBytes(gunzip(counted), maxBytes, (sizeBytes) => {
      if (sizeBytes > RATIO_CHECKED_FROM_BYTES && sizeBytes > compressedBytes * MAX_RATIO) {
        throw new FeedError('ERR_FEED_GZIP', `decompresses to more than ${MAX_RATIO} times its size`)
      }
    })
    yield* unwrapLayer(content, maxBytes, layersLeft - 1)
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

function tooBig(maxBytes: number): FeedError {
  return new FeedError('ERR_FEED_TOO_BIG', `larger than ${maxBytes} bytes`, {
    hint: 'raise the limit with --max-bytes if the list is really that large',
  })
}
