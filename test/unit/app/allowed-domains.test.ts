import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { loadAllowedDomains, parseAllowedDomains } from '../../../src/app/allowed-domains.js'
import { trapKeyOf } from '../../../src/domain/recipient.js'

const folder = mkdtempSync(join(tmpdir(), 'allowed-domains-'))
afterAll(() => rmSync(folder, { recursive: true }))

const parse = (text: string) => parseAllowedDomains(Buffer.from(text, 'latin1'))

describe('lines', () => {
  test('white space around a suffix, empty lines and comments are passed over', () => {
    expect(parse('# comment\n\n  example.net  \n@Example.Org\r\n\t\n')?.suffixes).toEqual([
      'example.net',
      '@Example.Org',
    ])
  })
  test('a last line needs no line feed', () => {
    expect(parse('example.net')?.suffixes).toEqual(['example.net'])
  })
  test.each(['', '\n\n', '# only a comment\n'])('%j restricts nothing', (text) => {
    expect(parse(text)).toBeUndefined()
  })
  test('a line of 1023 bytes is taken, one more makes the file ignored', () => {
    expect(parse(`${'x'.repeat(1023)}\n`)?.suffixes[0]).toHaveLength(1023)
    expect(() => parse(`ok\n${'x'.repeat(1024)}\n`)).toThrow('line 2 is longer than 1023 bytes')
  })
})

describe('matching', () => {
  const cases: [suffix: string, recipient: string, isAllowed: boolean, rule: string][] = [
    ['example.net', '<x@example.net>', true, 'the domain itself'],
    ['example.net', '<x@sub.example.net>', true, 'a domain below it'],
    ['example.net', '<x@notexample.net>', false, 'only at a label boundary'],
    ['example.net', '<example.net>', true, 'the whole text'],
    ['example.net', '<x@example.net.>', false, 'a trailing dot is not removed'],
    ['@example.org', '<X@EXAMPLE.ORG>', true, 'case does not matter'],
    ['@example.org', '<x@sub.example.org>', false, '@ binds to one domain'],
    ['.example.org', '<x@sub.example.org>', true, 'a leading dot means domains below'],
    ['.example.org', '<x@example.org>', false, 'a leading dot does not mean the domain itself'],
    ['example.org', 'x@example.org', true, 'no brackets needed'],
    ['postmaster@example.org', '<postmaster@example.org>', true, 'a whole address'],
    ['postmaster@example.org', '<xpostmaster@example.org>', false, 'not the end of another address'],
  ]
  test.each(cases)('%s and %s: %s (%s)', (suffix, recipient, isAllowed) => {
    expect(parse(`${suffix}\n`)?.allows(trapKeyOf(recipient))).toBe(isAllowed)
  })
})

describe('the file', () => {
  test('a missing file restricts nothing', () => {
    expect(loadAllowedDomains(join(folder, 'missing'))).toBeUndefined()
  })
  test('a folder in its place is an error that names it', () => {
    expect(() => loadAllowedDomains(folder)).toThrow(`cannot read ${folder}: Is a directory`)
  })
  test('an overlong line is an error that names file and line', () => {
    const path = join(folder, 'long')
    writeFileSync(path, 'y'.repeat(2000))
    expect(() => loadAllowedDomains(path)).toThrow(`${path}: line 1 is longer than 1023 bytes`)
  })
  test('a good file is read', () => {
    const path = join(folder, 'good')
    writeFileSync(path, 'example.org\n')
    expect(loadAllowedDomains(path)?.allows('a@example.org')).toBe(true)
  })
})

describe('the trap key of a recipient', () => {
  test.each([
    ['<Foo@Example.ORG>', 'foo@example.org'],
    ['<<foo@bar>>', '<foo@bar>'],
    ['foo@bar>x', 'foo@bar>x'],
    ['<@relay:foo+tag@bar.>', '@relay:foo+tag@bar.'],
    ['<Ä@B>', 'Ä@b'],
    ['', ''],
  ])('%s is %s', (recipient, key) => {
    expect(trapKeyOf(recipient)).toBe(key)
  })
  test('the cut at 1023 bytes comes before the closing bracket', () => {
    expect(trapKeyOf(`<${'a'.repeat(1023)}>`)).toBe('a'.repeat(1023))
    expect(trapKeyOf(`<${'a'.repeat(1022)}>`)).toBe('a'.repeat(1022))
  })
})
