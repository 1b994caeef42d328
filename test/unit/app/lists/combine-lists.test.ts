import { expect, test } from 'vitest'
import { combineLists, type ListPart } from '../../../../src/app/lists/combine-lists.js'
import { countChange } from '../../../../src/app/lists/count-change.js'
import { describeAge } from '../../../../src/app/lists/describe-failure.js'
import { findRefusal } from '../../../../src/app/lists/list-guards.js'
import { createListParser, type ListSummary } from '../../../../src/codec/lists/list-lines.js'
import { formatCidrs } from '../../../../src/ip/cidr-text.js'
import { EMPTY_SET, type IpRangeSet } from '../../../../src/ip/ip-range-set.js'

function parse(text: string): ListSummary {
  const parser = createListParser()
  parser.push(Buffer.from(text))
  return parser.end()
}

function part(name: string, colour: ListPart['colour'], text: string | undefined): ListPart {
  const summary = text === undefined ? undefined : parse(text)
  return {
    name,
    colour,
    set: summary?.set,
    entries: summary?.accepted,
    isUnsendable: false,
    isDownloaded: false,
    isNever: false,
    isException: colour !== 'black',
  }
}

function textOf(set: IpRangeSet | undefined): string | undefined {
  return set && Buffer.from(formatCidrs(set).ipv4.text).toString().trim().replaceAll('\n', ' ')
}

const cases: { name: string; parts: ListPart[]; want: [string, string | undefined, string[]][] }[] = [
  {
    name: 'a white list takes out of the black list in front of it only',
    parts: [
      part('a', 'black', '10.0.0.0/30\n'),
      part('w', 'white', '10.0.0.0/31\n'),
      part('b', 'black', '10.0.0.0/31\n'),
    ],
    want: [
      ['a', '10.0.0.2/31', []],
      ['b', '10.0.0.0/31', []],
    ],
  },
  {
    name: 'white lists in front of any black list apply to nothing',
    parts: [part('w', 'white', '10.0.0.0/8\n'), part('a', 'black', '10.0.0.0/30\n')],
    want: [['a', '10.0.0.0/30', []]],
  },
  {
    name: 'a failed white list holds its black list and no other',
    parts: [
      part('a', 'black', '10.0.0.0/30\n'),
      part('w', 'white', undefined),
      part('b', 'black', '10.0.0.1\n'),
    ],
    want: [
      ['a', undefined, ['w']],
      ['b', '10.0.0.1/32', []],
    ],
  },
  {
    name: 'white lists behind a failed black list go with it, not to the one before',
    parts: [
      part('a', 'black', '10.0.0.0/30\n'),
      part('b', 'black', undefined),
      part('w', 'white', '10.0.0.0/30\n'),
    ],
    want: [
      ['a', '10.0.0.0/30', []],
      ['b', undefined, ['b']],
    ],
  },
  {
    name: 'a record that cannot be read may have been a white list',
    parts: [part('a', 'black', '10.0.0.0/30\n'), part('x', 'unknown', undefined)],
    want: [['a', undefined, ['x']]],
  },
  {
    name: 'a black list without a message cannot be sent',
    parts: [{ ...part('a', 'black', '10.0.0.0/30\n'), isUnsendable: true }],
    want: [['a', undefined, ['a']]],
  },
]
test.each(cases)('$name', ({ parts, want }) => {
  expect(
    combineLists(parts, { set: EMPTY_SET, failed: [] }).map(({ name, set, heldBy }) => [
      name,
      textOf(set),
      heldBy,
    ]),
  ).toEqual(want)
})

test('changes are counted in networks', () => {
  const before = parse('192.0.2.1\n192.0.2.3\n198.51.100.0/24\n').set
  const after = parse('192.0.2.3\n198.51.100.0/25\n203.0.113.7\n2001:db8::/32\n').set
  expect(countChange(before, after)).toEqual({ added: 2, removed: 2, unchanged: 2 })
})

test.each([
  [0, 'under 1 min'],
  [59, 'under 1 min'],
  [60, '1 min'],
  [3_599, '59 min'],
  [7_260, '2 h 1 min'],
  [86_400, '1 d'],
  [183_600, '2 d 3 h'],
])('an age of %i s is %s', (ageSec, want) => {
  expect(describeAge(ageSec)).toBe(want)
})

test.each([
  { entries: 50, previous: 100, want: undefined },
  { entries: 49, previous: 100, want: /shrunk from 100 to 49/ },
  { entries: 49, previous: undefined, want: undefined },
  { entries: 0, previous: undefined, want: /no entry/ },
])('guard: $entries entries after $previous', ({ entries, previous, want }) => {
  const source = {
    name: 'a',
    colour: 'black',
    method: 'https',
    location: 'x',
    column: undefined,
    minEntries: undefined,
    isEmptyOk: false,
    isWideOk: false,
  } as const
  const summary = parse('192.0.2.1\n'.repeat(entries))
  const reason = findRefusal(source, summary, previous, { canShrink: false })?.reason
  if (want === undefined) expect(reason).toBeUndefined()
  else expect(reason).toMatch(want)
  expect(findRefusal({ ...source, method: 'file' }, summary, previous, { canShrink: false })).toBeUndefined()
  expect(findRefusal({ ...source, isEmptyOk: true }, summary, previous, { canShrink: false })).toBeUndefined()
})
