import { Writable } from 'node:stream'
import fc from 'fast-check'
import { expect, test, vi } from 'vitest'
import { type Frame, FrameReader, writeFrame } from '../../../../src/daemon/process/message-frames.js'

const LIMITS = { maxWordsBytes: 20, maxBytes: 10 }

function bytesOf(frames: readonly Frame[]): Buffer {
  const written: Buffer[] = []
  const stream = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      written.push(chunk)
      done()
    },
  })
  for (const frame of frames) void writeFrame(stream, frame)
  return Buffer.concat(written)
}

const shown = ({ words, bytes }: Frame): [string, string] => [words, Buffer.from(bytes).toString('hex')]

test('frames come out as they went in, however they were cut', () => {
  const frame = fc.record({
    words: fc.string({ maxLength: 5, unit: 'grapheme' }).filter((text) => Buffer.byteLength(text) <= 20),
    bytes: fc.uint8Array({ maxLength: 10 }),
  })
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 6 }), fc.array(fc.nat(12), { minLength: 1 }), (frames, cuts) => {
      const stream = bytesOf(frames)
      const reader = new FrameReader(LIMITS)
      const read: Frame[] = []
      for (let start = 0, turn = 0; start < stream.length; turn += 1) {
        const end = start + 1 + cuts[turn % cuts.length]!
        read.push(...reader.push(stream.subarray(start, end)))
        start = end
      }
      expect(read.map(shown)).toEqual(frames.map(shown))
    }),
  )
})

test('a frame that comes in many pieces is put together once, not at each', () => {
  const stream = bytesOf([{ words: 'x'.repeat(1000), bytes: new Uint8Array(1000) }])
  const reader = new FrameReader({ maxWordsBytes: 1000, maxBytes: 1000 })
  const concat = vi.spyOn(Buffer, 'concat')
  try {
    let frameCount = 0
    for (const byte of stream) frameCount += [...reader.push(Buffer.of(byte))].length
    expect(frameCount).toBe(1)
    // For the header, and for the whole.
    expect(concat.mock.calls.length).toBeLessThanOrEqual(2)
  } finally {
    concat.mockRestore()
  }
})

test('a frame of the greatest lengths is taken', () => {
  const frame = { words: 'x'.repeat(20), bytes: new Uint8Array(10) }
  expect([...new FrameReader(LIMITS).push(bytesOf([frame]))]).toHaveLength(1)
})

test.each([
  [21, 0],
  [0, 11],
  [0x7000_0000, 0],
  [0xffff_ffff, 0xffff_ffff],
])('lengths of %i and %i are refused with the header alone', (words, bytes) => {
  const header = Buffer.alloc(8)
  header.writeUInt32BE(words, 0)
  header.writeUInt32BE(bytes, 4)
  expect(() => [...new FrameReader(LIMITS).push(header)]).toThrow(RangeError)
})

test('any bytes: frames within the limits or a RangeError', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      try {
        for (const { words } of new FrameReader(LIMITS).push(bytes))
          expect(words.length).toBeLessThanOrEqual(20)
      } catch (error) {
        expect(error).toBeInstanceOf(RangeError)
      }
    }),
  )
})
