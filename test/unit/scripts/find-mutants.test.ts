import ts from 'typescript'
import { expect, test } from 'vitest'
import { findMutants, withSwitches } from '../../mutants/find-mutants.js'

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
  [
    'x = 16 * 64 * 2',
    [
      ';',
      'x = (16 * 10) * 64 * 2',
      'x = (16 * 0) * 64 * 2',
      'x = 16 * (64 * 10) * 2',
      'x = 16 * (64 * 0) * 2',
      'x = 16 * 64 * (2 * 10)',
      'x = 16 * 64 * (2 * 0)',
    ],
  ],
  ['const x = 16 * y', ['const x = (16 + 1) * y', 'const x = (16 - 1) * y']],
  ['const x = { 4: y }', []],
  ['function f() { return undefined }', []],
  ['function f() { return false }', ['function f() { return true }']],
  // Of two equals, which is taken is the same.
  ['const x = a < b ? a : b', ['const x = !(a < b) ? a : b']],
  ['if (a > b) a = b', ['if (!(a > b)) a = b', 'if (a > b) ;']],
  ['const x = a < b ? a : c', ['const x = !(a < b) ? a : c', 'const x = a <= b ? a : c']],
  ['while (true) f()', ['while (false) f()', 'while (true) ;']],
])('%s', (text, wanted) => {
  expect(mutate(text)).toEqual(wanted)
})

/** Runs a script with one change on. */
function run(text: string, on: number): unknown[] {
  const built = withSwitches(text, findMutants('x.ts', text), 1, '/switch.mjs')
  const [head, body] = built.split(/;(.*)/s) as [string, string]
  expect(head).toBe('import { isMutant as __isMutant } from "/switch.mjs"')
  const tell: unknown[] = []
  new Function('__isMutant', 'tell', ts.transpile(body))(
    (number: number) => number === on,
    (value: unknown) => tell.push(value),
  )
  return tell
}

test.each([
  'const a = 5\nif (a > 4 && a < 6) tell(1)\nelse tell(a + 2)',
  'const f = (a) => { tell(7)\n  return a ? a + 1 : 3 }\ntell(f(0)); tell(f(1))',
  'let a = 0\nconst b = a\na === 1 && tell(3)\na += 1\ntell(a + b)',
  'for (const a of [1, 2]) if (a === 2) { tell(a); break }',
])('each switch is the change itself, and none is the source: %s', (text) => {
  const mutants = findMutants('x.ts', text)
  expect(mutants.length).toBeGreaterThan(4)
  const plain = (source: string) => {
    const tell: unknown[] = []
    new Function('tell', ts.transpile(source))((value: unknown) => tell.push(value))
    return tell
  }
  expect(run(text, 0)).toEqual(plain(text))
  for (const [at, { start, end, replacement }] of mutants.entries())
    expect(run(text, at + 1)).toEqual(plain(text.slice(0, start) + replacement + text.slice(end)))
})
