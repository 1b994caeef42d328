import { describe, expect, test } from 'vitest'
import { SpfDomains } from '../../../src/app/spf-domains.js'

const domains = (text: string): SpfDomains => new SpfDomains(Buffer.from(text, 'latin1'), '/etc/spf')

describe('the file of --grey-spf', () => {
  test('a domain is itself, and with a dot all below it', () => {
    const list = domains('# a note\n\n  Example.ORG \r\n.example.com\n')
    expect(['example.org', 'a.example.com', 'a.b.example.com'].map((name) => list.has(name))).toEqual([
      true,
      true,
      true,
    ])
    expect(['a.example.org', 'example.com', 'notexample.com', 'com'].map((name) => list.has(name))).toEqual([
      false,
      false,
      false,
      false,
    ])
    expect(list.size).toBe(2)
  })

  test.each([
    'one two.example',
    'example',
    '192.0.2.1',
    'a@b.example',
    '..example.org',
    'x\u001b[1m.example',
  ])('%j is no domain, and its line is named', (line) => {
    expect(() => domains(`ok.example\n${line}\n`)).toThrow(/^\/etc\/spf:2: "[ -~]*" is not a domain$/)
  })

  test('an empty file names none', () => {
    expect(domains('').has('example.org')).toBe(false)
  })
})
