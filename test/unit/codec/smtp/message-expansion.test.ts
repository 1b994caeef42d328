import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatListReply } from '../../../../src/codec/smtp/message-expansion.js'

describe('expansion', () => {
  const cases: { name: string; message: string; want: string }[] = [
    { name: 'plain text stays', message: 'go away', want: 'go away' },
    { name: '\\n is a line break', message: 'a\\nb', want: 'a\nb' },
    { name: '\\" is a quote', message: 'a\\"b', want: 'a"b' },
    { name: '%A is the address', message: 'you are %A, %A', want: 'you are 192.0.2.1, 192.0.2.1' },
    { name: 'a doubled backslash is one', message: 'a\\\\b', want: 'a\\b' },
    { name: 'a doubled percent sign is one', message: '100%%', want: '100%' },
    { name: 'a backslash eats a percent sign', message: 'a\\%b', want: 'a\\b' },
    { name: 'a percent sign eats a backslash', message: 'a%\\b', want: 'a%b' },
    { name: 'other pairs stay two characters', message: '\\t %d %a', want: '\\t %d %a' },
    { name: 'a pending backslash at the end is lost', message: 'a\\', want: 'a' },
    { name: 'a pending percent sign at the end is lost', message: '50%', want: '50' },
    { name: 'an escaped backslash does not escape on', message: '\\\\n', want: '\\n' },
  ]
  test.each(cases)('$name', ({ message, want }) => {
    const lines = want
      .split('\n')
      .map((line, at, all) => `550${at === all.length - 1 ? ' ' : '-'}${line}\r\n`)
    expect(formatListReply(550, [message], '192.0.2.1')).toBe(lines.join(''))
  })
})

describe('the reply', () => {
  const cases: { name: string; messages: string[]; want: string }[] = [
    { name: 'one line', messages: ['no'], want: '450 no\r\n' },
    { name: 'two lines', messages: ['one\\ntwo'], want: '450-one\r\n450 two\r\n' },
    { name: 'a line break at the end makes no line', messages: ['one\\n'], want: '450 one\r\n' },
    { name: 'empty lines within stay', messages: ['a\\n\\nb'], want: '450-a\r\n450-\r\n450 b\r\n' },
    { name: 'nothing but line breaks', messages: ['\\n\\n\\n'], want: '450-\r\n450-\r\n450 \r\n' },
    { name: 'an empty message', messages: [''], want: '450 \r\n' },
    { name: 'no message', messages: [], want: '450 \r\n' },
    {
      name: 'several lists are one reply',
      messages: ['one %A\\n', 'two\\nthree'],
      want: '450-one 2001:db8::1\r\n450-two\r\n450 three\r\n',
    },
    {
      name: 'bytes that would break a line are taken out',
      messages: ['a\rb\0c\nd'],
      want: '450-abc\r\n450 d\r\n',
    },
  ]
  test.each(cases)('$name', ({ messages, want }) => {
    expect(formatListReply(450, messages, '2001:db8::1')).toBe(want)
  })

  test('is well-formed whatever the messages hold', () => {
    const message = fc.string({
      unit: fc.constantFrom('\\', '%', 'n', 'A', '"', '\r', '\n', '\0', 'x', ' ', '\xff'),
    })
    fc.assert(
      fc.property(
        fc.array(message, { maxLength: 5 }),
        fc.constantFrom(450 as const, 550 as const),
        (messages, code) => {
          const reply = formatListReply(code, messages, '192.0.2.1')
          expect(reply).toMatch(new RegExp(`^(?:${code}-[^\\r\\n\\0]*\\r\\n)*${code} [^\\r\\n\\0]*\\r\\n$`))
        },
      ),
    )
  })
})
