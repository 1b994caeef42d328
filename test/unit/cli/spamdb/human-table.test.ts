/** The table of --human on terminals of every width. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { HumanTable } from '../../../../src/cli/spamdb/human-table.js'
import type { Entry } from '../../../../src/domain/entry.js'

const NOW = 1_700_000_000
const times = { first: NOW - 7200, pass: NOW - 3600, expire: NOW + 36 * 86_400, bcount: 3, pcount: 12 }
const WHITE: Entry = { kind: 'WHITE', ip: '192.0.2.1', ...times }
const WHITE6: Entry = { kind: 'WHITE', ip: '2001:db8:1111:2222:3333:4444:5555:6666', ...times }
const TRAPPED: Entry = { kind: 'TRAPPED', ip: '198.51.100.7', ...times, pcount: -1, comment: 'seen in "a|b"' }
const TRAP: Entry = { kind: 'SPAMTRAP', address: 'trap@example.org', first: NOW }
const GREY: Entry = {
  kind: 'GREY',
  ip: '203.0.113.9',
  helo: 'mail.sender.example',
  from: '<newsletter-bounces@lists.sender.example>',
  to: '<someone@example.org>',
  ...times,
  expire: NOW + 600,
}

function table(width: number | undefined, ...entries: Entry[]): string[] {
  const human = new HumanTable(NOW, width)
  let text = ''
  for (const entry of entries) text += Buffer.from(human.add(entry)).toString('latin1')
  text += Buffer.from(human.end()).toString('latin1')
  return text.replace(/\n$/, '').split('\n')
}

test('80 columns: what says least is left out, sender and recipient are cut', () => {
  expect(table(80, WHITE, TRAPPED, TRAP, GREY)).toEqual([
    'KIND      ADDRESS              LEFT  BLOCKED  PASSED  SENDER -> RECIPIENT (HELO), OR COMMENT'.slice(
      0,
      80,
    ),
    'WHITE     192.0.2.1             36d        3      12',
    'TRAPPED   198.51.100.7          36d        3          seen in "a|b"',
    'SPAMTRAP  trap@example.org    never',
    'GREY      203.0.113.9           10m        3      12  <newslett.. -> <someone@..',
  ])
})

test('200 columns: times as well', () => {
  const [head, line] = table(200, GREY)
  expect(head).toMatch(
    /^KIND .* EXPIRES .* PASSES .* FIRST SEEN .* SENDER -> RECIPIENT \(HELO\), OR COMMENT$/,
  )
  expect(line).toMatch(/<newsletter-bounces@lists.sender.example> -> <someone@example.org>$/)
  expect(line!.length).toBeLessThanOrEqual(200)
})

test('not on a terminal nothing is cut', () => {
  expect(table(undefined, GREY)[1]).toMatch(/<someone@example.org> \(mail.sender.example\)$/)
})

test('a longer address begins the table anew, what fitted before goes on to fit', () => {
  const lines = table(80, ...Array.from({ length: 2000 }, () => WHITE), WHITE6, WHITE)
  expect(lines.filter((line) => line.startsWith('KIND'))).toHaveLength(2)
  expect(lines[2001]).toBe('')
  expect(lines[2003]).toContain('  2001:db8:1111:2222:3333:4444:5555:6666  ')
  expect(lines[2004]!.indexOf('36d')).toBe(lines[2003]!.indexOf('36d'))
})

test('an empty list has no header', () => {
  expect(table(80)).toEqual([''])
})

test('what a terminal would obey is escaped, and no character is cut in half', () => {
  const from = `<${'\u00c3\u00a9'.repeat(40)}\x1b[2J>`
  const [, line] = table(80, { ...GREY, from })
  expect(line).not.toContain('\x1b')
  expect(Buffer.from(line!, 'latin1').toString('utf8')).not.toContain('\ufffd')
})

describe('whatever the entries, ', () => {
  const word = fc.string({ unit: 'binary-ascii', maxLength: 120 })
  const entry: fc.Arbitrary<Entry> = fc.oneof(
    fc.constantFrom(WHITE, WHITE6, TRAPPED),
    fc.record({ from: word, to: word, helo: word }).map((texts) => ({ ...GREY, ...texts })),
    word.map((comment): Entry => ({ ...WHITE, comment })),
    fc.integer({ min: -4_000_000, max: 400_000_000 }).map((left) => ({ ...WHITE, expire: NOW + left })),
  )
  test('no line is wider than the terminal, and addresses and times left are whole', () => {
    fc.assert(
      fc.property(
        fc.array(entry, { minLength: 1, maxLength: 20 }),
        fc.integer({ min: 62, max: 260 }),
        (entries, width) => {
          const [, ...rows] = table(width, ...entries)
          expect(rows).toHaveLength(entries.length)
          for (const [index, row] of rows.entries()) {
            expect(row.length).toBeLessThanOrEqual(width)
            const ip = (entries[index] as { ip: string }).ip
            expect(row).toMatch(new RegExp(`^[A-Z]+ +${ip.replaceAll('.', '\\.')} +(-?[0-9]+[dhms]|never)`))
          }
        },
      ),
    )
  })
})
