import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatRecipient, readRecipient } from '../../../../src/codec/smtp/recipient-address.js'

const read = (argument: string) => formatRecipient(readRecipient(argument))

describe('spellings of one address', () => {
  test.each([
    '<trap@example.org>',
    'trap@example.org',
    ' <trap@example.org>',
    '\t trap@example.org  ',
    '<TRAP@Example.ORG>',
    '<trap@example.org>>',
    '<<trap@example.org>',
    '<<<trap@example.org>>>',
    '<trap@example.org',
    'trap@example.org>',
    '<trap@example.org.>',
    '<trap@example.org..>',
    '<"trap"@example.org>',
    '<"Trap"@example.org>',
    '"trap"@example.org',
    '<"tr"ap@example.org>',
    '<""trap@example.org>',
    '<\\trap@example.org>',
    '<t\\r\\a\\p@example.org>',
    '<"t\\rap"@example.org>',
    '<"\\t\\r\\a\\p"@example.org>',
    '<"trap"@"example.org">',
    '<trap@exam\\ple.org>',
    '<trap(c)@example.org>',
    '<(c)trap@example.org>',
    '<trap@(c)example.org>',
    '<trap@example.org(c)>',
    '<trap@example(c).org>',
    '<trap@example.org>(c)',
    '(c)<trap@example.org>',
    '<trap(a(b(c)d)e)@example.org>',
    '<trap(a\\)b)@example.org>',
    '<trap("x)@example.org>',
    '<trap(<other@example.net>)@example.org>',
    'trap(c)@example.org',
    '< trap @ example.org >',
    '<trap\r\n @example.org>',
    '<trap@example\t.\r\n\torg>',
    '<trap@ example . org>',
    '<"trap" @example.org>',
    '<"tr\r\nap"@example.org>',
    '<@a.example:trap@example.org>',
    '<@a.example,@b.example:trap@example.org>',
    '<@a.example , @b.example : trap@example.org>',
    '<@[192.0.2.1],@[IPv6:2001:db8::1]:trap@example.org>',
    '@a.example:trap@example.org',
    '<@a.example:@b.example:trap@example.org>',
    '<@a.example : @b.example,@c.example : trap@example.org>',
    '<@a.example:"trap"@example.org>',
    'Some Name <trap@example.org>',
    '"Name, with <angle@brackets>" <trap@example.org>',
    '<trap@example.org> NOTIFY=NEVER',
    '<trap@example.org> ORCPT=rfc822;<other@example.net>',
    '<trap@example.org>SIZE=1',
    'trap@example.org NOTIFY=SUCCESS,FAILURE',
    '<trap@example.org NOTIFY=NEVER',
    '<trap@example.org>\0',
  ])('%j', (argument) => {
    expect(read(argument)).toBe('trap@example.org')
  })
})

describe('other addresses', () => {
  test.each([
    ['<>', ''],
    ['', ''],
    ['<postmaster>', 'postmaster'],
    ['<"PostMaster">', 'postmaster'],
    ['<tr.ap@example.org>', 'tr.ap@example.org'],
    ['<trap.@example.org>', 'trap.@example.org'],
    ['<"tr ap"@example.org>', 'tr ap@example.org'],
    ['<tr ap@example.org>', 'tr ap@example.org'],
    ['<"tr\\"ap"@example.org>', 'tr"ap@example.org'],
    ['<trap+x@example.org>', 'trap+x@example.org'],
    // Neither is rewritten: only a server that knows itself to be the relay does so.
    ['<trap%example.org@example.net>', 'trap%example.org@example.net'],
    ['<example.org!trap@example.net>', 'example.org!trap@example.net'],
    ['<example.org!trap>', 'example.org!trap'],
    // The last one parts: a mail server takes what is in front as its local part.
    ['<trap@example.org@example.net>', 'trap@example.org@example.net'],
    ['<"trap@example.org"@example.net>', 'trap@example.org@example.net'],
    ['<@example.org>', '@example.org'],
    ['<trap@>', 'trap'],
    ['<trap@[192.0.2.1]>', 'trap@[192.0.2.1]'],
    ['<trap@[ 192.0.2.1 ]>', 'trap@[192.0.2.1]'],
    ['<trap@[IPv6:2001:DB8:0::1]>', 'trap@[ipv6:2001:db8::1]'],
    ['<trap@[Nonsense:X]>', 'trap@[nonsense:x]'],
    ['<trap@[192.0.2.1>', 'trap@[192.0.2.1>]'],
    ['<trap(open@example.org>', 'trap'],
    ['<"open@example.org>', 'open@example.org>'],
    ['<\u00c3\u00a4@example.org>', '\u00c3\u00a4@example.org'],
    ['<trap@b\u00c3\u00bccher.example>', 'trap@xn--bcher-kva.example'],
    ['<trap@XN--BCHER-KVA.example>', 'trap@xn--bcher-kva.example'],
    ['<trap@\u00ff\u00fe>', expect.any(String)],
    ['trap\\', 'trap'],
  ])('%j is %j', (argument, want) => {
    expect(read(argument)).toEqual(want)
  })
})

test('any bytes give an address without brackets or case, and a read address reads as itself', () => {
  const pieces = fc.constantFrom(
    '<',
    '>',
    '"',
    '\\',
    '(',
    ')',
    '@',
    ':',
    ',',
    '.',
    ' ',
    '[',
    ']',
    'a',
    'B',
    '\r\n',
  )
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 24 }), (parts) => {
      const { local, domain } = readRecipient(parts.join(''))
      expect(`${local}${domain}`).not.toMatch(/[A-Z]/)
    }),
    { numRuns: 2_000 },
  )
  fc.assert(
    fc.property(
      fc.stringMatching(/^[a-z0-9.+_-]{1,20}$/),
      fc.stringMatching(/^[a-z0-9]{1,9}(\.[a-z]{1,5}){1,3}$/),
      (local, domain) => {
        expect(readRecipient(`<"${local}"@${domain}.>`)).toEqual({ local, domain })
        expect(readRecipient(`${local}@${domain}`)).toEqual({ local, domain })
      },
    ),
  )
})

test('a plain path is read as it is with a blank before it, which takes the long way', () => {
  const local = fc.stringMatching(/^[\w!#$%&'*+/=?^`{|}~.-]{1,20}$/)
  const domain = fc.stringMatching(/^[\w.-]{1,20}$/)
  fc.assert(
    fc.property(local, domain, (local, domain) => {
      expect(readRecipient(`<${local}@${domain}>`)).toEqual(readRecipient(` <${local}@${domain}>`))
    }),
    { numRuns: 1_000 },
  )
})
