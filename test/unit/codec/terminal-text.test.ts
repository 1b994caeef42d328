import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { toTerminalText } from '../../../src/codec/terminal-text.js'

const shown = (text: string | Uint8Array): string =>
  Buffer.from(toTerminalText(Buffer.from(text as string))).toString('latin1')
const asWritten = (text: string): string => Buffer.from(text).toString('latin1')

describe('text for a terminal', () => {
  test.each([
    ['a C1 control in UTF-8', 'a\u009b31mb', 'a\\u009b31mb'],
    ['the first and the last C1 control', '\u0080\u009f', '\\u0080\\u009f'],
    ['a right-to-left override', 'a\u202egpj.exe', 'a\\u202egpj.exe'],
    ['embeddings', '\u202a\u202b\u202c\u202d', '\\u202a\\u202b\\u202c\\u202d'],
    ['isolates', '\u2066\u2067\u2068\u2069', '\\u2066\\u2067\\u2068\\u2069'],
    ['marks', '\u061c\u200e\u200f', '\\u061c\\u200e\\u200f'],
    ['separators of lines', '\u2028\u2029', '\\u2028\\u2029'],
  ])('%s is shown by its number', (_, text, expected) => {
    expect(shown(text)).toBe(expected)
  })

  test('a byte of the C1 range outside UTF-8 is shown', () => {
    expect(shown(Buffer.from([0x61, 0x9b, 0x33, 0x6d, 0x80, 0x9f]))).toBe('a\\x9b3m\\x80\\x9f')
    // Overlong, surrogate and cut sequences are no UTF-8: their continuation bytes stand alone.
    expect(shown(Buffer.from([0xc0, 0x9b, 0xed, 0xa0, 0x80, 0xe2, 0x80]))).toBe(
      '\xc0\\x9b\xed\xa0\\x80\xe2\\x80',
    )
  })

  test.each([
    'plain\ttext\n\u001b[m\u007f',
    '\u00a0 Müller €',
    '日本語 🙂 \u200d \u2027\u202f\u2065\u206a',
    'שלום',
  ])('%j stays as it is', (text) => {
    expect(shown(text)).toBe(asWritten(text))
  })

  test('bytes from 0xa0 outside UTF-8 stay', () => {
    expect(shown(Buffer.from([0xe9, 0x20, 0xff, 0xa0]))).toBe('\xe9 \xff\xa0')
  })

  test('whatever comes in, no control of the terminal comes out, and what has none is unchanged', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 40 }), (text) => {
        const safe = Buffer.from(toTerminalText(Buffer.from(text))).toString('utf8')
        expect(safe).not.toMatch(/[\u0080-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/)
        if (!/[\u0080-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/.test(text)) {
          expect(safe).toBe(Buffer.from(text).toString('utf8'))
        }
      }),
    )
  })
})
