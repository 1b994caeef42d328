import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type EntryLine,
  escapeField,
  formatExactLine,
  formatSpamdbLine,
  MAX_TUPLE_WORDS,
  parseSpamdbLine,
  unescapeField,
} from '../../../../src/codec/database/spamdb-text.js'

const NOW = 1_700_000_000
const counts = { first: 1, pass: 2, expire: 3, bcount: 4, pcount: 0 }
const grey = (helo: string, from: string, to: string): EntryLine => ({
  kind: 'GREY',
  ip: '192.0.2.7',
  helo,
  from,
  to,
  ...counts,
})

const roundTrips: { name: string; line: string; entry: EntryLine }[] = [
  {
    name: 'WHITE has two empty fields',
    line: 'WHITE|192.0.2.1|||1700000000|1700000000|1703110400|1|0',
    entry: {
      kind: 'WHITE',
      ip: '192.0.2.1',
      first: 1_700_000_000,
      pass: 1_700_000_000,
      expire: 1_703_110_400,
      bcount: 1,
      pcount: 0,
    },
  },
  {
    name: 'a pinned WHITE has expire 0',
    line: 'WHITE|2001:db8::1|||1|2|0|1|0',
    entry: { kind: 'WHITE', ip: '2001:db8::1', first: 1, pass: 2, expire: 0, bcount: 1, pcount: 0 },
  },
  {
    name: 'TRAPPED has only its removal time; the rest is that of a new trap',
    line: 'TRAPPED|192.0.2.1|1700086400',
    entry: {
      kind: 'TRAPPED',
      ip: '192.0.2.1',
      first: NOW,
      pass: 0,
      expire: 1_700_086_400,
      bcount: 1,
      pcount: -1,
    },
  },
  {
    name: 'SPAMTRAP may hold bars',
    line: 'SPAMTRAP|"a|b"@c',
    entry: { kind: 'SPAMTRAP', address: '"a|b"@c', first: NOW },
  },
  {
    name: 'GREY has ten fields',
    line: 'GREY|192.0.2.7|h|<a@b>|<c@d>|1|2|3|4|0',
    entry: grey('h', '<a@b>', '<c@d>'),
  },
  {
    name: 'GREY may have no helo',
    line: 'GREY|192.0.2.7||<a@b>|<c@d>|1|2|3|4|0',
    entry: grey('', '<a@b>', '<c@d>'),
  },
  {
    name: 'bars inside a tuple are told apart by brackets',
    line: 'GREY|192.0.2.7|h|e|l|o|<a|b@c>|<d|e@f>|1|2|3|4|0',
    entry: grey('h|e|l|o', '<a|b@c>', '<d|e@f>'),
  },
  {
    name: 'control characters are escaped',
    line: 'GREY|192.0.2.7|h\\x0a\\x1b[1m|<a@b>|<c\\x7f@d>|1|2|3|4|0',
    entry: grey('h\n\u001b[1m', '<a@b>', '<c\u007f@d>'),
  },
  {
    name: 'text that looks like an escape is escaped, other backslashes are not',
    line: 'GREY|192.0.2.7|\\x5cx0a \\x41 \\n|<a@b>|<c@d>|1|2|3|4|0',
    entry: grey('\\x0a \\x41 \\n', '<a@b>', '<c@d>'),
  },
  {
    name: 'bytes above 0x7f stay, also those of the C1 range',
    line: 'GREY|192.0.2.7|\u00c3\u00a4\u0085\u00ff|<a@b>|<c@d>|1|2|3|4|0',
    entry: grey('\u00c3\u00a4\u0085\u00ff', '<a@b>', '<c@d>'),
  },
]

test.each(roundTrips)('$name', ({ line, entry }) => {
  expect(parseSpamdbLine(line, NOW)).toEqual({ ok: true, entry })
  expect(formatSpamdbLine(entry)).toBe(line)
  expect(formatExactLine(entry)).toBe(line)
})

test('the old form without helo has nine fields', () => {
  expect(parseSpamdbLine('GREY|192.0.2.7|<a@b>|<c@d>|1|2|3|4|0', NOW)).toEqual({
    ok: true,
    entry: grey('', '<a@b>', '<c@d>'),
  })
})

test('addresses come out canonical', () => {
  expect(parseSpamdbLine('TRAPPED|2001:DB8:0::1|5', NOW)).toMatchObject({ entry: { ip: '2001:db8::1' } })
  expect(parseSpamdbLine('TRAPPED|::ffff:192.0.2.1|5', NOW)).toMatchObject({ entry: { ip: '192.0.2.1' } })
  expect(parseSpamdbLine('TRAPPED|010.1.1.1|5', NOW)).toMatchObject({ entry: { ip: '10.1.1.1' } })
  expect(parseSpamdbLine('GREY|192.0.2.0/24|h|f|t|1|2|3|4|0', NOW)).toMatchObject({
    entry: { ip: '192.0.2.0/24' },
  })
})

test('64 bit times are cut to what a number holds exactly', () => {
  expect(
    parseSpamdbLine('WHITE|1.2.3.4|||-9223372036854775808|0|9223372036854775807|-2147483648|-3', NOW),
  ).toMatchObject({
    entry: {
      first: Number.MIN_SAFE_INTEGER,
      expire: Number.MAX_SAFE_INTEGER,
      bcount: -2_147_483_648,
      pcount: -3,
    },
  })
})

describe('refused lines', () => {
  test.each([
    ['', 'not a line of spamdb'],
    ['BLACK|1.2.3.4', 'not a line of spamdb'],
    ['192.0.2.1', 'not a line of spamdb'],
    ['WHITE|1.2.3.4|||1|2|3|4', '9 fields'],
    ['WHITE|1.2.3.4|x||1|2|3|4|5', '9 fields'],
    ['WHITE|1.2.3|||1|2|3|4|5', 'not an ip address'],
    ['WHITE|1.2.3.0/24|||1|2|3|4|5', 'not an ip address'],
    ['WHITE|1.2.3.4|||1|2|x|4|5', 'not five whole numbers'],
    ['WHITE|1.2.3.4|||1|2|1e3|4|5', 'not five whole numbers'],
    ['WHITE|1.2.3.4|||1|2|3|2147483648|5', 'not five whole numbers'],
    ['WHITE|1.2.3.4|||1|2|123456789012345678901|4|5', 'not five whole numbers'],
    ['TRAPPED|1.2.3.4', '3 fields'],
    ['TRAPPED|1.2.3.4|', 'not a time'],
    ['SPAMTRAP|nobody', 'e-mail address'],
    ['SPAMTRAP|', 'e-mail address'],
    ['SPAMTRAP|a\0@b', 'NUL'],
    ['GREY|1.2.3.4|h|f|t|1|2|3', '10 fields'],
    ['GREY|not an ip|h|f|t|1|2|3|4|0', 'not an ip address'],
    ['GREY|1.2.3.1/24|h|f|t|1|2|3|4|0', 'not an ip address'],
    ['GREY|1.2.3.4|h|a|b|c|1|2|3|4|0', 'ambiguous'],
    ['GREY|1.2.3.4|h|<a|<b>|<c>|<d>|1|2|3|4|0', 'ambiguous'],
    [`GREY|1.2.3.4|h${'|x'.repeat(MAX_TUPLE_WORDS)}|<a>|<b>|1|2|3|4|0`, 'ambiguous'],
  ])('%j', (line, reason) => {
    const parsed = parseSpamdbLine(line, NOW)
    expect(parsed).toMatchObject({ ok: false })
    expect(parsed.ok ? '' : parsed.reason).toContain(reason)
  })
})

const wireText = fc.string({
  unit: fc.oneof(
    fc.integer({ min: 1, max: 255 }).map((code) => String.fromCharCode(code)),
    fc.constantFrom('|', '<', '>', '\\', '\\x0a', 'x', '0', 'a', '\n', '\\x7c'),
  ),
  maxLength: 30,
})

test('escaping can be undone for any bytes but NUL', () => {
  fc.assert(
    fc.property(wireText, (text) => {
      expect(escapeField(text)).not.toMatch(/[\u0000-\u001f\u007f]/)
      expect(unescapeField(escapeField(text))).toBe(text)
    }),
  )
})

test('any tuple survives the exact line', () => {
  fc.assert(
    fc.property(wireText, wireText, wireText, (helo, from, to) => {
      const entry = grey(helo, from, to)
      expect(parseSpamdbLine(formatExactLine(entry), NOW)).toEqual({ ok: true, entry })
    }),
    { numRuns: 2000 },
  )
})

test('what is read is printed as the same line', () => {
  const field = wireText.map((text) => escapeField(text).replaceAll('|', ''))
  fc.assert(
    fc.property(field, field, field, (helo, from, to) => {
      const line = `GREY|192.0.2.7|${helo}|${from}|${to}|1|2|3|4|0`
      const parsed = parseSpamdbLine(line, NOW)
      expect(parsed.ok && formatExactLine(parsed.entry)).toBe(line)
    }),
  )
})

test('any line gives an entry or a reason', () => {
  const piece = fc.oneof(
    wireText,
    fc.constantFrom('WHITE', 'GREY', 'TRAPPED', 'SPAMTRAP', '1.2.3.4', '7', '<a@b>'),
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 14 }), (pieces) => {
      const parsed = parseSpamdbLine(pieces.join('|'), NOW)
      expect(parsed.ok ? parsed.entry.kind : parsed.reason).not.toBe('')
    }),
    { numRuns: 2000 },
  )
})
