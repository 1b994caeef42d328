import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeSurrogateEscape, encodeSurrogateEscape } from '../../../src/codec/surrogate-escape.js'

const wireOf = (text: string): string => Buffer.from(text, 'utf8').toString('latin1')

test.each([
  ['plain ASCII', 'a@b', 'a@b'],
  ['two bytes', wireOf('ä'), 'ä'],
  ['three bytes', wireOf('€'), '€'],
  ['four bytes', wireOf('😀'), '😀'],
  ['a byte that begins nothing', 'a\u00ffb', 'a\udcffb'],
  ['a sequence cut off', '\u00e2\u0082', '\udce2\udc82'],
  ['an overlong form', '\u00c0\u00af', '\udcc0\udcaf'],
  ['an encoded surrogate', '\u00ed\u00a0\u0080', '\udced\udca0\udc80'],
  ['beyond U+10FFFF', '\u00f4\u0090\u0080\u0080', '\udcf4\udc90\udc80\udc80'],
])('%s', (_name, wire, text) => {
  expect(decodeSurrogateEscape(wire)).toBe(text)
  expect(encodeSurrogateEscape(text)).toBe(wire)
})

test('any bytes come back, and valid UTF-8 is what the platform decodes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      const wire = Buffer.from(bytes).toString('latin1')
      expect(encodeSurrogateEscape(decodeSurrogateEscape(wire))).toBe(wire)
    }),
    { numRuns: 2000 },
  )
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      expect(decodeSurrogateEscape(wireOf(text))).toBe(text)
    }),
  )
})
