import { expect, test } from 'vitest'
import { findMutants } from '../../mutants/find-mutants.js'

function mutate(text: string): string[] {
  return findMutants('x.ts', text).map(
    ({ start, end, replacement }) => text.slice(0, start) + replacement + text.slice(end),
  )
}

test.each([
  ['if (a) b = 1', ['if (!(a)) b = 1', 'if (a) ;', 'if (a) b = (1 + 1)', 'if (a) b = (1 - 1)']],
  ['x(999)', [';', 'x((999 + 1))', 'x((999 - 1))']],
  ['x(1_000)', [';', 'x((1_000 * 10))', 'x((1_000 * 0))']],
  ['const x = a < b', ['const x = a <= b']],
  ['const x = a >= b', ['const x = a > b']],
  ['const x = a === b', ['const x = a !== b']],
  ['const x = a && b', ['const x = a || b']],
  ['const x = a + b', ['const x = a - b']],
  ["const x = a + 'b'", []],
  ['const x = a ? b : c', ['const x = !(a) ? b : c']],
  ['function f() { return x }', ['function f() { return (undefined as never) }']],
  ['f()', [';']],
  ['const x = true', ['const x = false']],
  ['let x: 1 | true', []],
  ['interface A { b: 4 }', []],
  ["import a from 'b'", []],
])('%s', (text, wanted) => {
  expect(mutate(text)).toEqual(wanted)
})
