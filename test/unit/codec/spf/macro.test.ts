import { describe, expect, test } from 'vitest'
import {
  expandDomain,
  isOfDomainAlone,
  type MacroValues,
  parseDomainSpec,
  parseMacroString,
} from '../../../../src/codec/spf/macro.js'

// The example of RFC 7208 section 7.4.
const VALUES: MacroValues = {
  s: 'strong-bad@email.example.com',
  l: 'strong-bad',
  o: 'email.example.com',
  d: 'email.example.com',
  i: '192.0.2.3',
  p: 'mx.example.org',
  v: 'in-addr',
  h: 'mail.example.com',
}
const expand = (text: string, values = VALUES): string => expandDomain(parseMacroString(text)!, values)

describe('macro strings', () => {
  test.each([
    ['%{s}', 'strong-bad@email.example.com'],
    ['%{o}', 'email.example.com'],
    ['%{d4}', 'email.example.com'],
    ['%{d3}', 'email.example.com'],
    ['%{d2}', 'example.com'],
    ['%{d1}', 'com'],
    ['%{dr}', 'com.example.email'],
    ['%{d2r}', 'example.email'],
    ['%{l-}', 'strong.bad'],
    ['%{lr}', 'strong-bad'],
    ['%{lr-}', 'bad.strong'],
    ['%{l1r-}', 'strong'],
    ['%{ir}.%{v}._spf.%{d2}', '3.2.0.192.in-addr._spf.example.com'],
    ['%{lr-}.lp._spf.%{d2}', 'bad.strong.lp._spf.example.com'],
    ['%{p}.%{h}', 'mx.example.org.mail.example.com'],
    ['%{S}', 'strong-bad%40email.example.com'],
    ['a%%b%_c%-d', 'a%b c%20d'],
    ['%{d}.', 'email.example.com'],
    ['%{D255}', 'email.example.com'],
  ])('%s', (text, expanded) => {
    expect(expand(text)).toBe(expanded)
  })

  test.each([
    '%',
    '%a',
    '%{d',
    '%{}',
    '%{x}',
    '%{c}',
    '%{r}',
    '%{t}',
    '%{d0}',
    '%{dx}',
    '%(d)',
    'a b',
    '\u0080',
    'a\n',
  ])('%j is none', (text) => {
    expect(parseMacroString(text)).toBeUndefined()
  })

  test.each(['a.b', 'a.b.', '%{d}', 'x%%', 'x.%{d}', 'a.b-c', 'a.1b', '_a.b', 'a..b'])(
    '%s can be a domain',
    (text) => {
      expect(parseDomainSpec(text)).toBeDefined()
    },
  )
  test.each(['', 'a', 'a.', 'a.1', 'a.-b', 'a.b-', '%{d}.', '%{d}com', '%%-', 'a.b..'])(
    '%s cannot',
    (text) => {
      expect(parseDomainSpec(text)).toBeUndefined()
    },
  )

  test('a name that is too long loses labels on its left, however long the value is', () => {
    const long = expand('%{l}.example.com', { ...VALUES, l: 'abcdefgh.'.repeat(500) })
    expect(long.length).toBeLessThanOrEqual(253)
    expect(long).toMatch(/^(abcdefgh\.)+\.example\.com$/)
    expect(expand('%{l}'.repeat(2000), { ...VALUES, l: 'x'.repeat(1000) }).length).toBeLessThan(4096)
  })

  test('only the letters of the domain are the same for everyone', () => {
    const isSame = (text: string): boolean => isOfDomainAlone(parseMacroString(text)!)
    expect(isSame('_spf.%{d2}.%{o}%%')).toBe(true)
    for (const letter of ['s', 'l', 'i', 'p', 'v', 'h']) expect(isSame(`%{${letter}}.example`)).toBe(false)
  })
})
