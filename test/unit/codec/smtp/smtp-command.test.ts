import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  MAX_ARGUMENT_BYTES,
  parseHeloName,
  parseMailPath,
  parseSmtpVerb,
} from '../../../../src/codec/smtp/smtp-command.js'

describe('the verb', () => {
  const cases: [string, ReturnType<typeof parseSmtpVerb>][] = [
    ['HELO x', 'HELO'],
    ['HELOfoo', 'HELO'],
    ['ehlo x', 'EHLO'],
    ['MaIl FROM:<a@b>', 'MAIL'],
    ['RCPT', 'RCPT'],
    ['DATAbase', 'DATA'],
    ['noop', 'NOOP'],
    ['RSET', 'RSET'],
    ['QUITTER', 'QUIT'],
    ['starttls now', 'STARTTLS'],
    ['STARTTL', 'unknown'],
    [' QUIT', 'unknown'],
    ['QUI', 'unknown'],
    ['', 'unknown'],
    ['QUIT\0', 'unknown'],
    ['NO\0OP', 'unknown'],
    ['VRFY a', 'unknown'],
  ]
  test.each(cases)('of %j is %s', (line, verb) => {
    expect(parseSmtpVerb(line)).toBe(verb)
  })
})

describe('the name after HELO', () => {
  const cases: [string, string][] = [
    ['HELO a.example', 'a.example'],
    ['HELO \t a.example b', 'a.example'],
    ['HELOa', 'a'],
    ['HELO', ''],
    ['HELO  \t', ''],
    ['HELO x\rQUIT', 'x'],
  ]
  test.each(cases)('of %j is %j', (line, name) => {
    expect(parseHeloName(line)).toBe(name)
  })
})

describe('the address of MAIL and RCPT', () => {
  const cases: [string, string | undefined][] = [
    ['MAIL FROM:<a@b>', '<a@b>'],
    ['MAIL FROM: \t<a@b> SIZE=1', '<a@b>'],
    ['MAIL FROM:a@b', 'a@b'],
    ['MAIL FROM:', ''],
    ['MAIL FROM <a@b>', undefined],
    ['RCPT TO:<a:b@c>', '<a:b@c>'],
  ]
  test.each(cases)('of %j is %j', (line, path) => {
    expect(parseMailPath(line)).toBe(path)
  })

  test('is cut to 1023 bytes, as the name is', () => {
    expect(parseMailPath(`RCPT TO:${'a'.repeat(2000)}`)).toBe('a'.repeat(MAX_ARGUMENT_BYTES))
    expect(parseHeloName(`HELO ${'h'.repeat(1024)}`)).toBe('h'.repeat(MAX_ARGUMENT_BYTES))
  })
})

test('any line gives a verb and bounded words without blanks', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary-ascii', maxLength: 3000 }), (line) => {
      parseSmtpVerb(line)
      for (const word of [parseHeloName(line), parseMailPath(line) ?? '']) {
        expect(word.length).toBeLessThanOrEqual(MAX_ARGUMENT_BYTES)
        expect(/[ \t\r\n]/.test(word)).toBe(false)
      }
    }),
  )
})
