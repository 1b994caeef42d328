import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type ConfigLine,
  ConfigLineDecoder,
  type ConfigLineLimits,
  MAX_ITEM_BYTES,
  MAX_MESSAGE_BYTES,
  MAX_NAME_BYTES,
} from '../../../../src/codec/config-line/config-line-decoder.js'
import type { PrefixColumns } from '../../../../src/codec/config-line/config-prefixes.js'
import { formatIpv4, formatIpv6 } from '../../../../src/ip/address.js'
import { checkConfigLines } from '../../../fuzz/check-config-lines.js'
import { corpusInputs } from '../../../support/corpus.js'
import { encodeConfigLine } from '../../../support/encode-config-line.js'

function decode(
  input: string | Uint8Array,
  cuts: number[] = [],
  limits: Partial<ConfigLineLimits> = {},
): ConfigLine[] {
  const bytes = typeof input === 'string' ? Buffer.from(input, 'latin1') : input
  const found: ConfigLine[] = []
  const decoder = new ConfigLineDecoder((line) => found.push(line), limits)
  let start = 0
  for (const end of [...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]) {
    decoder.push(bytes.subarray(start, end))
    start = end
  }
  decoder.end()
  return found
}

function prefixesOf({ family, count, words, prefixLengths }: PrefixColumns): string[] {
  return Array.from({ length: count }, (_, index) => {
    if (family === 4) return `${formatIpv4(words[index]!)}/${prefixLengths[index]}`
    const groups = Array.from({ length: 8 }, (__, group) => {
      const word = words[index * 4 + (group >> 1)]!
      return group % 2 === 0 ? word >>> 16 : word & 0xffff
    })
    return `${formatIpv6(groups)}/${prefixLengths[index]}`
  })
}

/** A line in short: what tests compare. */
function brief(line: ConfigLine): object {
  if (line.kind === 'clear') return line
  if (line.kind === 'bad-structure') return { kind: line.kind, name: line.name, texts: line.debugTexts }
  const { kind, name, message, entryCount } = line
  const common = { kind, name, message, entryCount, ipv4: prefixesOf(line.ipv4), ipv6: prefixesOf(line.ipv6) }
  return kind === 'bad-address' ? { ...common, texts: line.debugTexts } : common
}

describe('good lines', () => {
  const list = (parts: object) => ({
    kind: 'replace',
    name: 'bl',
    message: 'm',
    ipv4: [],
    ipv6: [],
    ...parts,
  })
  test.each([
    {
      name: 'one family',
      input: 'bl;"m";inet;2;127.5.0.0/16;10.0.0.0/8\n',
      want: [list({ entryCount: 2, ipv4: ['127.5.0.0/16', '10.0.0.0/8'] })],
    },
    {
      name: 'both families in any order',
      input: 'bl;"m";inet6;1;::1/128;inet;1;1.2.3.4/32\n',
      want: [list({ entryCount: 2, ipv4: ['1.2.3.4/32'], ipv6: ['::1/128'] })],
    },
    {
      name: 'a family of none beside one of some',
      input: 'bl;"m";inet;0;inet6;1;::1/128\n',
      want: [list({ entryCount: 1, ipv6: ['::1/128'] })],
    },
    {
      name: 'no final line end',
      input: 'bl;"m";inet;1;1.2.3.4/32',
      want: [list({ entryCount: 1, ipv4: ['1.2.3.4/32'] })],
    },
    {
      name: 'a trailing separator and empty items in front of a family',
      input: 'bl;"m";;;inet;1;1.2.3.4/32;;\n',
      want: [list({ entryCount: 1, ipv4: ['1.2.3.4/32'] })],
    },
    {
      name: 'CR LF',
      input: 'bl;"m";inet;1;1.2.3.4/32\r\n',
      want: [list({ entryCount: 1, ipv4: ['1.2.3.4/32'] })],
    },
    {
      name: 'blanks and sign in count and length, as strtonum and scanf read',
      input: 'bl;"m";inet; +1;1.2.3.4/ +24x\n',
      want: [list({ entryCount: 1, ipv4: ['1.2.3.4/24'] })],
    },
    {
      name: 'host bits and duplicates as sent',
      input: 'bl;"m";inet;2;1.2.3.4/8;1.2.3.4/8\n',
      want: [list({ entryCount: 2, ipv4: ['1.2.3.4/8', '1.2.3.4/8'] })],
    },
    {
      name: 'leading zeros, which are decimal for OpenBSD',
      input: 'bl;"m";inet;1;010.001.000.008/32\n',
      want: [list({ entryCount: 1, ipv4: ['10.1.0.8/32'] })],
    },
    {
      name: 'every spelling of IPv6',
      input: 'bl;"m";inet6;4;2001:DB8:0:0:0:0:0:1/128;::/1;1::/16;::ffff:1.2.3.4/128\n',
      want: [list({ entryCount: 4, ipv6: ['2001:db8::1/128', '::/1', '1::/16', '::ffff:102:304/128'] })],
    },
    {
      name: 'separators inside the message',
      input: 'bl;"a;b";inet;1;1.2.3.4/32\n',
      want: [list({ message: 'a;b', entryCount: 1, ipv4: ['1.2.3.4/32'] })],
    },
    {
      name: 'an escaped quote inside',
      input: 'bl;"a\\"b";inet;1;1.2.3.4/32\n',
      want: [list({ message: 'a\\"b', entryCount: 1, ipv4: ['1.2.3.4/32'] })],
    },
    {
      name: 'an escaped quote at the end (the original lost such a list)',
      input: 'bl;"q\\"";inet;1;1.2.3.4/32\n',
      want: [list({ message: 'q\\"', entryCount: 1, ipv4: ['1.2.3.4/32'] })],
    },
    {
      name: 'a doubled backslash at the end',
      input: 'bl;"q\\\\";inet;1;1.2.3.4/32\n',
      want: [list({ message: 'q\\\\', entryCount: 1, ipv4: ['1.2.3.4/32'] })],
    },
    {
      name: 'an empty name',
      input: ';"m";inet;1;1.2.3.4/32\n',
      want: [list({ name: '', entryCount: 1, ipv4: ['1.2.3.4/32'] })],
    },
    { name: 'clear', input: 'bl;\n', want: [{ kind: 'clear', name: 'bl' }] },
    {
      name: 'NUL ends a line early',
      input: 'bl;\0;"m";inet;9\nb2;\n',
      want: [
        { kind: 'clear', name: 'bl' },
        { kind: 'clear', name: 'b2' },
      ],
    },
    {
      name: 'lines of no or one byte are passed over',
      input: '\n\na\n;\n\0\nbl;\nx',
      want: [{ kind: 'clear', name: 'bl' }],
    },
    { name: 'nothing', input: '', want: [] },
  ])('$name', ({ input, want }) => {
    expect(decode(input).map(brief)).toEqual(want)
  })
})

describe('lines of bad structure, with what the original prints', () => {
  const cases: [string, string, string[]][] = [
    ['no separator', 'bl', []],
    ['no opening quote', 'bl;m;inet;1;1.2.3.4/32', []],
    ['CR LF behind the name is no clear', 'bl;\r', []],
    ['an open message', 'bl;"m;inet;1;1.2.3.4/32', ['bad message: "m;inet;1;1.2.3.4/32']],
    ['an open message behind an escaped quote', 'bl;"m\\";inet;1', ['bad message: "m\\";inet;1']],
    ['no separator behind the message', 'bl;"m"', ['bad message: "m"']],
    ['text behind the closing quote', 'bl;"m"x;inet;1', ['bad message: "m"x;inet;1']],
    ['no family', 'bl;"m";', ['no addresses']],
    ['an unknown family', 'bl;"m";ether;1;1.2.3.4/32', []],
    ['nearly a family', 'bl;"m";inet7;1;1.2.3.4/32', ['unsupported address family: inet7']],
    ['an address too many', 'bl;"m";inet;1;1.2.3.4/32;1.2.3.5/32', []],
    ['the same family twice', 'bl;"m";inet;1;1.2.3.4/32;inet;1;1.2.3.5/32', ['duplicate inet']],
    ['twice, the count wrong', 'bl;"m";inet;1;1.2.3.4/32;inet;x', ['count "x" is invalid']],
    ['twice, too few', 'bl;"m";inet;1;1.2.3.4/32;inet;2;1.2.3.5/32', ['expected 2 addrs, got 2']],
    ['twice, none the second time', 'bl;"m";inet;1;1.2.3.4/32;inet;0', ['duplicate inet']],
    ['twice, no count', 'bl;"m";inet;1;1.2.3.4/32;inet', ['missing address count']],
    ['the same IPv6 twice', 'bl;"m";inet6;1;::1/128;inet6;1;::2/128', ['duplicate inet6']],
    ['no count', 'bl;"m";inet', ['missing address count']],
    ['an empty count', 'bl;"m";inet;', ['count "" is invalid']],
    ['a count that is no number', 'bl;"m";inet;0x1;1.2.3.4/32', ['count "0x1" is invalid']],
    ['a negative count', 'bl;"m";inet;-1;1.2.3.4/32', ['count "-1" is too small']],
    [
      'a count beyond an unsigned int',
      'bl;"m";inet;4294967296;1.2.3.4/32',
      ['count "4294967296" is too large'],
    ],
    ['fewer addresses than announced', 'bl;"m";inet;3;1.2.3.4/32;1.2.3.5/32', ['expected 3 addrs, got 3']],
    ['a count beyond all memory', 'bl;"m";inet;4294967295;1.2.3.4/32', ['expected 4294967295 addrs, got 2']],
    ['no addresses at all', 'bl;"m";inet;0', ['no addresses']],
    ['an empty item among the addresses', 'bl;"m";inet;2;;1.2.3.4/32', []],
    ['an empty item as the last address', 'bl;"m";inet;1;', []],
  ]
  test.each(cases)('%s', (_name, input, texts) => {
    expect(decode(`${input}\nb2;\n`).map(brief)).toEqual([
      {
        kind: 'bad-structure',
        name: 'bl',
        texts: [...texts, "bogus config line - need 'tag;message;af;count;a/m;a/m;a/m...'"],
      },
      { kind: 'clear', name: 'b2' },
    ])
  })

  test('every one says in our own words what is wrong', () => {
    for (const [, input] of cases)
      expect(decode(input)[0]).toMatchObject({ reason: expect.stringMatching(/^[^A-Z].{5,}$/) as string })
  })
})

describe('a bad address spoils its own line only', () => {
  test.each([
    ['length 0', 'inet;1;1.2.3.4/0', '1.2.3.4/0'],
    ['IPv4 beyond 32', 'inet;1;1.2.3.4/33', '1.2.3.4/33'],
    ['IPv6 beyond 128', 'inet6;1;::/129', '::/129'],
    ['all of IPv4, mapped', 'inet6;2;::ffff:0:0/96;2001:db8::1/128', '::ffff:0:0/96'],
    ['all of IPv4, mapped, dotted', 'inet6;1;::ffff:1.2.3.4/96', '::ffff:1.2.3.4/96'],
    ['a negative length', 'inet;1;1.2.3.4/-8', '1.2.3.4/-8'],
    ['no length', 'inet;1;1.2.3.4', '1.2.3.4'],
    ['a short address', 'inet;1;127.5.0/16', '127.5.0/16'],
    ['an octet of 256', 'inet;1;256.0.0.1/32', '256.0.0.1/32'],
    ['a leading blank', 'inet;1; 1.2.3.4/32', ' 1.2.3.4/32'],
    ['IPv6 among IPv4', 'inet;1;2001:db8::/32', '2001:db8::/32'],
    ['IPv4 among IPv6', 'inet6;1;1.2.3.4/32', '1.2.3.4/32'],
    ['a zone', 'inet6;1;fe80::1%em0/64', 'fe80::1%em0/64'],
    ['nine groups', 'inet6;1;1:2:3:4:5:6:7:8:9/64', '1:2:3:4:5:6:7:8:9/64'],
    ['two gaps', 'inet6;1;1::2::3/64', '1::2::3/64'],
    ['five digits in a group', 'inet6;1;12345::/64', '12345::/64'],
    ['words', 'inet;1;$(reboot)/8', '$(reboot)/8'],
  ])('%s', (_name, families, item) => {
    const [bad, next] = decode(`bl;"m";${families}\nb2;\n`)
    expect(bad).toMatchObject({
      kind: 'bad-address',
      name: 'bl',
      item,
      debugTexts: [`sdl_add: parse error, "${item}"`],
    })
    expect(next).toEqual({ kind: 'clear', name: 'b2' })
  })

  test('the addresses in front of it are told, those behind are not', () => {
    const [line] = decode('bl;"m";inet;3;1.2.3.4/32;foo/8;1.2.3.5/32;inet6;1;::1/128\n')
    expect(brief(line!)).toEqual({
      kind: 'bad-address',
      name: 'bl',
      message: 'm',
      entryCount: 4,
      ipv4: ['1.2.3.4/32'],
      ipv6: ['::1/128'],
      texts: ['sdl_add: parse error, "foo/8"'],
    })
  })

  /** Enough of them behind an item that the quick reader of plain items is the first to see it. */
  const behind = (good: string) => Array.from({ length: 12 }, () => good)

  test.each([
    ['inet', '192.0.2.1/32', [
      '1.2.3/32', '1.2.3.4.5/32', '1..3.4/32', '256.2.3.4/32', '1.2.3.256/32', '1.2.3.4', '1.2.3.4/',
      '1.2.3.4/0', '1.2.3.4/33', '1.2.3.4/320', '1.2.3.x/32', '.1.2.3/32', '1.2.3./32', 'x.2.3.4/32', '::1/32',
    ]],
    ['inet6', '2001:db8::1/128', [
      '1:2:3:4:5:6:7:8:9/128', '1:2:3:4:5:6:7/128', '1:2:3:4:5:6:7:8::/128', '::1:2:3:4:5:6:7:8/128', '1::2::3/128',
      ':::1/128', '1:::2/128', ':1::2/128', '1:2:3:4:5:6:7:/128', '1:2/128', '12345::/128', 'g::/128', '::1/0',
      '::1/129', '::1/1280', '::1', '::1/', '::ffff:0:0/96', '::1.2.3/128', '1.2.3.4/32',
    ]],
  ])('each kind of one in %s, seen by the quick reader or byte by byte', (family, good, items) => {
    for (const item of items) {
      const line = `bl;"m";${family};14;${[good, item, ...behind(good)].join(';')}\n`
      for (const cuts of [[], Array.from({ length: line.length }, (_, at) => at)]) {
        const [told] = decode(line, cuts)
        expect(told, item).toMatchObject({ kind: 'bad-address', item })
        expect(brief(told!)).toMatchObject({ [family === 'inet' ? 'ipv4' : 'ipv6']: [good] })
      }
    }
  }) // biome-ignore format: several to a line

  test.each([
    ['inet', ['0.0.0.0/1', '1.2.3.4/32', '10.20.30.100/9', '255.255.255.255/32', '1.02.3.4/32']],
    ['inet6', ['::/1', '::1/128', '1::/16', '1:2:3:4:5:6:7:8/128', '1:2:3:4:5:6:7::/112', '::2:3:4:5:6:7:8/128',
      '1::8/10', 'FFFF:ABCD::ef01/128', '::ffff:0:0/97', '::ffff:0:0/95', '::fffe:0:0/96', '1:0:0:0:0:ffff::/96']],
  ])('and what is one in %s is read the same by both', (family, items) => {
    const line = `bl;"m";${family};${items.length + 12};${[...items, ...behind(items[1]!)].join(';')}\n`
    const [whole] = decode(line)
    const [cut] = decode(line, Array.from({ length: line.length }, (_, at) => at))
    expect(whole).toMatchObject({ kind: 'replace' })
    expect(brief(whole!)).toEqual(brief(cut!))
  }) // biome-ignore format: several to a line

  test('IPv4 is judged first, wherever it stands, as in the original', () => {
    expect(decode('bl;"m";inet6;1;bad6/8;inet;1;bad4/8\n')[0]).toMatchObject({ item: 'bad4/8' })
  })

  test('bad structure behind it is bad structure', () => {
    expect(decode('bl;"m";inet;2;foo/8\n')[0]).toMatchObject({ kind: 'bad-structure' })
  })
})

describe('limits', () => {
  test.each([
    ['a name', 'n'.repeat(MAX_NAME_BYTES + 1), `list name longer than ${MAX_NAME_BYTES} bytes`],
    ['a message', `n;"${'m'.repeat(MAX_MESSAGE_BYTES)}"`, `message longer than ${MAX_MESSAGE_BYTES} bytes`],
  ])('%s beyond its cap is refused, the next line is read', (_name, line, reason) => {
    expect(decode(`${line};"m";inet;1;1.2.3.4/32\nb2;\n`)).toMatchObject([
      { kind: 'bad-structure', reason },
      { kind: 'clear', name: 'b2' },
    ])
  })

  test('a name and a message at their caps are taken', () => {
    const [name, message] = ['n'.repeat(MAX_NAME_BYTES), 'm'.repeat(MAX_MESSAGE_BYTES - 2)]
    expect(decode(`${name};"${message}";inet;1;1.2.3.4/32\n`)).toMatchObject([
      { kind: 'replace', name, message },
    ])
  })

  test('an item beyond its cap is a bad address, shown cut', () => {
    const item = `1.2.3.4/32${'x'.repeat(MAX_ITEM_BYTES)}`
    expect(decode(`bl;"m";inet;1;${item}\n`)).toMatchObject([
      { kind: 'bad-address', item: item.slice(0, MAX_ITEM_BYTES) },
    ])
  })

  test('more addresses than one connection may bring are refused, in any number of lines', () => {
    const line = 'bl;"m";inet;2;1.2.3.4/32;1.2.3.5/32\n'
    expect(decode(line.repeat(3), [], { maxAddresses: 5 })).toMatchObject([
      { kind: 'replace' },
      { kind: 'replace' },
      { kind: 'bad-structure', reason: 'more than 5 addresses on one connection' },
    ])
    expect(decode(line, [], { maxAddresses: 2 })).toMatchObject([{ kind: 'replace' }])
  })

  test('more lines than one connection may bring: told once, then ignored', () => {
    expect(decode('bl;\n'.repeat(50), [], { maxLines: 3 })).toMatchObject([
      { kind: 'clear' },
      { kind: 'clear' },
      { kind: 'bad-structure', reason: 'more than 2 lines on one connection; the rest is ignored' },
    ])
  })
})

describe('bytes as they arrive', () => {
  const fragment = fc.constantFrom(
    'bl',
    ';',
    ';',
    '"',
    '"',
    '\\',
    'inet',
    'inet6',
    '1',
    '2',
    '0',
    '1.2.3.4/32',
    '::1/128',
    '/',
    '\n',
    '\r',
    '\0',
    ' ',
    'é',
  )
  const input = fc.oneof(
    fc.array(fragment, { maxLength: 40 }).map((parts) => Buffer.from(parts.join(''), 'latin1')),
    fc.uint8Array({ maxLength: 200 }),
    fc.constantFrom(
      ...[
        'bl;"a;\\"b";inet;2;127.5.0.0/16;10.0.0.0/8;inet6;2;2001:db8::/32;::1/128\nb2;\n',
        'bl;"m";inet;3;1.2.3.4/32;foo/8;1.2.3.5/32\n',
      ].map((text) => Buffer.from(text)),
    ),
  )

  test('any bytes, cut anywhere, give what the whole gives', () => {
    fc.assert(
      fc.property(input, fc.array(fc.nat(), { maxLength: 6 }), (bytes, cuts) => {
        expect(decode(bytes, cuts).map(brief)).toEqual(decode(bytes).map(brief))
      }),
      { numRuns: 4_000 },
    )
  })

  test('byte by byte', () => {
    const text = 'bl;"a;\\"b";inet;2;127.5.0.0/16;10.0.0.0/8;inet6;2;2001:db8::/32;::1/128;\nb2;\nb3'
    expect(
      decode(
        text,
        Array.from({ length: text.length }, (_, at) => at),
      ).map(brief),
    ).toEqual(decode(text).map(brief))
  })

  const ipv4 = fc
    .tuple(fc.nat({ max: 0xffffffff }), fc.integer({ min: 1, max: 32 }))
    .map(([value, length]) => `${formatIpv4(value)}/${length}`)
  const ipv6 = fc
    .tuple(
      fc.array(fc.oneof(fc.constant(0), fc.nat({ max: 0xffff })), { minLength: 8, maxLength: 8 }),
      fc.integer({ min: 1, max: 128 }),
    )
    .map(([groups, length]) => `${formatIpv6(groups)}/${length}`)
  const columns = (prefix: fc.Arbitrary<string>) => fc.array(prefix, { maxLength: 30 })

  test('what was encoded is decoded', () => {
    fc.assert(
      fc.property(columns(ipv4), columns(ipv6), fc.stringMatching(/^[ -~]*$/), (four, six, message) => {
        fc.pre(four.length + six.length > 0)
        const text = (prefixes: string[]) => ({
          text: Buffer.from(prefixes.map((each) => `${each}\n`).join('')),
          count: prefixes.length,
        })
        const [line] = decode(encodeConfigLine({ name: 'bl', message, ipv4: text(four), ipv6: text(six) }))
        expect(brief(line!)).toMatchObject({
          kind: 'replace',
          entryCount: four.length + six.length,
          ipv4: four,
          ipv6: six,
        })
      }),
      { numRuns: 500 },
    )
  })

  test('a list of many addresses in small pieces', () => {
    const prefixes = Array.from({ length: 50_000 }, (_, index) => `10.${index >> 8}.${index & 255}.0/24`)
    const bytes = Buffer.from(`bl;"m";inet;${prefixes.length};${prefixes.join(';')}\n`)
    const cuts = Array.from({ length: Math.ceil(bytes.length / 1000) }, (_, index) => index * 1000)
    const [line] = decode(bytes, cuts)
    expect(line).toMatchObject({ kind: 'replace', entryCount: prefixes.length })
    if (line?.kind === 'replace') expect(prefixesOf(line.ipv4)).toEqual(prefixes)
  })
})

describe('every input of the corpus keeps the rules of test/fuzz/check-config-lines.ts', () => {
  test.each(corpusInputs('config-line'))('$name, whole and cut short anywhere', ({ bytes }) => {
    for (let end = 0; end <= bytes.length; end += 1) {
      expect(() => checkConfigLines(bytes.subarray(0, end), end >> 1)).not.toThrow()
    }
  })
})
