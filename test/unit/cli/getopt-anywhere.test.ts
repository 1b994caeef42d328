import { expect, test } from 'vitest'
import { getoptAnywhere, type OptionSpec } from '../../../src/cli/getopt.js'

const specs: readonly OptionSpec[] = [
  { short: 'n', summary: 'switch' },
  { long: 'kind', value: 'KIND', summary: 'value' },
]

test.each([
  [['file', '--kind', 'WHITE'], ['kind'], ['file']],
  [
    ['--kind=WHITE', 'one', '-n', 'two'],
    ['kind', 'n'],
    ['one', 'two'],
  ],
  [['one', '--', '-n', '--kind'], [], ['one', '-n', '--kind']],
  [['-', '-n'], ['n'], ['-']],
  [[], [], []],
])('%j', (argv, names, operands) => {
  const result = getoptAnywhere(argv, specs)
  expect(result).toMatchObject({ ok: true, operands })
  expect(result.ok && result.options.map(({ name }) => name)).toEqual(names)
})

test('an unknown option behind an operand is still one', () => {
  expect(getoptAnywhere(['file', '-x'], specs)).toMatchObject({ ok: false, message: 'unknown option -- x' })
})
