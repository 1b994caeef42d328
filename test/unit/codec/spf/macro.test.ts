import { describe, expect, test } from 'vitest'
import { checkHost } from '../../../../src/codec/spf/check-host.js'
import {
  expandDomain,
  isOfDomainAlone,
  type MacroValues,
  parseDomainSpec,
  parseMacroString,
} from '../../../../src/codec/spf/macro.js'
import { answerFromZone } from './answer-from-zone.js'

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

describe('what the letters stand for in a check', () => {
  const check = (clientIp: string, localPart: string | undefined, spec: string) => {
    const asked: string[] = []
    const zone = {
      'a.example': { TXT: ['v=spf1 include:sub.a.example -all'] },
      'sub.a.example': { TXT: [`v=spf1 exists:${spec}.e.example -all`] },
      '7.2.0.192.in-addr.arpa': { PTR: ['other.example', 'mx.sub.a.example'] },
      'other.example': { A: ['192.0.2.7'] },
      'mx.sub.a.example': { A: ['192.0.2.7'] },
    }
    answerFromZone(checkHost({ clientIp, domain: 'a.example', localPart, helo: 'helo.example' }), zone, asked)
    return asked.filter((question) => question.endsWith('.e.example'))
  }
  test.each([
    ['%{i}.%{v}', '192.0.2.7', 'A 192.0.2.7.in-addr.e.example'],
    [
      '%{i}.%{v}',
      '2001:db8::7',
      'A 2.0.0.1.0.d.b.8.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.7.ip6.e.example',
    ],
    ['%{s}', '192.0.2.7', 'A me@a.example.e.example'],
    ['%{l}-%{o}', '192.0.2.7', 'A me-a.example.e.example'],
    ['%{d}', '192.0.2.7', 'A sub.a.example.e.example'],
    ['%{h}', '192.0.2.7', 'A helo.example.e.example'],
    ['%{p}', '192.0.2.7', 'A mx.sub.a.example.e.example'],
    ['%{p}', '192.0.2.8', 'A unknown.e.example'],
  ])('%s of %s', (spec, clientIp, question) => {
    expect(check(clientIp, 'me', spec)).toEqual([question])
  })

  test.each([undefined, ''])('a sender without a local part (%j) is the postmaster', (localPart) => {
    expect(check('192.0.2.7', localPart, '%{l}')).toEqual(['A postmaster.e.example'])
    expect(check('192.0.2.7', localPart, '%{s}')).toEqual(['A postmaster@a.example.e.example'])
  })
})
