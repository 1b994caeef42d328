import fc from 'fast-check'
import { expect, test } from 'vitest'
import { LineSplitter } from '../../../src/codec/line-splitter.js'

const MAX = 8

test('lines are the same wherever the chunks are cut, and never longer than the cap and one', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b', '\n'), maxLength: 60 })
  fc.assert(
    fc.property(text, fc.array(fc.nat(10), { maxLength: 30 }), (whole, cuts) => {
      const splitter = new LineSplitter(MAX)
      const lines: string[] = []
      let rest = whole
      for (const cut of cuts) {
        lines.push(...splitter.push(rest.slice(0, cut)))
        rest = rest.slice(cut)
      }
      lines.push(...splitter.push(rest), ...splitter.end())
      const wanted = whole.split('\n')
      if (wanted.at(-1) === '') wanted.pop()
      expect(lines).toEqual(wanted.map((line) => line.slice(0, MAX + 1)))
    }),
  )
})

test('a line without end costs no more than the cap', () => {
  const splitter = new LineSplitter(MAX)
  for (let count = 0; count < 1000; count += 1) expect(splitter.push('x'.repeat(1000))).toEqual([])
  expect(splitter.end()).toEqual(['x'.repeat(MAX + 1)])
  expect(splitter.end()).toEqual([])
})
