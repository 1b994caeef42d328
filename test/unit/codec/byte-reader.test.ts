import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ByteReader } from '../../../src/codec/byte-reader.js'

const bytes = Uint8Array.of(1, 2, 3, 4, 5, 6, 0, 8)

describe('ByteReader', () => {
  test('reads numbers of both orders and moves on', () => {
    const reader = new ByteReader(bytes)
    expect([reader.u8(), reader.u16be(), reader.u16le(), reader.u8()]).toEqual([1, 0x0203, 0x0504, 6])
    expect(reader.remaining).toBe(2)
    reader.seek(0)
    expect([reader.u32be(), reader.position]).toEqual([0x01020304, 4])
    expect(new ByteReader(bytes, 1).u32le()).toBe(0x05040302)
    expect(new ByteReader(Uint8Array.of(255, 255, 255, 255)).u32be()).toBe(0xffffffff)
    expect(reader.isShort).toBe(false)
  })

  test.each<[string, (reader: ByteReader) => unknown]>([
    ['u8', (reader) => reader.u8()],
    ['u16be', (reader) => reader.u16be()],
    ['u16le', (reader) => reader.u16le()],
    ['u32be', (reader) => reader.u32be()],
    ['u32le', (reader) => reader.u32le()],
    ['paddedText', (reader) => reader.paddedText(4) === '' && 0],
    ['take', (reader) => reader.take(4).length],
    ['negative take', (reader) => reader.take(-1).length],
  ])('%s past the end gives nothing and marks the reader short for good', (_name, read) => {
    const reader = new ByteReader(bytes, 8)
    expect(reader.isShort).toBe(false)
    expect(read(reader)).toBe(0)
    reader.seek(0)
    expect(reader.isShort).toBe(true)
  })

  test('seeking or starting outside is short, at the very end is not', () => {
    for (const offset of [-1, 9]) {
      const reader = new ByteReader(bytes)
      reader.seek(offset)
      expect(reader.isShort).toBe(true)
    }
    expect(new ByteReader(bytes, 9).isShort).toBe(true)
    expect(new ByteReader(bytes, 8).isShort).toBe(false)
  })

  test('a window ends the reading before the array does', () => {
    const reader = new ByteReader(bytes, 2, 4)
    expect([reader.u16be(), reader.remaining, reader.u8(), reader.isShort]).toEqual([0x0304, 0, 0, true])
  })

  test('padded text stops at its first NUL but takes the whole field', () => {
    const reader = new ByteReader(Uint8Array.of(0x65, 0x6d, 0x30, 0, 0x78, 7))
    expect([reader.paddedText(5), reader.u8()]).toEqual(['em0', 7])
  })

  test('any calls on any bytes stay within the array', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 20 }),
        fc.array(
          fc.tuple(
            fc.constantFrom('u8', 'u16be', 'u32le', 'take', 'seek', 'skip'),
            fc.integer({ min: -3, max: 25 }),
          ),
        ),
        (input, calls) => {
          const reader = new ByteReader(input)
          for (const [call, argument] of calls) {
            if (call === 'take') reader.take(argument)
            else if (call === 'seek') reader.seek(argument)
            else if (call === 'skip') reader.skip(argument)
            else reader[call as 'u8' | 'u16be' | 'u32le']()
            expect(reader.position).toBeGreaterThanOrEqual(0)
            expect(reader.position).toBeLessThanOrEqual(input.length)
          }
        },
      ),
    )
  })
})
