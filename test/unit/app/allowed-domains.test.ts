import { describe, expect, test } from 'vitest'
import { parseAllowedDomains } from '../../../src/app/allowed-domains.js'
import { trapKeyOf } from '../../../src/domain/recipient.js'

const parse = (text: string) => parseAllowedDomains(Buffer.from(text, 'latin1'), '/etc/domains')

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
    expect(() => parse(`ok\n${'x'.repeat(1024)}\n`)).toThrow(
      expect.objectContaining({
        message: 'line too long in /etc/domains - file ignored',
        hint: 'line 2 has more than 1023 bytes: write one domain per line',
      }),
    )
  })
})

test('white space and comments do not count', () => {
  const line = `  ${'x'.repeat(1023)}  `
  expect(parse(`# ${'c'.repeat(3000)}\n${line}\n`)?.suffixes).toEqual([line.trim()])
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
