/** Every row of the tables in docs/protocol/list-formats.md is a test. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { createListParser, type ListSummary } from '../../../../src/codec/lists/list-lines.js'
import { formatCidrs } from '../../../../src/ip/cidr-text.js'

const DOCUMENT = readFileSync(join(import.meta.dirname, '../../../../docs/protocol/list-formats.md'), 'utf8')
const PLACEHOLDERS: Readonly<Record<string, string>> = {
  '<TAB>': '\t',
  '<CR>': '\r',
  '<NUL>': '\0',
  '<EN DASH>': '\xe2\x80\x93',
  '<FF>': '\xff',
}

interface Row {
  shown: string
  line: string
  want: string[] | 'refused' | 'ignored'
  notes: string[]
}

function rowsBelow(heading: string): Row[] {
  const section = DOCUMENT.split(`### ${heading}\n`)[1]!.split(/^##/m)[0]!
  const rows: Row[] = []
  for (const text of section.split('\n')) {
    const match = /^\| `(?<line>.+?)` \| (?<entry>.*?) \| (?<note>.*?) ?\|$/.exec(text)
    if (match === null) continue
    const { line = '', entry = '', note = '' } = match.groups!
    const codes = [...entry.matchAll(/`([^`]+)`/g)].map(([, code]) => code!)
    rows.push({
      shown: line,
      line: line.replaceAll('\\|', '|').replaceAll(/<[A-Z ]+>/g, (name) => PLACEHOLDERS[name] ?? name),
      want: codes.length > 0 ? codes : (entry as 'refused' | 'ignored'),
      notes: [...note.matchAll(/`([^`]+)`/g)].map(([, kind]) => kind!),
    })
  }
  return rows
}

function parse(text: string, isBytewise = false): ListSummary {
  const parser = createListParser()
  const bytes = Buffer.from(text, 'latin1')
  if (isBytewise) for (const byte of bytes) parser.push(Uint8Array.of(byte))
  else parser.push(bytes)
  return parser.end()
}

function outcomeOf({ set, unknown, accepted }: ListSummary): string[] | 'refused' | 'ignored' {
  if (unknown > 0) return 'refused'
  if (accepted === 0) return 'ignored'
  const { ipv4, ipv6 } = formatCidrs(set)
  return Buffer.concat([ipv4.text, ipv6.text]).toString('latin1').split('\n').slice(0, -1)
}

function check(head: string, { line, want, notes }: Row): void {
  for (const text of [
    line,
    `${line}\n`,
    `${line}\r\n`,
    `# x\n${line}\n#\n`,
    `# x\r\n${line}\r\n${line}\r\n`,
  ]) {
    for (const isBytewise of [false, true]) {
      const summary = parse(head + text, isBytewise)
      expect(outcomeOf(summary), JSON.stringify(text)).toEqual(want)
      expect(
        summary.notes.map(({ kind }) => kind),
        JSON.stringify(text),
      ).toEqual(notes)
    }
  }
}

describe('how a line can go on', () => {
  const rows = rowsBelow('Text after an item')
  test('the table has both families and all notes', () => {
    expect(rows.length).toBeGreaterThan(120)
    expect(rows.filter(({ line }) => line.includes('::')).length).toBeGreaterThan(30)
  })
  test.each(rows)('$shown', (row) => check('', row))
})

describe('zone files of rbldnsd', () => {
  const rows = rowsBelow('Zone files of rbldnsd')
  test('the table is found', () => expect(rows.length).toBeGreaterThan(30))
  test.each(rows)('$shown', (row) => {
    check('$SOA 3600 ns.example h.example 0 600 300 86400 300\n', row)
    check('# zone\n\n:127.0.0.2:Blocked $\n', row)
    check('$TTL 300\n', row)
  })

  test('only what stands before the first entry makes a zone', () => {
    expect(outcomeOf(parse('198.51.100\n'))).toBe('refused')
    for (const first of ['192.0.2.1', 'text', '!192.0.2.9', '192.0.2.1 text']) {
      for (const isBytewise of [false, true]) {
        const summary = parse(`#\n${first}\n$SOA 1\n:127.0.0.2:x\n198.51.100\n`, isBytewise)
        expect(summary.notes.map(({ kind }) => kind)).toContain('short-form')
      }
    }
  })

  test.each(['$GENERATE 1-2', '$ORIGIN example.', ':text', '$'])('%s makes no zone', (line) => {
    expect(outcomeOf(parse(`${line}\n198.51.100\n`))).toBe('refused')
  })

  test('obeys $MAXRANGE4 in both notations', () => {
    for (const limit of ['$MAXRANGE4 /24', '$maxrange4 256', '$MAXRANGE4\t/24 ']) {
      const summary = parse(`$SOA 1\n${limit}\n10.1.0.0/16\n10.2.2.0/24\n10.3-10.4\n2001:db8::/32\n`)
      expect(summary.notes).toMatchObject([{ kind: 'max-range', count: 2, firstLine: 3 }])
      summary.unknown = 0
      expect(outcomeOf(summary)).toEqual(['10.2.2.0/24', '2001:db8::/32'])
    }
  })

  test('takes out what is marked', () => {
    expect(outcomeOf(parse('$SOA 1\n198.51.100\n!198.51.100.0-127\n! 198.51.100.128/26\n'))).toEqual([
      '198.51.100.192/26',
    ])
  })
})
