import fc from 'fast-check'
import { expect, test } from 'vitest'
import { configLineChunks } from '../../../../src/codec/config-line/config-line-chunks.js'
import { createListParser } from '../../../../src/codec/lists/list-lines.js'
import { formatCidrs } from '../../../../src/ip/cidr-text.js'
import type { IpRangeSet } from '../../../../src/ip/ip-range-set.js'
import { encodeConfigLine } from '../../../support/encode-config-line.js'

function setOf(lines: string[]): IpRangeSet {
  const parser = createListParser()
  parser.push(Buffer.from(`${lines.join('\n')}\n`))
  return parser.end().set
}

function joined(name: string, message: string, set: IpRangeSet): string {
  let text = ''
  for (const chunk of configLineChunks({ name, message, set })) text += Buffer.from(chunk).toString('latin1')
  return text
}

test('the pieces are the line, whatever families the set holds', () => {
  const address = fc.oneof(fc.ipV4(), fc.ipV6())
  fc.assert(
    fc.property(fc.array(address, { maxLength: 20 }), fc.string({ maxLength: 20 }), (lines, text) => {
      const set = setOf(lines)
      const message = Buffer.from(text).toString('latin1')
      const whole = encodeConfigLine({ name: 'a', message, ...formatCidrs(set) })
      expect(joined('a', message, set)).toBe(Buffer.from(whole).toString('latin1'))
    }),
  )
})

test('a list of many pieces', () => {
  const set = setOf(
    Array.from(
      { length: 120_000 },
      (_unused, index) => `10.${index >> 15}.${(index >> 7) & 255}.${(index & 127) * 2}`,
    ),
  )
  const whole = encodeConfigLine({ name: 'a', message: 'x', ...formatCidrs(set) })
  expect([...configLineChunks({ name: 'a', message: 'x', set })].length).toBeGreaterThan(4)
  expect(joined('a', 'x', set)).toBe(Buffer.from(whole).toString('latin1'))
})

test('a name that cannot stand in a line is refused', () => {
  expect(() => joined('a;b', 'x', setOf(['192.0.2.1']))).toThrow(RangeError)
})
