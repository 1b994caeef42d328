import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { detachText, MAX_LINE_BYTES, SmtpLineReader } from '../../../../src/codec/smtp/smtp-line.js'

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1')

function readAll(chunks: readonly Uint8Array[]): string[] {
  const reader = new SmtpLineReader()
  const lines: string[] = []
  for (const chunk of chunks) {
    reader.push(chunk)
    for (let line = reader.next(); line !== undefined; line = reader.next()) lines.push(line)
  }
  return lines
}

describe('lines', () => {
  const cases: { name: string; chunks: string[]; want: string[] }[] = [
    { name: 'CR LF ends a line', chunks: ['HELO x\r\n'], want: ['HELO x'] },
    { name: 'LF alone ends a line', chunks: ['HELO x\n'], want: ['HELO x'] },
    { name: 'CR alone does not', chunks: ['HELO x\rQUIT\r', '\n'], want: ['HELO x\rQUIT'] },
    { name: 'all trailing CRs go', chunks: ['A\r\r\r\n'], want: ['A'] },
    { name: 'an empty line is a line', chunks: ['\r\n', '\n'], want: ['', ''] },
    { name: 'a line in pieces', chunks: ['HE', 'LO x', '\r', '\n'], want: ['HELO x'] },
    { name: 'several lines in one piece', chunks: ['A\r\nB\r\nC'], want: ['A', 'B'] },
    { name: 'NUL is a byte like others', chunks: ['A\0B\r\n'], want: ['A\0B'] },
    { name: 'bytes above 0x7f become latin-1', chunks: ['\xff\xe4\r\n'], want: ['\xff\xe4'] },
    { name: 'no line without an end', chunks: ['QUIT'], want: [] },
  ]
  test.each(cases)('$name', ({ chunks, want }) => {
    expect(readAll(chunks.map(bytes))).toEqual(want)
  })

  test('8191 bytes without LF are a line, the rest is the next', () => {
    const long = 'h'.repeat(MAX_LINE_BYTES)
    expect(readAll([bytes(`${long}\r\n`)])).toEqual([long, ''])
    expect(readAll([bytes(`${long.slice(1)}\n`)])).toEqual([long.slice(1)])
    expect(readAll([bytes(`${long.slice(1)}\r\n`)])).toEqual([long.slice(1), ''])
    expect(readAll([bytes('h'.repeat(20_000))])).toEqual([long, long])
  })

  test('a client never costs more than a line and the last chunk', () => {
    const reader = new SmtpLineReader()
    for (let sent = 0; sent < 1_000_000; sent += 1000) {
      reader.push(bytes('x'.repeat(1000)))
      while (reader.next() !== undefined);
      expect(reader.pendingBytes).toBeLessThan(MAX_LINE_BYTES)
    }
  })

  test('clear forgets what was sent ahead', () => {
    const reader = new SmtpLineReader()
    reader.push(bytes('STARTTLS\r\nRCPT TO:<a@b>\r\n'))
    expect(reader.next()).toBe('STARTTLS')
    reader.clear()
    expect(reader.next()).toBeUndefined()
    expect(reader.pendingBytes).toBe(0)
  })
})

test('truncate keeps the first bytes and goes on from there', () => {
  const reader = new SmtpLineReader()
  reader.push(bytes('A\r\nB\r\nC\r\n'))
  reader.truncate(100)
  expect(reader.next()).toBe('A')
  reader.truncate(4)
  expect(reader.pendingBytes).toBe(4)
  expect([reader.next(), reader.next()]).toEqual(['B', undefined])
  reader.push(bytes('\n'))
  expect(reader.next()).toBe('C')
})

test('the lines do not depend on how the bytes are cut', () => {
  const input = fc.array(
    fc.oneof(
      fc.constantFrom('\r\n', '\n', '\r', '\0', 'QUIT\r\n', 'HELO a\r\n'),
      fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)) }),
      fc.integer({ min: 8180, max: 8200 }).map((length) => 'x'.repeat(length)),
    ),
    { maxLength: 12 },
  )
  fc.assert(
    fc.property(input, fc.array(fc.nat({ max: 9000 }), { maxLength: 8 }), (parts, cuts) => {
      const whole = bytes(parts.join(''))
      const positions = [...cuts.map((cut) => Math.min(cut, whole.length)), 0, whole.length].sort(
        (a, b) => a - b,
      )
      const pieces = positions.slice(1).map((end, index) => whole.subarray(positions[index], end))
      const lines = readAll(pieces)
      expect(lines).toEqual(readAll([whole]))
      expect(lines.every((line) => line.length <= MAX_LINE_BYTES && !line.includes('\n'))).toBe(true)
    }),
  )
})

test('detached text is equal text', () => {
  expect(detachText('\0a\xff')).toBe('\0a\xff')
})
