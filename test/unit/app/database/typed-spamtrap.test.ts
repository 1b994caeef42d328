import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { plainSpamtrap, readTypedSpamtrap } from '../../../../src/app/database/typed-spamtrap.js'
import { recipientKeysOf } from '../../../../src/daemon/grey/trap-keys.js'

describe('a typed spamtrap', () => {
  test.each([
    ['Trap@Example.org', 'trap@example.org'],
    ['<trap@example.org>', 'trap@example.org'],
    ['a b@c', 'a b@c'],
    ['a@b@c', 'a@b@c'],
    ['a@b|c', 'a@b|c'],
    ['trap+detail@example.org', 'trap+detail@example.org'],
    ['trap%example.net@example.org', 'trap%example.net@example.org'],
    ['trap@[192.0.2.1]', 'trap@[192.0.2.1]'],
    ['a*b@example.org', 'a*b@example.org'],
    ['"a, b@c; d"@example.org', '"a, b@c; d"@example.org'],
  ])('%j is stored as %j', (typed, stored) => {
    expect(readTypedSpamtrap(typed)).toBe(stored)
  })

  test.each([
    [' trap@example.org', 'trap@example.org'],
    ['trap@example.org ', 'trap@example.org'],
    ['trap@example.org.', 'trap@example.org'],
    ['trap@ example.org', 'trap@example.org'],
    ['trap(work)@example.org', 'trap@example.org'],
    ['@a.example,@b.example:trap@example.org', 'trap@example.org'],
    ['mailto:trap@example.org', 'trap@example.org'],
    ['MAILTO:Trap@example.org', 'trap@example.org'],
    ['Name <trap@example.org>', 'trap@example.org'],
    ['<<trap@example.org>>', 'trap@example.org'],
    ['trap@[ipv6:2001:DB8::0:1]', 'trap@[ipv6:2001:db8::1]'],
    ['a@example.org, b@example.org', undefined],
    ['a@example.org b@example.org', undefined],
    ['a@example.org;b@example.org', undefined],
    ['*@example.org', undefined],
    ['trap@*.example.org', undefined],
    ['trap@*', undefined],
    ['@example.org', undefined],
    ['trap@', undefined],
    ['trap', undefined],
    ['', undefined],
    ['a\nb@example.org', undefined],
  ])('%j is refused, and told as %j', (typed, plain) => {
    expect(readTypedSpamtrap(typed)).toBeUndefined()
    expect(plainSpamtrap(typed)).toBe(plain)
  })

  const typed = fc
    .array(
      fc.constantFrom('a', 'B.c', '@', '@x', '.', ' ', '(d)', ':', '[1.2.3.4]', '<', '>', '*', ',', '"e"'),
      {
        maxLength: 8,
      },
    )
    .map((pieces) => pieces.join(''))

  test('what is stored is found when that recipient comes', () => {
    fc.assert(
      fc.property(typed, (text) => {
        const stored = readTypedSpamtrap(text)
        if (stored === undefined) return
        const argument = `<${stored}>`
        expect(
          recipientKeysOf(stored.includes('"') ? argument : argument.split(' ')[0]!, argument, '').spamtraps,
        ).toContain(stored)
      }),
      { numRuns: 5000 },
    )
  })

  test('the address that a refusal names is one that is taken', () => {
    fc.assert(
      fc.property(typed, (text) => {
        const plain = plainSpamtrap(text)
        if (plain !== undefined) expect(readTypedSpamtrap(plain)).toBe(plain)
      }),
      { numRuns: 5000 },
    )
  })
})
