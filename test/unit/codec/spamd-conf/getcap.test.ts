import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type CapabilityRecord,
  decodeCapabilityString,
  encodeCapabilityString,
  findCapability,
  hasName,
  parseCapabilities,
  parseCapabilityNumber,
} from '../../../../src/codec/spamd-conf/getcap.js'

const only = (text: string): CapabilityRecord => {
  const { records } = parseCapabilities(text)
  expect(records).toHaveLength(1)
  return records[0]!
}
const textsOf = (record: CapabilityRecord) => record.fields.map(({ text }) => text)

describe('records', () => {
  test.each([
    ['one line', 'a:x:y:\n', ['x', 'y', '']],
    ['continued lines keep the tab of the next', 'a:\\\n\t:x:\\\n\t:y:\n', ['\t', 'x', '\t', 'y', '']],
    ['CR LF', 'a:\\\r\n\t:x:\r\n', ['\t', 'x', '']],
    ['no line end at the end', 'a:x', ['x']],
    ['a comment before it', '# c\n\n\na:x\n', ['x']],
    ['a # in the middle is text', 'a:x#1:#y\n', ['x#1', '#y']],
    ['a quoted colon', 'a:m="x:y":z\n', ['m="x\\Cy"', 'z']],
    ['an escaped quote does not quote', 'a:m=\\"x:y\\":z\n', ['m=\\"x', 'y\\"', 'z']],
    ['an odd quote takes in the rest', 'a:m="x:y:z\n', ['m="x\\Cy\\Cz']],
    ['an escaped colon outside quotes ends the field', 'a:m=x\\:y\n', ['m=x\\', 'y']],
    ['two backslashes at the end join too', 'a:x\\\\\ny\n', ['x\\y']],
  ])('%s', (_name, text, want) => {
    expect(textsOf(only(text))).toEqual(want)
  })

  test('fields know their place', () => {
    const record = only('# c\na|b:x:\\\n\t:m="1:\\\n2":\\\n\t:y:')
    expect(record.position).toEqual({ line: 2, column: 1 })
    expect(record.fields.map(({ text, position }) => [text, position.line, position.column])).toEqual([
      ['x', 2, 5],
      ['\t', 3, 1],
      ['m="1\\C2"', 3, 3],
      ['\t', 5, 1],
      ['y', 5, 3],
      ['', 5, 5],
    ])
  })

  test('a comment that ends in a backslash hides the next line', () => {
    const { records, swallowedLines } = parseCapabilities('# c \\\na:x:\n# d \\\n# e\nb:y:\n')
    expect(records.map(({ names }) => names)).toEqual(['b'])
    expect(swallowedLines).toEqual([{ position: { line: 2, column: 1 }, text: 'a:x:' }])
  })

  test('a backslash at the end of the file is told', () => {
    expect(only('all:\\\n').openContinuation).toEqual({ line: 1, column: 5 })
    expect(only('all:\\').openContinuation).toEqual({ line: 1, column: 5 })
    expect(only('all:\\\n\n').openContinuation).toBeUndefined()
  })
})

test.each([
  ['a', 'a', true],
  ['a|b', 'a', true],
  ['a|b', 'b', true],
  ['a|b', 'a|b', true],
  ['a|b|c', 'b|c', true],
  ['ab', 'a', false],
  ['ab', 'b', false],
  ['a|bc', 'b', false],
  [' a', 'a', false],
  ['a ', 'a', false],
  ['A', 'a', false],
])('hasName(%j, %j) is %s', (names, name, want) => {
  expect(hasName(only(`${names}:x:`), name)).toBe(want)
})

describe('findCapability', () => {
  const find = (text: string, name: string, type: ':' | '=' | '#') => {
    const found = findCapability(only(`r:${text}`).fields, name, type)
    return found.kind === 'present' ? found.value : found.kind
  }
  test.each([
    ['black:', 'black', ':', ''],
    ['black=1:black:', 'black', ':', ''],
    ['black=1:', 'black', ':', 'absent'],
    ['blackish:', 'black', ':', 'absent'],
    ['black@:black:', 'black', ':', 'cancelled'],
    ['black:black@:', 'black', ':', ''],
    [' black:', 'black', ':', 'absent'],
    ['msg=x:msg=y:', 'msg', '=', 'x'],
    ['msg:msg=y:', 'msg', '=', 'y'],
    ['msg@:msg=y:', 'msg', '=', 'cancelled'],
    ['msg=@:msg=y:', 'msg', '=', 'cancelled'],
    ['min#5:', 'min', '#', '5'],
    ['min=5:', 'min', '#', 'absent'],
  ] as const)('%s for %s%s', (text, name, type, want) => {
    expect(find(text, name, type)).toBe(want)
  })
})

describe('string values', () => {
  test.each([
    ['plain', 'plain'],
    ['\\t\\T\\b\\f\\r\\n\\e\\E\\c\\C', '\t\t\b\f\r\n\u001b\u001b::'],
    ['\\q\\%\\\\\\^\\"\\,', 'q%\\^",'],
    ['^A^[^Mx^?', '\u0001\u001b\rx\u001f'],
    ['\\072\\7\\0101\\777', ':\u0007\b1\u00ff'],
    ['\\8', '8'],
    ['cut\\', 'cut'],
    ['cut^', 'cut'],
    ['^\\C', '\u001cC'],
  ])('%j is %j', (text, want) => {
    expect(decodeCapabilityString(text)).toBe(want)
  })

  test('encoded text decodes to the same and holds nothing that ends or changes a field', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const value = Buffer.from(bytes).toString('latin1')
        const encoded = encodeCapabilityString(value)
        expect(encoded).not.toMatch(/[:"^\n\r]/)
        expect(decodeCapabilityString(encoded)).toBe(value)
      }),
    )
  })
})

test.each([
  ['12', 12],
  ['0', 0],
  ['017', 15],
  ['0x1F', 31],
  ['', undefined],
  ['08', undefined],
  ['0x', undefined],
  ['-1', undefined],
  ['1.5', undefined],
  ['99999999999999999999', undefined],
])('the number %j is %s', (text, want) => {
  expect(parseCapabilityNumber(text)).toBe(want)
})
