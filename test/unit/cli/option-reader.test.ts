/** The one reader of options: what is made of their values, and what is printed for wrong ones. */
import { describe, expect, test } from 'vitest'
import { OptionProblem, OptionValues } from '../../../src/cli/option-reader.js'
import { formatFailure } from '../../../src/cli/report-error.js'

const valuesOf = (...options: [name: string, value?: string][]): OptionValues =>
  new OptionValues({ options: options.map(([name, value]) => ({ name, value })) })

test('of several options, the one given last', () => {
  const options = valuesOf(['a'], ['x', 'v'], ['d'], ['x', 'w'])
  expect([options.lastOf(['a', 'd']), options.lastOf(['d', 'a']), options.lastOf(['b'])]).toEqual([
    'd',
    'd',
    undefined,
  ])
  expect([options.isEmpty, valuesOf().isEmpty]).toEqual([false, true])
})

describe('a number', () => {
  const read = (value: string): number | undefined => valuesOf(['n', '3'], ['n', value]).number('n', [1, 20])

  test.each([
    ['1', 1],
    ['20', 20],
    ['007', 7],
    // As strtonum(3) reads it.
    [' +5', 5],
  ])('%j is %j', (value, number) => {
    expect(read(value)).toBe(number)
  })

  test.each(['', '0', '21', '-1', '1.5', '1e1', '0x5', '5 ', 'five', '"'])('%j is refused', (value) => {
    expect(() => read(value)).toThrow(
      new OptionProblem(`--n: ${JSON.stringify(value)} is not a number from 1 to 20`),
    )
  })

  test('is undefined when the option is not given', () => {
    expect(valuesOf().number('n', [1, 20])).toBeUndefined()
  })

  test('has its own words and hint', () => {
    expect(() => valuesOf(['n', 'x']).number('n', [1, 2], 'a coin', 'heads or tails')).toThrow(
      expect.objectContaining({
        code: 'ERR_USAGE',
        message: '--n: "x" is not a coin',
        hint: 'heads or tails',
      }),
    )
  })
})

test.each([
  [new OptionProblem('bad\u001b'), 'p: bad\\x1b\n'],
  [new OptionProblem('bad', { hint: 'good' }), 'p: bad\np: hint: good\n'],
  [new OptionProblem('bad', { hint: 'good', usage: 'usage: p\n' }), 'p: bad\np: hint: good\nusage: p\n'],
  [new OptionProblem('bad', { line: 'quite bad\n', usage: 'usage: p\n' }), 'quite bad\nusage: p\n'],
  [new OptionProblem('bad', { line: '', usage: 'usage: p\n' }), 'usage: p\n'],
])('the text of %o', (problem, text) => {
  expect(formatFailure('p', problem)).toBe(text)
})
