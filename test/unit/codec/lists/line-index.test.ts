/** The index of a list's lines against a plain look at every line, for all formats. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { LineIndex, LineIndexBuilder } from '../../../../src/codec/lists/line-index.js'
import { createListParser } from '../../../../src/codec/lists/list-lines.js'
import { canonicalIp } from '../../../../src/ip/address.js'
import { RangeTable } from '../../../../src/ip/range-table.js'

const SHA = 'a'.repeat(64)

function indexOf(text: string | Buffer, column?: number, step = text.length): LineIndex {
  const builder = new LineIndexBuilder(column)
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; at += step) builder.push(Buffer.from(bytes.subarray(at, at + step)))
  return LineIndex.decode(builder.end(SHA))!
}
const linesOf = (index: LineIndex, ip: string) => index.find(ip).map(({ line }) => line)

const LIST = `# a list
192.0.2.1
198.51.100.0/24 ; SBL1
10.0.0.0/8
10.1.0.0-10.1.255.255
!10.1.2.3
2001:db8::/32
2001:db8:1::5
::ffff:192.0.2.7
{"cidr":"203.0.113.0/24","sblid":"SBL2"}
add set 192.0.2.9 timeout 5
192.0.2.1
`

describe('which line names an address', () => {
  test.each([
    ['192.0.2.1', [2, 12]],
    ['198.51.100.77', [3]],
    ['10.1.2.3', [4, 5, 6]],
    ['10.2.0.0', [4]],
    ['10.255.255.255', [4]],
    ['11.0.0.0', []],
    ['2001:db8:1::5', [7, 8]],
    ['2001:db8:1::6', [7]],
    ['2001:db9::', []],
    ['192.0.2.7', [9]],
    ['203.0.113.200', [10]],
    ['192.0.2.9', [11]],
    ['0.0.0.0', []],
    ['255.255.255.255', []],
  ])('%s: %j', (ip, lines) => {
    for (const step of [LIST.length, 7, 1]) expect(linesOf(indexOf(LIST, undefined, step), ip)).toEqual(lines)
  })

  test('offsets lead to the line, behind a byte order mark, CRLF and a line without end', () => {
    const text = '\ufeff192.0.2.1\r\n192.0.2.2 two\r\n192.0.2.3'
    const bytes = Buffer.from(text)
    const index = indexOf(bytes)
    const { offset } = index.find('192.0.2.2')[0]!
    expect(bytes.toString('latin1', offset, offset + 13)).toBe('192.0.2.2 two')
    expect(linesOf(index, '192.0.2.1')).toEqual([1])
    expect(linesOf(index, '192.0.2.3')).toEqual([3])
  })

  test('an exclusion is marked', () => {
    expect(
      indexOf('10.0.0.0/8\n!10.0.0.1\n')
        .find('10.0.0.1')
        .map(({ isExclusion }) => isExclusion),
    ).toEqual([false, true])
  })

  test('a column of a CSV list', () => {
    expect(linesOf(indexOf('name,ip\nx,192.0.2.1\ny,192.0.2.2\n', 2), '192.0.2.2')).toEqual([3])
  })

  test('a line that is too long is no address, and offsets behind it are right', () => {
    const text = `${'1'.repeat(300_000)}\n192.0.2.2\n`
    for (const step of [text.length, 10_000]) {
      expect(indexOf(text, undefined, step).find('192.0.2.2')).toEqual([
        { line: 2, offset: 300_001, isExclusion: false },
      ])
    }
  })

  test('agrees with the parser on what the list holds', () => {
    const octet = fc.integer({ min: 0, max: 3 })
    const address = fc.tuple(octet, octet).map(([a, b]) => `10.0.${a}.${b}`)
    const v6 = fc.tuple(octet, octet).map(([a, b]) => `2001:db8:${a}::${b}`)
    const line = fc.oneof(
      address,
      v6,
      address.map((text) => `!${text}`),
      fc.tuple(address, fc.integer({ min: 20, max: 32 })).map(([text, length]) => `${text}/${length}`),
      fc.tuple(v6, fc.integer({ min: 30, max: 128 })).map(([text, length]) => `${text}/${length}`),
      fc.constant('# comment'),
    )
    fc.assert(
      fc.property(fc.array(line, { maxLength: 40 }), fc.oneof(address, v6), (lines, asked) => {
        const text = lines.map((item) => `${item}\n`).join('')
        const parser = createListParser()
        parser.push(Buffer.from(text))
        const ip = canonicalIp(asked)!
        const found = indexOf(text).find(ip)
        const isIn = found.length > 0 && !found.some(({ isExclusion }) => isExclusion)
        expect(isIn).toBe(new RangeTable(parser.end().set).has(ip))
      }),
      { numRuns: 300 },
    )
  })
})

test.each([
  ['nothing', Buffer.alloc(0)],
  ['another file', Buffer.from('x'.repeat(200))],
  ['one that was cut short', Buffer.from(new LineIndexBuilder(undefined).end(SHA)).subarray(0, 80)],
])('%s is no index', (_name, bytes) => {
  expect(LineIndex.decode(bytes)).toBeUndefined()
})

test('a hundred thousand lines are found in no time', () => {
  const text = Array.from(
    { length: 100_000 },
    (_, index) => `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}\n`,
  )
  const index = indexOf(text.join(''))
  const startedMs = performance.now()
  for (let count = 0; count < 1000; count += 1) index.find(`10.1.${count & 127}.9`)
  expect(performance.now() - startedMs).toBeLessThan(1000)
  expect(linesOf(index, '10.1.2.9')).toEqual([65_536 + 512 + 9 + 1])
})
