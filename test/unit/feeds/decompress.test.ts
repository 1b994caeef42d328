import { gunzipSync, gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decompress } from '../../../src/feeds/decompress.js'
import { DEFAULT_FEED_LIMITS, FeedError } from '../../../src/feeds/feed.js'

const MAX_BYTES = 1024 * 1024

async function* inPieces(bytes: Uint8Array, pieceBytes: number): AsyncGenerator<Uint8Array> {
  // One shared buffer, as the file reader has it: what is kept must be copied.
  const shared = Buffer.alloc(pieceBytes)
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    const piece = bytes.subarray(at, at + pieceBytes)
    shared.set(piece)
    yield shared.subarray(0, piece.length)
  }
}

async function readAll(bytes: Uint8Array, pieceBytes = 65_536): Promise<string> {
  const chunks: Uint8Array[] = []
  for await (const chunk of decompress(inPieces(bytes, pieceBytes), MAX_BYTES))
    chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks).toString('latin1')
}

test('members cut anywhere into pieces give their content in sequence', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.string({ maxLength: 300 }), { minLength: 1, maxLength: 4 }),
      fc.integer({ min: 1, max: 70 }),
      fc.constantFrom('', 'tail', '\0\0\0\0', '\n'),
      async (texts, pieceBytes, tail) => {
        const file = Buffer.concat([
          ...texts.map((text) => gzipSync(Buffer.from(text, 'latin1'))),
          Buffer.from(tail),
        ])
        const plain = texts.map((text) => Buffer.from(text, 'latin1').toString('latin1')).join('')
        // Content that is itself gzip would be unwrapped once more.
        fc.pre(!plain.startsWith('\x1f\x8b'))
        expect(await readAll(file, pieceBytes)).toBe(plain)
      },
    ),
    { numRuns: 200 },
  )
})

test('optional header fields are skipped', async () => {
  const plain = gzipSync('192.0.2.1\n')
  const header = Buffer.from(plain.subarray(0, 10))
  header[3] = 0x02 | 0x04 | 0x08 | 0x10
  const fields = Buffer.from('\x03\x00abcname.txt\0a comment\0\x00\x00', 'latin1')
  const file = Buffer.concat([header, fields, plain.subarray(10)])
  for (const pieceBytes of [1, 7, 4_096]) expect(await readAll(file, pieceBytes)).toBe('192.0.2.1\n')
})

test('every prefix of a member is a failure, and never half a list', async () => {
  const file = gzipSync('192.0.2.1\n192.0.2.2\n')
  for (let lengthBytes = 2; lengthBytes < file.length; lengthBytes += 1) {
    await expect(readAll(file.subarray(0, lengthBytes))).rejects.toThrow('the compressed data ends too early')
  }
})

test('any damage is a FeedError or what zlib itself reads', async () => {
  const file = gzipSync(Buffer.from('192.0.2.1\n198.51.100.7\n'.repeat(40)))
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.integer({ min: 2, max: file.length - 1 }), fc.integer({ min: 1, max: 255 })), {
        minLength: 1,
        maxLength: 3,
      }),
      async (flips) => {
        const bytes = Buffer.from(file)
        for (const [at, mask] of flips) bytes[at]! ^= mask
        const ours = await readAll(bytes).catch((error: unknown) => error)
        let theirs: string | undefined
        try {
          theirs = gunzipSync(bytes).toString('latin1')
        } catch {
          theirs = undefined
        }
        if (theirs === undefined) expect(ours).toBeInstanceOf(FeedError)
        else expect(ours).toBe(theirs)
      },
    ),
    { numRuns: 500 },
  )
})

test('plain text passes, also when it is shorter than the magic', async () => {
  for (const text of ['', '1', '\x1f', '192.0.2.1\n'])
    expect(await readAll(Buffer.from(text, 'latin1'))).toBe(text)
})

test('three layers are refused', async () => {
  await expect(readAll(gzipSync(gzipSync(gzipSync('x'))))).rejects.toThrow('compressed more than 2 times')
})

test('without --max-bytes a list has 256 MiB at most', async () => {
  const lengthOf = async (pieces: readonly Uint8Array[]): Promise<number> => {
    let length = 0
    const source = (async function* () {
      yield* pieces
    })()
    for await (const piece of decompress(source, DEFAULT_FEED_LIMITS.maxBytes)) length += piece.length
    return length
  }
  // One piece of memory stands for all.
  const largest = new Array<Uint8Array>(256).fill(new Uint8Array(2 ** 20))
  expect(await lengthOf(largest)).toBe(2 ** 28)
  await expect(lengthOf([...largest, Uint8Array.of(1)])).rejects.toMatchObject({ code: 'ERR_FEED_TOO_BIG' })
})
