import fc from 'fast-check'
import { expect, test } from 'vitest'
import { normaliseSpamtrap } from '../../../src/domain/spamtrap.js'
import { canBeSpamtrap } from '../../../src/domain/spamtrap-key.js'

test.each([
  ['Foo@Bar.ORG', 'foo@bar.org'],
  ['<foo@bar>', 'foo@bar'],
  ['<<foo@bar>>', '<foo@bar>'],
  ['foo@bar>', 'foo@bar'],
  ['<', ''],
  ['\xc9@x', '\xc9@x'],
])('%s is stored as %s', (typed, stored) => {
  expect(normaliseSpamtrap(typed)).toBe(stored)
})

test('lower case letters of ASCII only, one pair of brackets', () => {
  const letters = fc.string({ unit: fc.constantFrom('a', 'Z', '@', '\xc9', '.'), maxLength: 12 })
  fc.assert(
    fc.property(letters, (text) => {
      expect(normaliseSpamtrap(`<${text}>`)).toBe(normaliseSpamtrap(text))
      expect(normaliseSpamtrap(text)).not.toMatch(/[A-Z]/)
    }),
  )
})

test.each([
  ['a@b', true],
  ['<a@b>', true],
  ['"a@b"@c', true],
  ['@b', false],
  ['a@', false],
  ['a', false],
  ['', false],
  ['Name <a@b>', false],
  ['<<a@b>>', false],
])('can %j be a spamtrap: %s', (address, expected) => {
  expect(canBeSpamtrap(address)).toBe(expected)
})
