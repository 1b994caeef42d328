/** Arrays as the server reads them: what the driver would write, at less cost. */
import { describe, expect, test } from 'vitest'
import { arrayText } from '../../../src/db/postgres/array-text.js'

describe('arrays of plain values become the text of an array on the server', () => {
  test.each([
    [[], '{}'],
    [[1, -2, 3], '{1,-2,3}'],
    [['a', ''], '{"a",""}'],
    [[null, null], '{null,null}'],
    [[1, null], '{1,null}'],
    [[true, false], '{true,false}'],
    [['NULL', '{,}'], '{"NULL","{,}"}'],
    [['a"b', 'c\\d', '\\n'], String.raw`{"a\"b","c\\d","\\n"}`],
    [['\xe9', '\u2028'], '{"\xe9","\u2028"}'],
  ] as const)('%j', (values, text) => {
    expect(arrayText(values)).toBe(text)
  })

  test.each(['\n', '\t', '\x01', '\0', '\ud800'])('a control character %j stays itself', (character) => {
    expect(arrayText([character, 'a"', null])).toBe(String.raw`{"${character}","a\"",NULL}`)
  })

  test('other values are left to the driver', () => {
    const bytes = [Buffer.from('a')]
    expect(arrayText(bytes)).toBe(bytes)
    expect(arrayText('text')).toBe('text')
    expect(arrayText(7)).toBe(7)
  })
})
