import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  encodeClearLine,
  encodeConfigMessage,
  isConfigListName,
} from '../../../../src/codec/config-line/config-line.js'
import { encodeConfigLine } from '../../../support/encode-config-line.js'

const NO_LINES = { text: new Uint8Array(), count: 0 }

function lines(...prefixes: string[]) {
  return { text: Buffer.from(prefixes.map((prefix) => `${prefix}\n`).join('')), count: prefixes.length }
}

function encoded(list: Parameters<typeof encodeConfigLine>[0]): string {
  return Buffer.from(encodeConfigLine(list)).toString('latin1')
}

describe('config lines', () => {
  test.each([
    {
      name: 'one family',
      list: {
        name: 'bl',
        message: 'You are %A',
        ipv4: lines('127.5.0.0/16', '192.0.2.1/32'),
        ipv6: NO_LINES,
      },
      want: 'bl;"You are %A";inet;2;127.5.0.0/16;192.0.2.1/32\n',
    },
    {
      name: 'both families',
      list: { name: 'bl', message: '', ipv4: lines('127.5.0.0/16'), ipv6: lines('::1/128', '2001:db8::/32') },
      want: 'bl;"";inet;1;127.5.0.0/16;inet6;2;::1/128;2001:db8::/32\n',
    },
    {
      name: 'IPv6 alone',
      list: { name: 'bl', message: 'm', ipv4: NO_LINES, ipv6: lines('::1/128') },
      want: 'bl;"m";inet6;1;::1/128\n',
    },
    {
      name: 'an emptied list is cleared, because spamd refuses inet;0',
      list: { name: 'bl', message: 'm', ipv4: NO_LINES, ipv6: NO_LINES },
      want: 'bl;\n',
    },
    {
      name: 'bytes above 127 stay bytes',
      list: { name: 'b\xe9', message: 'h\xc3\xa9', ipv4: lines('10.0.0.0/8'), ipv6: NO_LINES },
      want: 'b\xe9;"h\xc3\xa9";inet;1;10.0.0.0/8\n',
    },
  ])('$name', ({ list, want }) => {
    expect(encoded(list)).toBe(want)
  })

  test.each(['', 'a;b', 'a\nb', 'a\0b', 'a\rb', 'caf\u0435'])('name %j is refused', (name) => {
    expect(isConfigListName(name)).toBe(false)
    expect(() => encodeClearLine(name)).toThrow(RangeError)
    expect(() => encodeConfigLine({ name, message: '', ipv4: NO_LINES, ipv6: NO_LINES })).toThrow(RangeError)
  })

  test('a name may hold blanks, quotes and bytes above 127', () => {
    expect(Buffer.from(encodeClearLine('a "b" \xff')).toString('latin1')).toBe('a "b" \xff;\n')
  })
})

describe('messages', () => {
  test.each([
    { name: 'a line break becomes two characters', text: 'one\ntwo\n', want: 'one\\ntwo\\n' },
    { name: 'a quote is escaped', text: 'say "no"', want: 'say \\"no\\"' },
    { name: 'pairs are left for spamd', text: '%A %% \\\\ \\n \\"', want: '%A %% \\\\ \\n \\"' },
    { name: 'a backslash in a word stays single', text: 'back\\slash \\t', want: 'back\\slash \\t' },
    { name: 'a percent sign in a word stays single', text: '50%d', want: '50%d' },
    { name: 'a percent sign at the end would be lost', text: '100%', want: '100%%' },
    { name: 'a percent sign at a line end would swallow the line break', text: '100%\nx', want: '100%%\\nx' },
    { name: 'a backslash at the end would swallow the closing quote', text: 'C:\\', want: 'C:\\\\' },
    { name: 'a backslash at a line end would swallow the line break', text: 'C:\\\nx', want: 'C:\\\\\\nx' },
    { name: 'a backslash would swallow a percent sign', text: '\\%A', want: '\\\\%A' },
    { name: 'a percent sign would swallow a backslash', text: '%\\t', want: '%%\\t' },
    { name: 'CR stays, NUL goes', text: 'a\r\nb\0c', want: 'a\r\\nbc' },
  ])('$name', ({ text, want }) => {
    expect(encodeConfigMessage(text)).toBe(want)
  })

  /** spamd's own expansion, mistakes included: a pending backslash or percent sign takes the next character. */
  function expandAsOriginal(message: string): string {
    let [text, pending] = ['', '']
    for (const character of message) {
      if (pending === '' && (character === '\\' || character === '%')) {
        pending = character
        continue
      }
      if (pending === '\\') {
        text +=
          character === 'n'
            ? '\n'
            : character === '"'
              ? '"'
              : character === '\\' || character === '%'
                ? '\\'
                : `\\${character}`
      } else if (pending === '%') {
        text +=
          character === 'A' ? '<client>' : character === '%' || character === '\\' ? '%' : `%${character}`
      } else text += character
      pending = ''
    }
    return text
  }

  /** What a text means: pairs as spamd takes them, everything else as it stands. */
  function meaningOf(text: string): string {
    return text.replace(/\\[\\n"]|%[%A]/g, (pair) => {
      if (pair === '\\n') return '\n'
      return pair === '%A' ? '<client>' : pair.slice(1)
    })
  }

  const text = fc
    .array(fc.constantFrom('\\', '%', '"', '\n', 'n', 'A', 'x', ' ', ';', '\r'), { maxLength: 12 })
    .map((parts) => parts.join(''))

  test('the original reads exactly what was meant, also with its mistakes', () => {
    fc.assert(
      fc.property(text, (message) => {
        expect(expandAsOriginal(encodeConfigMessage(message))).toBe(meaningOf(message))
      }),
      { numRuns: 5_000 },
    )
  })

  test('no message leaves its quotes or its line', () => {
    fc.assert(
      fc.property(text, (message) => {
        const inner = encodeConfigMessage(message)
        expect(inner).not.toMatch(/[\n\0]/)
        // Complete pairs taken away, no quote and no backslash in front of the closing quote is left.
        expect(inner.replace(/\\[\s\S]/g, '')).not.toMatch(/"|\\$/)
      }),
      { numRuns: 5_000 },
    )
  })

  test('text without anything to escape is sent as it is', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a-z %A;:.]{0,20}[a-z]$/), (message) => {
        expect(encodeConfigMessage(message)).toBe(message)
      }),
    )
  })
})
