/** Exceptions: how they stand at a time, and what the history tells of their changes. */
import { expect, test } from 'vitest'
import {
  type AllowSource,
  allowStateOf,
  coversAddress,
  isAllowedNetwork,
  isDecided,
  KEEP_NETWORKS_SEC,
  reverseAllowEdit,
  tellAllowEdits,
} from '../../../src/domain/allow.js'

const NOW = 1_700_000_000
const source = (more: Partial<AllowSource> = {}): AllowSource => ({
  name: 'bulk.example',
  first: 1,
  expire: 0,
  checked: NOW,
  networks: ['192.0.2.0/24'],
  ...more,
})

test.each([
  ['in force', source()],
  ['in force', source({ expire: NOW + 1 })],
  ['ended', source({ expire: NOW })],
  ['ended', source({ expire: NOW - 1, networks: [] })],
  ['empty', source({ networks: [] })],
  ['in force', source({ checked: NOW - KEEP_NETWORKS_SEC + 1 })],
  ['dropped', source({ checked: NOW - KEEP_NETWORKS_SEC })],
  // A network needs no DNS.
  ['in force', source({ name: '192.0.2.0/24', checked: 0 })],
])('%s: %j', (state, given) => {
  expect(allowStateOf(given, NOW)).toBe(state)
})

test('an address is in one of the networks or in none', () => {
  const held = source({ networks: ['192.0.2.0/24', '2001:db8::/32'] })
  expect(
    ['192.0.2.255', '2001:db8::9', '192.0.3.0', '2001:db9::'].map((ip) => coversAddress(held, ip)),
  ).toEqual([true, true, false, false])
  expect(['192.0.2.0/24', 'bulk.example'].map(isAllowedNetwork)).toEqual([true, false])
})

const networks = (count: number, from = 0) =>
  Array.from({ length: count }, (_, index) => `10.0.${from + index}.0/24`)

test.each<{ name: string; before?: AllowSource; after?: AllowSource; told: string[] }>([
  { name: 'added', after: source(), told: ['bulk.example: added, 1 network'] },
  {
    name: 'added with its terms',
    after: source({ networks: networks(2), expire: NOW, comment: 'why' }),
    told: ['bulk.example: added, 2 networks until 2023-11-14T22:13Z (why)'],
  },
  { name: 'removed', before: source(), told: ['bulk.example: removed, 1 network'] },
  { name: 'removed without being there', told: [] },
  { name: 'looked up again, the same', before: source(), after: source({ checked: NOW + 9 }), told: [] },
  {
    name: 'one network more, one less',
    before: source({ networks: networks(3) }),
    after: source({ networks: networks(3, 1) }),
    told: ['bulk.example: -10.0.0.0/24 +10.0.3.0/24'],
  },
  {
    name: 'ten networks are named',
    before: source({ networks: networks(1) }),
    after: source({ networks: networks(11) }),
    told: [
      `bulk.example: ${networks(10, 1)
        .map((text) => `+${text}`)
        .join(' ')}`,
    ],
  },
  {
    name: 'and of more the number',
    before: source({ networks: networks(1) }),
    after: source({ networks: networks(14) }),
    told: [
      `bulk.example: ${networks(10, 1)
        .map((text) => `+${text}`)
        .join(' ')} and 3 networks more`,
    ],
  },
  {
    name: 'another end',
    before: source(),
    after: source({ expire: NOW }),
    told: ['bulk.example: now until 2023-11-14T22:13Z'],
  },
  { name: 'no end', before: source({ expire: NOW }), after: source(), told: ['bulk.example: now permanent'] },
  {
    name: 'another comment',
    before: source({ comment: 'a' }),
    after: source({ comment: 'b' }),
    told: ['bulk.example: now (b)'],
  },
])('$name', ({ before, after, told }) => {
  const known = new Map(before === undefined ? [] : [[before.name, before]])
  const edit =
    after === undefined
      ? ({ operation: 'remove', name: 'bulk.example' } as const)
      : ({ operation: 'put', source: after } as const)
  expect(tellAllowEdits(known, [edit], NOW).map(({ text }) => text)).toEqual(told)
  expect(known.get('bulk.example')).toBe(after)
})

test('of several edits each is told beside the one before', () => {
  const put = { operation: 'put', source: source() } as const
  const remove = { operation: 'remove', name: 'bulk.example' } as const
  expect(tellAllowEdits(new Map(), [put, put, remove, remove, put], NOW).map(({ text }) => text)).toEqual([
    'bulk.example: added, 1 network',
    'bulk.example: removed, 1 network',
    'bulk.example: added, 1 network',
  ])
})

test.each<[string, AllowSource | undefined, AllowSource | undefined]>([
  ['spamdctl allow remove bulk.example', undefined, source()],
  ['spamdctl allow add bulk.example', source(), undefined],
  ['spamdctl allow add bulk.example with its earlier terms', source(), source({ expire: NOW })],
  // Networks that were found anew at the same time do not hide the decision.
  [
    'spamdctl allow add bulk.example with its earlier terms',
    source(),
    source({ comment: 'b', networks: networks(2) }),
  ],
  // A comment that reads like a decision is none.
  ['spamdctl allow sync', source({ comment: 'now ' }), source({ comment: 'now ', networks: networks(2) })],
])('%s reverses an edit', (command, before, after) => {
  const known = new Map(before === undefined ? [] : [[before.name, before]])
  const edit =
    after === undefined
      ? ({ operation: 'remove', name: 'bulk.example' } as const)
      : ({ operation: 'put', source: after } as const)
  expect(tellAllowEdits(known, [edit], NOW).map(({ decision }) => reverseAllowEdit(decision))).toEqual([
    command,
  ])
})

test('what was removed when its time was over was decided by nobody', () => {
  const decisionOf = (expire: number) =>
    tellAllowEdits(
      new Map([['bulk.example', source({ expire })]]),
      [{ operation: 'remove', name: 'bulk.example' }],
      NOW,
    )[0]!.decision
  expect(decisionOf(NOW)).toEqual({ what: 'ended', name: 'bulk.example' })
  expect(decisionOf(NOW + 1)).toEqual({ what: 'removed', name: 'bulk.example' })
  expect([decisionOf(NOW), decisionOf(NOW + 1), undefined].map(isDecided)).toEqual([false, true, false])
  expect(reverseAllowEdit(decisionOf(NOW))).toBe('spamdctl allow add bulk.example')
})
