import { describe, expect, test } from 'vitest'
import type { ListSource } from '../../../../src/app/lists/list-source.js'
import { addDay, readHistory, shrunkFrom } from '../../../../src/app/lists/shrink-history.js'
import { findWidthRefusal, sizeOf, withoutSpecialUse } from '../../../../src/app/lists/width-guards.js'
import { createListParser, type ListSummary, MAX_WIDE_ITEMS } from '../../../../src/codec/lists/list-lines.js'
import { formatCidrs } from '../../../../src/ip/cidr-text.js'

function parse(text: string): ListSummary {
  const parser = createListParser()
  parser.push(Buffer.from(text))
  return parser.end()
}

function cidrsOf({ set }: ListSummary): string[] {
  const { ipv4, ipv6 } = formatCidrs(set)
  return Buffer.concat([ipv4.text, ipv6.text]).toString('latin1').split('\n').slice(0, -1)
}

const source: ListSource = {
  name: 'a',
  colour: 'black',
  method: 'https',
  location: 'x',
  column: undefined,
  minEntries: undefined,
  isEmptyOk: false,
  isWideOk: false,
}

async function reasonFor(text: string, previous?: string, changes: Partial<ListSource> = {}) {
  const before = previous === undefined ? undefined : parse(previous)
  const refusal = await findWidthRefusal(
    { ...source, ...changes },
    parse(text),
    before && sizeOf(before),
    async () => before,
  )
  return refusal?.reason
}

/** `count` single addresses, two apart, from an address on. */
function singles(count: number, from = 0x0b000000): string {
  return Array.from({ length: count }, (_, index) => {
    const value = from + index * 2
    return `${value >>> 24}.${(value >>> 16) & 255}.${(value >>> 8) & 255}.${value & 255}\n`
  }).join('')
}

describe('wide items', () => {
  test.each([
    ['11.0.0.0/8', undefined],
    ['12.0.0.0/7', /^line 1 is wider than \/8: "12\.0\.0\.0\/7"$/],
    ['8.240.0.0-68.247.255.255', /^line 1 is wider than \/8: "8\.240\.0\.0-68\.247\.255\.255"$/],
    ['11.0.0.0-11.255.255.255', undefined],
    ['11.0.0.0-12.0.0.0', /line 1 is wider than \/8/],
    ['11.0.0.0 12.0.0.0', /line 1 is wider than \/8/],
    ['64.0.0.0 192.0.0.0', /line 1 is wider than \/8/],
    ['::ffff:12.0.0.0/103', /line 1 is wider than \/8/],
    ['::ffff:11.0.0.0 - ::ffff:12.0.0.0', /line 1 is wider than \/8/],
    ['2a00::/19', undefined],
    ['2a00::/18', /^line 1 is wider than \/19: "2a00::\/18"$/],
    ['2a00:: - 2a00:2001::', /line 1 is wider than \/19/],
    ['2a00:: - 2a00:1fff:ffff:ffff:ffff:ffff:ffff:ffff', undefined],
    ['2000::/3', /line 1 is wider than \/19/],
    ['0.0.0.0/1', /line 1 is wider than \/8/],
    // Special-use space is cut out first.
    ['10.0.0.0/7', undefined],
    ['224.0.0.0/3', undefined],
    ['8000::/1', undefined],
    ['fc00::/7', undefined],
  ])('%s', async (line, want) => {
    const reason = await reasonFor(`${line}\n192.0.2.1\n`)
    if (want === undefined) expect(reason).toBeUndefined()
    else expect(reason).toMatch(want)
    expect(await reasonFor(`${line}\n`, undefined, { isWideOk: true })).toBeUndefined()
    expect(await reasonFor(`${line}\n`, undefined, { method: 'file' })).toBeUndefined()
    expect(await reasonFor(`${line}\n`, undefined, { method: 'exec' })).toBeUndefined()
  })

  test('the line is named, however long the list', async () => {
    expect(await reasonFor(`# x\n${singles(5_000)}10.0.0.0/8\n12.0.0.0/6\n`)).toMatch(/^line 5003 is wider/)
  })

  test('what the last good copy holds already is taken again', async () => {
    expect(await reasonFor('12.0.0.0/6\n192.0.2.1\n', '12.0.0.0/6\n')).toBeUndefined()
    expect(await reasonFor('12.0.0.0/6\n', '12.0.0.0/7\n')).toMatch(/wider/)
  })

  test('a list with more wide items than are kept is refused', async () => {
    expect(await reasonFor('240.0.0.0/5\n'.repeat(MAX_WIDE_ITEMS - 1))).toBeUndefined()
    expect(await reasonFor('240.0.0.0/5\n'.repeat(MAX_WIDE_ITEMS))).toMatch(/1024 items wider/)
  })
})

describe('the whole list', () => {
  const slash8s = (count: number) =>
    Array.from({ length: count }, (_, index) => `${20 + index}.0.0.0/8\n`).join('')

  test('at most 1/16 of IPv4', async () => {
    expect(await reasonFor(slash8s(16))).toBeUndefined()
    expect(await reasonFor(`${slash8s(16)}11.0.0.1\n`)).toBe(
      'the list covers 268435457 addresses, more than 1/16 of IPv4',
    )
    expect(await reasonFor(`${slash8s(16)}10.0.0.0/8\n224.0.0.0/3\n`)).toBeUndefined()
    expect(await reasonFor(`${slash8s(16)}11.0.0.1\n`, slash8s(2))).toBeUndefined()
  })

  test.each([
    [1_000, 10_000, false],
    [1_000, 10_001, true],
    [2_000, 19_999, false],
    [2_000, 20_000, true],
    [0, 20_000, false],
  ])('from %i to %i addresses: refused %s', async (before, now, isRefused) => {
    const reason = await reasonFor(singles(now), singles(before))
    if (isRefused) expect(reason).toBe(`the list has grown from ${before} to ${now} IPv4 addresses`)
    else expect(reason).toBeUndefined()
    expect(await reasonFor(singles(now))).toBeUndefined()
  })

  test('IPv6 grows by ranges, not by addresses', async () => {
    const networks = (count: number) =>
      Array.from({ length: count }, (_, n) => `2a00:${(n * 2).toString(16)}::/48\n`).join('')
    expect(await reasonFor('2a00::/29\n', '2a00::1\n')).toBeUndefined()
    expect(await reasonFor(networks(10_001), networks(1_000))).toBe(
      'the list has grown from 1000 to 10001 IPv6 ranges',
    )
    expect(await reasonFor(networks(10_000), networks(1_000))).toBeUndefined()
  })

  test('special-use space counts on neither side', async () => {
    expect(await reasonFor(`${singles(2_000)}10.0.0.0/8\n`, singles(2_000))).toBeUndefined()
  })

  test('a copy of an older version, without its size, is measured', async () => {
    const before = parse(singles(1_000))
    const refusal = await findWidthRefusal(source, parse(singles(11_000)), undefined, async () => before)
    expect(refusal).toBeUndefined()
  })
})

/** Shapes of public lists in 2026: all must load. */
describe('no false alarm', () => {
  const reserved =
    '0.0.0.0/8\n10.0.0.0/8\n100.64.0.0/10\n127.0.0.0/8\n169.254.0.0/16\n172.16.0.0/12\n192.0.0.0/24\n192.168.0.0/16\n198.18.0.0/15\n'
  test.each([
    [
      'FireHOL level 1',
      `# level 1\n${reserved}224.0.0.0/3\n${'1.10.16.0/20\n1.19.0.0/16\n5.134.128.0/19\n'}`,
    ],
    ['full bogons', `${reserved}192.0.2.0/24\n198.51.100.0/24\n203.0.113.0/24\n224.0.0.0/4\n240.0.0.0/4\n`],
    [
      'full bogons of IPv6',
      [
        '::/8 100::/8 200::/7 400::/6 800::/5 1000::/4 2000::/16 2001:201::/32 2601:4000::/18 2630::/12 2800:4000::/18',
        '2801:8000::/17 2804:c000::/18 2805::/16 2807::/16 2808::/13 2a13::/16 2a14::/14 2a18::/13 2c00::/13 2c08::/14',
        '2c0c::/15 2d00::/8 2e00::/7 3000::/4 4000::/2 8000::/1',
      ]
        .join(' ')
        .replaceAll(' ', '\n'),
    ],
    ['DROP for IPv6', '2a06:5280::/29 ; SBL1\n2401:1dc0::/32 ; SBL2\n'],
    ['UCEPROTECT', `:127.0.0.2:Blocked\n$SOA 1\n!127.0.0.1\n${singles(20_000)}`],
  ])('%s', async (_name, text) => {
    expect(await reasonFor(text)).toBeUndefined()
    expect(await reasonFor(text, text)).toBeUndefined()
  })

  test('but a list of unassigned space may not take what is in use', async () => {
    expect(await reasonFor('4000::/2\n8000::/1\n2600::/11\n')).toMatch(/^line 3 is wider/)
    expect(await reasonFor('4000::/2\n2c00::/13\n')).toMatch(/^line 2 is wider/)
  })
})

describe('special-use space', () => {
  const text =
    '192.0.2.1\n10.1.0.0/16\n9.255.255.255-10.0.0.1\n198.51.100.0/24\nfe80::/10\n2001:db8::/32\n224.0.0.0/3\n'

  test('is cut from downloaded black lists, with one note', () => {
    const cut = withoutSpecialUse(source, parse(text))
    expect(cidrsOf(cut)).toEqual(['9.255.255.255/32', '192.0.2.1/32', '198.51.100.0/24', '2001:db8::/32'])
    expect(cut.notes.map(({ kind, count }) => [kind, count])).toEqual([['special-use-cut', 4]])
    expect(cut.accepted).toBe(7)
  })

  test('is only told of local black lists and commands, and not of white lists', () => {
    for (const method of ['file', 'exec'] as const) {
      const kept = withoutSpecialUse({ ...source, method }, parse(text))
      expect(cidrsOf(kept)).toEqual(cidrsOf(parse(text)))
      expect(kept.notes.map(({ kind }) => kind)).toEqual(['special-use'])
    }
    expect(withoutSpecialUse({ ...source, colour: 'white' }, parse(text)).notes).toEqual([])
    expect(withoutSpecialUse(source, parse('192.0.2.1\n2001:db8::1\n')).notes).toEqual([])
  })

  test('wide items of local lists are told with their line', () => {
    const { notes } = withoutSpecialUse(
      { ...source, method: 'file' },
      parse('192.0.2.1\n8.0.0.0/5\n12.0.0.0/6\n'),
    )
    expect(notes.find(({ kind }) => kind === 'wide')).toMatchObject({ count: 2, firstLine: 2 })
  })
})

test('shrinking step by step is measured against the largest of 30 days', () => {
  const DAY = 86_400
  let history = addDay([], 0, 1_000)
  history = addDay(history, 100, 800)
  expect(history).toEqual([{ day: 0, entries: 1_000 }])
  history = addDay(history, 10 * DAY, 600)
  expect(shrunkFrom(history, 10 * DAY, 600)).toBeUndefined()
  expect(shrunkFrom(history, 10 * DAY, 500)).toBeUndefined()
  expect(shrunkFrom(history, 10 * DAY, 499)).toBe(1_000)
  for (const [day, from] of [
    [29, 1_000],
    [30, undefined],
  ] as const) {
    expect(shrunkFrom(addDay(history, day * DAY, 499), day * DAY, 499)).toBe(from)
  }
  expect(readHistory([{ day: 1, entries: 2 }, { day: 'x' }, null, 7])).toEqual([{ day: 1, entries: 2 }])
  expect(readHistory('x')).toEqual([])
})
