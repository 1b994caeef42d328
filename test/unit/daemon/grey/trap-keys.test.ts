import { describe, expect, test } from 'vitest'
import { recipientKeysOf } from '../../../../src/daemon/grey/trap-keys.js'

const keys = (argument: string, delimiters = '') =>
  recipientKeysOf(argument.split(' ')[0]!, argument, delimiters)

describe('keys of a recipient', () => {
  test.each([
    ['<Trap@example.org>', '', ['trap@example.org']],
    ['<"trap"@example.org>', '', ['trap@example.org', '"trap"@example.org']],
    ['<trap @example.org>', '', ['trap@example.org', 'trap']],
    ['<trap+x@example.org>', '', ['trap+x@example.org']],
    ['<trap+x@example.org>', '+', ['trap+x@example.org', 'trap@example.org']],
    ['<trap-x+y@example.org>', '+-', ['trap-x+y@example.org', 'trap@example.org']],
    ['<+x@example.org>', '+', ['+x@example.org']],
    ['<trap@example.org@example.net>', '', ['trap@example.org@example.net', 'trap@example.org']],
    [
      '<"trap+x@example.org"@example.net>',
      '+',
      [
        'trap+x@example.org@example.net',
        'trap@example.net',
        'trap+x@example.org',
        'trap@example.org',
        '"trap+x@example.org"@example.net',
      ],
    ],
  ])('%j with %j', (argument, delimiters, want) => {
    expect(keys(argument, delimiters).spamtraps).toEqual(want)
  })
  test.each([
    ['<postmaster>', true],
    ['<PostMaster>', true],
    ['<>', true],
    ['<postmaster@example.net>', false],
    ['<other>', false],
  ])('%j belongs to every server: %j', (argument, want) => {
    expect(keys(argument).isOfAnyDomain).toBe(want)
  })
})
