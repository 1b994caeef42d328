import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createListParser, type ListSummary, MAX_LINE_BYTES } from '../../../../src/codec/lists/list-lines.js'
import { formatCidrs } from '../../../../src/ip/cidr-text.js'
import { readNaiveItem } from '../../../support/setup/naive-line.js'
import { naiveCidrs } from '../../../support/setup/naive-list.js'

const latin1 = (text: string): Uint8Array => Buffer.from(text, 'latin1')

function parse(text: string | Uint8Array, column?: number): ListSummary {
  const parser = createListParser({ column })
  parser.push(typeof text === 'string' ? latin1(text) : text)
  return parser.end()
}

function cidrsOf(summary: ListSummary): string[] {
  const { ipv4, ipv6 } = formatCidrs(summary.set)
  return Buffer.concat([ipv4.text, ipv6.text]).toString('latin1').split('\n').slice(0, -1)
}

/** One line each: what it gives, or why it gives nothing. */
const lines: { name: string; line: string; want: string[] | 'ignored' | 'unknown' }[] = [
  { name: 'plain IPv4', line: '192.0.2.1', want: ['192.0.2.1/32'] },
  { name: 'plain IPv6', line: '2001:DB8::1', want: ['2001:db8::1/128'] },
  { name: 'IPv6 that begins with digits is never read as IPv4', line: '20::1', want: ['20::1/128'] },
  { name: 'IPv6 of eight groups', line: '1:2:3:4:5:6:7:8', want: ['1:2:3:4:5:6:7:8/128'] },
  { name: 'IPv6 with a dotted quad', line: '64:ff9b::192.0.2.33', want: ['64:ff9b::c000:221/128'] },
  { name: 'the unspecified address', line: '::', want: ['::/128'] },
  { name: 'IPv4-mapped becomes IPv4', line: '::ffff:192.0.2.1', want: ['192.0.2.1/32'] },
  { name: 'IPv4-mapped network becomes IPv4', line: '::ffff:192.0.2.0/120', want: ['192.0.2.0/24'] },
  {
    name: 'IPv4-mapped range becomes IPv4',
    line: '::ffff:192.0.2.0-::ffff:192.0.2.3',
    want: ['192.0.2.0/30'],
  },
  { name: 'network', line: '198.51.100.0/24', want: ['198.51.100.0/24'] },
  { name: 'IPv6 network', line: '2001:db8::/32', want: ['2001:db8::/32'] },
  { name: 'host bits are cleared', line: '10.1.2.3/24', want: ['10.1.2.0/24'] },
  { name: 'IPv6 host bits are cleared', line: '2001:db8::5/64', want: ['2001:db8::/64'] },
  { name: 'range with blanks', line: '1.2.3.4 - 1.2.3.9', want: ['1.2.3.4/30', '1.2.3.8/31'] },
  { name: 'range without blanks', line: '1.2.3.4-1.2.3.9', want: ['1.2.3.4/30', '1.2.3.8/31'] },
  { name: 'range with a run of dashes', line: '1.2.3.4 -- 1.2.3.9', want: ['1.2.3.4/30', '1.2.3.8/31'] },
  {
    name: 'range with tabs around the dash',
    line: '1.2.3.4\t-\t1.2.3.9',
    want: ['1.2.3.4/30', '1.2.3.8/31'],
  },
  { name: 'range of one', line: '1.2.3.4 - 1.2.3.4', want: ['1.2.3.4/32'] },
  { name: 'range before other text', line: '1.2.3.4-1.2.3.5/24 text', want: ['1.2.3.4/31'] },
  { name: 'two addresses with a blank are a range', line: '1.2.3.4 1.2.3.5', want: ['1.2.3.4/31'] },
  { name: 'IPv6 range', line: '2001:db8::-2001:db8::3', want: ['2001:db8::/126'] },
  {
    name: 'IPv6 range with blanks',
    line: '2001:db8::1 - 2001:db8::2',
    want: ['2001:db8::1/128', '2001:db8::2/128'],
  },
  { name: 'to the last address', line: '255.255.255.254 - 255.255.255.255', want: ['255.255.255.254/31'] },
  { name: 'from the first address', line: '0.0.0.0/8', want: ['0.0.0.0/8'] },
  { name: 'the upper quarter', line: '192.0.0.0/2', want: ['192.0.0.0/2'] },
  { name: 'comment', line: '# 192.0.2.1', want: 'ignored' },
  { name: 'comment with a semicolon', line: '; Spamhaus DROP List', want: 'ignored' },
  { name: 'comment after blanks', line: ' \t # 192.0.2.1', want: 'ignored' },
  { name: 'empty', line: '', want: 'ignored' },
  { name: 'blank', line: ' \t ', want: 'ignored' },
  { name: 'trailing comment', line: '192.0.2.1 # 10.0.0.0/8', want: ['192.0.2.1/32'] },
  { name: 'trailing comment without a blank', line: '192.0.2.1#x', want: ['192.0.2.1/32'] },
  { name: 'Spamhaus text', line: '1.10.16.0/20 ; SBL256894', want: ['1.10.16.0/20'] },
  { name: 'trailing comment with a slash', line: '192.0.2.1 ; SBL1/24', want: ['192.0.2.1/32'] },
  { name: 'trailing number is no range', line: '1.2.3.4 25 hits', want: ['1.2.3.4/32'] },
  { name: 'trailing date is no range', line: '1.2.3.4 2016-01-01', want: ['1.2.3.4/32'] },
  { name: 'trailing words with a slash', line: '1.2.3.4 a/5', want: ['1.2.3.4/32'] },
  { name: 'a dash and words', line: '1.2.3.4 - mail.example.org', want: ['1.2.3.4/32'] },
  { name: 'a dash and a number is not guessed at', line: '1.2.3.4-10', want: 'unknown' },
  { name: 'a dash and no address', line: '192.0.2.2 - 1.2.3.4.5', want: 'unknown' },
  { name: 'IPv6 with a comment', line: '2001:db8::1\t# text', want: ['2001:db8::1/128'] },
  { name: 'IPv6 with a dash and words', line: '2001:db8::1 - bad host', want: ['2001:db8::1/128'] },
  { name: 'IPv6 with a dash and a broken end', line: '2001:db8::1 - 2001:db8:::', want: 'unknown' },
  { name: 'leading blanks', line: '   192.0.2.1', want: ['192.0.2.1/32'] },
  { name: 'leading tab', line: '\t192.0.2.1', want: ['192.0.2.1/32'] },
  { name: 'address TAB count', line: '192.0.2.1\t7', want: ['192.0.2.1/32'] },
  { name: 'address TAB address are two columns', line: '192.0.2.1\t192.0.2.9', want: ['192.0.2.1/32'] },
  { name: 'DShield', line: '192.0.2.0\t192.0.2.255\t24\t1234\tNAME', want: ['192.0.2.0/24'] },
  { name: 'no DShield row', line: '192.0.2.0\t192.0.2.255\t25', want: ['192.0.2.0/32'] },
  { name: 'leading zeros are decimal', line: '010.001.000.008', want: ['10.1.0.8/32'] },
  { name: 'short form with a prefix', line: '10/8', want: ['10.0.0.0/8'] },
  { name: 'short form of two numbers', line: '172.16/12', want: ['172.16.0.0/12'] },
  { name: 'hexadecimal with a prefix', line: '0x0a000000/8', want: ['10.0.0.0/8'] },
  { name: 'hexadecimal from the left', line: '0xa/8', want: ['160.0.0.0/8'] },
  { name: 'hexadecimal alone', line: '0x0a000000', want: 'unknown' },
  { name: 'hexadecimal too long', line: '0x0a0000000/8', want: 'unknown' },
  { name: 'short form alone', line: '192.168.1', want: 'unknown' },
  { name: 'short range', line: '10 - 11', want: 'unknown' },
  { name: 'number', line: '12345', want: 'unknown' },
  { name: 'octet over 255', line: '192.0.2.256', want: 'unknown' },
  { name: 'five numbers', line: '1.2.3.4.5', want: 'unknown' },
  { name: 'two dots', line: '1..2.3', want: 'unknown' },
  { name: 'dot at the end', line: '1.2.3.4.', want: 'unknown' },
  { name: 'prefix over 32', line: '192.0.2.0/33', want: 'unknown' },
  { name: 'prefix that would overflow', line: '192.0.2.0/4294967320', want: 'unknown' },
  { name: 'prefix with a sign', line: '192.0.2.0/+24', want: ['192.0.2.0/24'] },
  { name: 'prefix after a blank', line: '192.0.2.0/ 28', want: ['192.0.2.0/28'] },
  { name: 'prefix before text', line: '198.51.100.0/24x', want: ['198.51.100.0/32'] },
  { name: 'negative prefix', line: '192.0.2.0/-1', want: 'unknown' },
  { name: 'slash without a number', line: '192.0.2.0/x', want: ['192.0.2.0/32'] },
  { name: 'netmask', line: '192.0.2.0/255.255.255.0', want: ['192.0.2.0/24'] },
  { name: 'prefix 0', line: '1.2.3.4/0', want: 'unknown' },
  { name: 'prefix 0 of IPv6', line: '::/0', want: 'unknown' },
  { name: 'prefix 0 of IPv4 as IPv6', line: '::ffff:0:0/96', want: 'unknown' },
  { name: 'the same with host bits', line: '::ffff:192.0.2.1/96', want: 'unknown' },
  { name: 'the same as a range', line: '::ffff:0.0.0.0 - ::ffff:255.255.255.255', want: 'unknown' },
  { name: 'half of IPv4 as IPv6', line: '::ffff:0:0/97', want: ['0.0.0.0/1'] },
  { name: 'every IPv4 address as a range', line: '0.0.0.0 - 255.255.255.255', want: 'unknown' },
  {
    name: 'every IPv6 address as a range',
    line: ':: - ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff',
    want: 'unknown',
  },
  { name: 'nearly every address', line: '0.0.0.0-127.255.255.255', want: ['0.0.0.0/1'] },
  { name: 'reversed range', line: '192.0.2.9 - 192.0.2.4', want: 'unknown' },
  { name: 'reversed IPv6 range', line: '2001:db8::2-2001:db8::1', want: 'unknown' },
  { name: 'IPv6 prefix over 128', line: '2001:db8::/129', want: 'unknown' },
  { name: 'IPv6 with a zone', line: 'fe80::1%em0', want: 'unknown' },
  { name: 'IPv6 of nine groups', line: '1:2:3:4:5:6:7:8:9', want: 'unknown' },
  { name: 'IPv6 with two gaps', line: '1::2::3', want: 'unknown' },
  { name: 'IPv6 with five digits', line: '2001:db8::12345', want: 'unknown' },
  { name: 'time of day', line: '12:34:56', want: 'unknown' },
  { name: 'MAC address', line: '00:11:22:33:44:55', want: 'unknown' },
  { name: 'word', line: 'hello', want: 'unknown' },
  { name: 'address behind a word', line: 'world 1.2.3.4', want: 'unknown' },
  { name: 'name:range of P2P lists', line: 'name:1.2.3.4-1.2.3.9', want: 'unknown' },
  { name: 'sign', line: '-1.2.3.4', want: 'unknown' },
  { name: 'NUL behind an address', line: '192.0.2.1\0junk', want: ['192.0.2.1/32'] },
  { name: 'NUL before an address', line: '\x0192.0.2.1', want: 'unknown' },
  { name: 'high byte behind an address', line: '192.0.2.2\xff', want: ['192.0.2.2/32'] },
  { name: 'CSV with commas', line: '192.0.2.1,2024-01-01,ssh', want: ['192.0.2.1/32'] },
  { name: 'CSV with semicolons', line: '192.0.2.1;2024;x', want: ['192.0.2.1/32'] },
  { name: 'CSV with quotes', line: '"192.0.2.1","x"', want: ['192.0.2.1/32'] },
  { name: 'CSV with an IPv6 address', line: '2001:db8::1,3', want: ['2001:db8::1/128'] },
  {
    name: 'Spamhaus JSON',
    line: '{"cidr":"2001:db8::/32","sblid":"SBL1","rir":"x"}',
    want: ['2001:db8::/32'],
  },
  { name: 'JSON with ip', line: '{"ip":"192.0.2.1"}', want: ['192.0.2.1/32'] },
  { name: 'JSON without an address', line: '{"asn":64496}', want: 'unknown' },
  { name: 'JSON with a number for an address', line: '{"cidr":12}', want: 'unknown' },
  { name: 'broken JSON', line: '{"cidr":"192.0.2.1"', want: 'unknown' },
  { name: 'ipset add', line: 'add bad 192.0.2.0/24 timeout 5', want: ['192.0.2.0/24'] },
  { name: 'ipset add IPv6', line: 'add bad6 2001:db8::1', want: ['2001:db8::1/128'] },
  { name: 'ipset add of a range', line: 'add bad 1.2.3.4-1.2.3.5', want: ['1.2.3.4/31'] },
  { name: 'ipset create', line: 'create bad hash:net family inet hashsize 1024', want: 'ignored' },
  { name: 'ipset flush', line: 'flush bad', want: 'ignored' },
  { name: 'ipset add of no address', line: 'add bad example.org', want: 'unknown' },
  { name: 'rbldnsd with a value', line: '192.0.2.1:127.0.0.3:see http://x/', want: ['192.0.2.1/32'] },
  { name: 'rbldnsd default value', line: ':127.0.0.2:Blocked, see http://x/?$', want: 'ignored' },
  { name: 'rbldnsd directive', line: '$SOA 3600 ns.example.org', want: 'ignored' },
]
describe('a line', () => {
  test.each(lines)('$name', ({ line, want }) => {
    for (const text of [`${line}\n`, `${line}\r\n`, line, `${line}\r\n#\n`]) {
      const summary = parse(text)
      const outcome = summary.unknown > 0 ? 'unknown' : summary.accepted > 0 ? cidrsOf(summary) : 'ignored'
      if (text !== '') expect(outcome).toEqual(want)
      expect(summary.accepted + summary.unknown + summary.ignored).toBe(summary.lineCount)
    }
    const repeated = parse(`192.0.2.200\n${line}\n`.repeat(50))
    expect(repeated.accepted).toBe(50 * (Array.isArray(want) ? 2 : 1))
    expect(repeated.unknown).toBe(want === 'unknown' ? 50 : 0)
  })
})

describe('a list', () => {
  test('may begin with a byte order mark', () => {
    expect(cidrsOf(parse('\xef\xbb\xbf192.0.2.1\n'))).toEqual(['192.0.2.1/32'])
    expect(parse('192.0.2.1\n\xef\xbb\xbf192.0.2.2\n').unknown).toBe(1)
  })

  test('tells each kind of oddity once, with its first line', () => {
    const summary = parse(
      '192.0.2.1\n#\n10.1.2.3/8\n10.1.2.4/8\n1.2.3.4/0\n9.9.9.9-9.9.9.8\n10.1\n2001:db8::1/64\n',
    )
    expect(summary.notes.map(({ kind, count, firstLine }) => [kind, count, firstLine])).toEqual([
      ['host-bits', 3, 3],
      ['zero-prefix', 1, 5],
      ['reversed', 1, 6],
      ['short-form', 1, 7],
    ])
    expect(summary.firstUnknown).toEqual({ line: 5, excerpt: '"1.2.3.4/0"' })
  })

  test('takes out what it excludes, wherever that stands', () => {
    const summary = parse(
      '!192.0.2.5\n192.0.2.4/30\nadd s 10.0.0.0/30\nadd s 10.0.0.0/31 nomatch\n! 2001:db8::1\n2001:db8::/127\n',
    )
    expect(cidrsOf(summary)).toEqual(['10.0.0.2/31', '192.0.2.4/32', '192.0.2.6/31', '2001:db8::/128'])
    expect(summary.accepted).toBe(3)
    expect(summary.notes.map(({ kind }) => kind)).toEqual(['excluded', 'nomatch'])
    expect(parse('!hello\n').unknown).toBe(1)
  })

  test('fails when more than half of its lines hold no address', () => {
    expect(parse('1.2.3.4\nx\n').failure).toBeUndefined()
    expect(parse('1.2.3.4\n# c\n\nx\n\u001b[2J\n').failure).toEqual({
      reason: 'mostly-unknown',
      message: '2 of 3 lines hold no address, first line 4: "x"',
    })
    expect(parse('\u001b[2J\u0007\n').failure?.message).toContain('"\\x1b[2J\\x07"')
    expect(parse('').failure).toBeUndefined()
    expect(parse('# only\n\n').failure).toBeUndefined()
  })

  test('fails when it is an HTML page', () => {
    for (const start of [
      '<!DOCTYPE html>',
      '\n\n  <html lang="en">',
      '\xef\xbb\xbf<HTML>',
      // Error pages and fragments, which show the address of who asks.
      '\n\n  <h1>Not found</h1>',
      '<p>Your address:',
      '</pre>',
      '<center>',
      '<error code="429">',
      '<?xml version="1.0"?>',
    ]) {
      expect(parse(`${start}\n<body>1.2.3.4</body>\n1.2.3.4\n5.6.7.8\n1.2.3.4\n`).failure?.reason).toBe(
        'html',
      )
    }
    expect(parse('1.2.3.4\n<html>\n').failure).toBeUndefined()
  })

  test('records with a message are read among records, and refused alone', () => {
    const record = (ip: string, message?: string) => `${JSON.stringify({ ip, message })}\n`
    const [one, two] = [record('192.0.2.1', 'brute force'), record('192.0.2.0/24', 'spam')]
    for (const list of [one + two, one + record('192.0.2.0/24'), record('192.0.2.0/24') + one]) {
      expect(parse(list)).toMatchObject({ accepted: 2, unknown: 0, failure: undefined })
      expect(cidrsOf(parse(list))).toEqual(['192.0.2.0/24'])
    }
    // Alone, behind a list in another format, and with an error.
    expect(parse(one).failure?.message).toMatch(/^1 of 1 lines hold no address, first line 1: /)
    expect(parse(`198.51.100.1\nx\n${one}y\n198.51.100.2\n198.51.100.3\n`)).toMatchObject({
      accepted: 3,
      unknown: 3,
      firstUnknown: { line: 2 },
    })
    expect(parse(one + one).failure?.reason).toBe('mostly-unknown')
    expect(parse(`{"ip":"192.0.2.1","error":"x"}\n`.repeat(9)).failure?.reason).toBe('mostly-unknown')
    // A note about a line that was held names that line.
    const note = parse(record('10.1.2.3/8', 'x') + one).notes
    expect(note).toMatchObject([{ kind: 'host-bits', count: 1, firstLine: 1 }])
    expect(parse(record('10.1.2.3/7', 'x') + one).wideItems).toMatchObject([{ line: 1 }])
  })

  test('checks the record count of JSON lines, file by file when joined', () => {
    const file = (records: number, claimed: unknown) =>
      `${'{"cidr":"192.0.2.0/24"}\n'.repeat(records)}${JSON.stringify({ type: 'metadata', records: claimed })}\n`
    expect(parse(file(3, 3)).failure).toBeUndefined()
    expect(parse(file(3, 3) + file(2, 2)).failure).toBeUndefined()
    expect(parse(file(3, 'x')).failure).toBeUndefined()
    expect(parse(file(2, 3)).failure).toEqual({
      reason: 'record-count',
      message: 'the list announces 3 records, but 2 were read',
    })
    expect(parse(file(3, 3)).accepted).toBe(3)
  })
})

describe('column', () => {
  test.each([
    ['commas', 'first_seen,dst_ip,port\n"2024-01-01 10:00:00","192.0.2.1","443"\nx,192.0.2.2,80\n', 2],
    ['semicolons', 'a;192.0.2.1\nb, c;192.0.2.2\n', 2],
    ['tabs', 'a\t192.0.2.1\nb\t192.0.2.2/32\tx\n', 2],
    ['bars and blanks', '# c\nx | 192.0.2.1 |\nx | 192.0.2.2\n', 2],
    ['a quoted delimiter', '"a,b",192.0.2.1\n"a ""b"", c",192.0.2.2\n', 2],
    ['the first column', 'address;x\n"192.0.2.1";"x"\n192.0.2.2;x\n', 1],
  ])('with %s', (_name, text, column) => {
    const summary = parse(text, column)
    expect(cidrsOf(summary)).toEqual(['192.0.2.1/32', '192.0.2.2/32'])
    expect(summary.unknown).toBe(0)
  })

  test('only the first row may be headings', () => {
    const summary = parse('h,i\nh,i\nx,192.0.2.1\nx\n', 2)
    expect([summary.accepted, summary.unknown, summary.ignored]).toEqual([1, 2, 1])
    expect(summary.failure?.message).toBe('2 of 3 lines hold no address in that column, first line 2: "h,i"')
  })
})

describe('bounds', () => {
  test('a line over the cap is refused and costs no memory', () => {
    const longLine = new Uint8Array(10 * 1024 * 1024).fill(0x31)
    const parser = createListParser()
    parser.push(latin1('192.0.2.1\n'))
    const before = process.memoryUsage().arrayBuffers
    parser.push(longLine)
    parser.push(longLine)
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1024 * 1024)
    parser.push(latin1('\n192.0.2.2\n192.0.2.3'))
    const summary = parser.end()
    expect([summary.accepted, summary.unknown, summary.lineCount]).toEqual([3, 1, 4])
    expect(summary.notes).toMatchObject([{ kind: 'long-line', firstLine: 2 }])
    expect(summary.firstUnknown!.excerpt).toBe(`"${'1'.repeat(60)}"...`)
  })

  test.each([MAX_LINE_BYTES - 1, MAX_LINE_BYTES, MAX_LINE_BYTES + 1])(
    'a line of %i bytes is the same whole and in pieces',
    (lengthBytes) => {
      for (const start of ['192.0.2.1 ', '#', '192.0.2.0/000000', '192.0.2.0/24 ']) {
        const line = start.padEnd(lengthBytes, '0')
        const text = latin1(`10.0.0.1\n${line}\n10.0.0.2\n`)
        const parser = createListParser()
        for (let at = 0; at < text.length; at += 1000) parser.push(text.subarray(at, at + 1000))
        const inPieces = parser.end()
        expect(inPieces).toEqual(parse(text))
        expect(inPieces.unknown).toBe(lengthBytes > MAX_LINE_BYTES || start.includes('/0') ? 1 : 0)
      }
    },
  )
})

/** A first address, a way in which the line goes on, and what may come behind. */
const continued = fc
  .tuple(
    fc.constantFrom('192.0.2.8', '10.1', '010.0.0.8', '2001:db8::8', '::ffff:192.0.2.8', '0.0.0.0', '::'),
    fc.constantFrom(
      ...[
        '',
        ' ',
        '\t',
        '/',
        '/ ',
        '-',
        ' - ',
        '\t-\t',
        '\xe2\x80\x93',
        ' \x96 ',
        '~',
        ' to ',
        ':',
        ',',
        ', ',
        ';',
      ],
      ...[
        ' ;',
        ' #',
        '|',
        '"',
        '[',
        '(',
        '\r',
        '\0',
        '\xff',
        '.',
        '%',
        '_',
        'x',
        ' x ',
        '/x',
        '/24/',
        '/24-',
      ],
    ),
    fc.oneof(
      fc.constantFrom(
        '',
        '8',
        '12',
        '24',
        '31',
        '64',
        '120',
        '128',
        '0',
        '33',
        '129',
        '008',
        '9',
        'ff',
        'abc',
      ),
      fc.constantFrom('192.0.2.9', '192.0.2.0', '255.255.255.0', '0.0.0.7', '255.255.255.255', '250.0.0.1'),
      fc.constantFrom('2001:db8::9', '2001:db8::', 'ffff:ffff::', 'ff02::1', '::', '::ffff:192.0.2.9'),
    ),
    fc.constantFrom('', '', ' ', 'x', ' x', '/24', '-9', '#', ' # x\rx', '\t24', '\r\r', '"', ','),
  )
  .map((parts) => parts.join(''))
const lineText = fc.oneof(
  { weight: 6, arbitrary: continued },
  fc.constantFrom(...lines.map(({ line }) => line)),
  fc.ipV4(),
  fc.ipV6(),
  fc.ipV4().map((ip) => `${ip}/${(ip.length * 7) % 34}`),
  fc.tuple(fc.ipV4(), fc.ipV4()).map(([first, last]) => `${first} - ${last}`),
  fc.string({ unit: 'binary-ascii', maxLength: 20 }),
)
const listBytes = fc
  .tuple(fc.array(fc.tuple(lineText, fc.constantFrom('\n', '\r\n'))), lineText)
  .map(([head, last]) => latin1(head.map(([line, end]) => line + end).join('') + last))

test('a slash in a comment is no path, however the line comes', () => {
  const bytes = latin1('0.0.0.0/15\n192.0.2.8 ;::/24\n192.0.2.8')
  const bytewise = createListParser()
  for (const byte of bytes) bytewise.push(Uint8Array.of(byte))
  expect(parse(bytes).notes).toEqual([])
  expect(bytewise.end().notes).toEqual([])
})

test('any split of a list gives the same', () => {
  fc.assert(
    fc.property(
      listBytes,
      fc.array(fc.nat(40), { maxLength: 60 }),
      fc.option(fc.integer({ min: 1, max: 3 })),
      (bytes, cuts, column) => {
        const whole = parse(bytes, column ?? undefined)
        const inPieces = createListParser({ column: column ?? undefined })
        let at = 0
        for (const cut of cuts) {
          const piece = Uint8Array.from(bytes.subarray(at, at + cut))
          inPieces.push(piece)
          piece.fill(0x37)
          at += cut
        }
        inPieces.push(bytes.subarray(at))
        const bytewise = createListParser({ column: column ?? undefined })
        for (const byte of bytes) bytewise.push(Uint8Array.of(byte))
        expect(inPieces.end()).toEqual(whole)
        expect(bytewise.end()).toEqual(whole)
      },
    ),
    { numRuns: 600 },
  )
})

test('the order of lines makes no difference to the set', () => {
  fc.assert(
    fc.property(fc.array(lineText), (texts) => {
      // A byte order mark counts in the first line only, and a zone of rbldnsd begins where it shows itself.
      const usable = texts.filter((text) => !/^[\xef$:]/.test(text) && !text.includes('\n'))
      expect(cidrsOf(parse(usable.toReversed().join('\n')))).toEqual(cidrsOf(parse(usable.join('\n'))))
    }),
  )
})

test('any bytes return a summary in which every line is counted', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 400 }),
      fc.option(fc.integer({ min: 1, max: 4 })),
      (bytes, column) => {
        const summary = parse(bytes, column ?? undefined)
        const excluded = summary.notes
          .filter(({ kind }) => kind === 'excluded' || kind === 'nomatch')
          .reduce((sum, { count }) => sum + count, 0)
        expect(summary.accepted + summary.ignored + summary.unknown + excluded).toBe(summary.lineCount)
      },
    ),
    { numRuns: 500 },
  )
})

test('a line is read as by the plain reader of test/support/setup/naive-line.ts', () => {
  fc.assert(
    fc.property(fc.oneof(continued, fc.constantFrom(...lines.map(({ line }) => line))), (text) => {
      const summary = parse(text)
      if (/^(?:$|[ \t#;$:{!"<]|add|create|flush)/.test(text) && !text.startsWith('::')) return
      const range = readNaiveItem(text)
      expect(summary.accepted, text).toBe(range === undefined ? 0 : 1)
      if (range !== undefined) expect(cidrsOf(summary), text).toEqual(naiveCidrs([range], [], range.family))
    }),
    { numRuns: 3000 },
  )
})

test('a line gives its first address alone, unless it plainly says more, and tells what it leaves out', () => {
  fc.assert(
    fc.property(continued, (text) => {
      const summary = parse(text)
      if (summary.accepted === 0 || cidrsOf(summary).length > 1) return
      if (!/^[\d.]+\/32$|:.*\/128$/.test(cidrsOf(summary)[0]!)) return
      const rest = text.replace(/^(?:\d+\.\d+\.\d+\.\d+|[0-9a-f:]*:[0-9a-f:.]*)/, '')
      const isPlain =
        /^(?:$|[ \t]*[#;]|[\s,;:#"'|)\]}>]|\/(?:32|128|255\.|ffff:)|\/[ \t]+(?:32|128)(?!\d))/.test(rest)
      if (summary.notes.length > 0 || isPlain) return
      expect(rest, text).toMatch(/^(?:-|~|\x96|\xe2\x80\x93)+(?:[^0-9a-f]*$|192\.0\.2\.8|2001:db8::8|::)/)
    }),
    { numRuns: 3000 },
  )
})

describe('a prefix length with a number behind it that would go on with it: the address alone', () => {
  const numbers = [0, 1, 2, 3, 4, 7, 8, 9, 12, 24, 28, 29, 32, 40, 128, 200]
  test.each([
    ['10.1.2.3', 32],
    ['2001:db8::1:2:3', 128],
  ] as const)('%s', (address, most) => {
    const width = String(most)
    for (let length = 1; length <= most; length += 1) {
      for (const number of numbers) {
        const alone = cidrsOf(parse(`${address}/${width}`))
        const network = cidrsOf(parse(`${address}/${length}`))
        const wanted = Number(`${length}${number}`) <= most ? alone : network
        for (const blank of [' ', '\t', '  ', '\r'])
          expect(
            cidrsOf(parse(`${address}/${length}${blank}${number}`)),
            `/${length}${blank}${number}`,
          ).toEqual(wanted)
        // A number behind something else is none of it.
        expect(cidrsOf(parse(`${address}/${length} ; ${number}`))).toEqual(network)
      }
    }
  })

  test('a network without host bits is what was meant', () => {
    expect(cidrsOf(parse('16.0.0.0/4 5'))).toEqual(['16.0.0.0/4'])
    expect(cidrsOf(parse('2001:db8::/32 5'))).toEqual(['2001:db8::/32'])
    expect(cidrsOf(parse('2001:d00::/12 5'))).toEqual(['2001:d00::/128'])
  })
})
