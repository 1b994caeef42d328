import { expect, test } from 'vitest'
import type { Change, ChangeRule } from '../../../src/domain/change.js'
import { ChangeCounter, MAX_DELAY_MINUTES } from '../../../src/domain/hourly-counts.js'

const NOW = 1_700_000_000
const MINUTE = 60

function counted(...changes: object[]): Record<string, number> {
  const counter = new ChangeCounter()
  counter.add(changes as Change[], NOW)
  return Object.fromEntries(counter.counts)
}

/** A change of a tuple that began `firstAgo` seconds ago and was tried last `lastAgo` seconds ago. */
function tuple(
  rule: ChangeRule,
  firstAgo: number | undefined,
  more: { lastAgo?: number; after?: object } = {},
) {
  const { lastAgo = firstAgo ?? 0, after } = more
  const before =
    firstAgo === undefined
      ? { entry: undefined, marks: undefined }
      : { entry: { first: NOW - firstAgo }, marks: { last: NOW - lastAgo } }
  return {
    key: { kind: 'tuple', ip: '192.0.2.1', helo: 'h', from: 'f', to: 't' },
    before,
    after: { entry: after },
    stamp: { time: NOW * 1000, counter: 0, node: 1 },
    cause: { rule },
  }
}

const other = (kind: string, rule: ChangeRule, before?: object, after?: object) => ({
  key: { kind, ip: '192.0.2.1' },
  before: { entry: before },
  after: { entry: after },
  cause: { rule },
})

test('a tuple that begins, and one that begins again after its time, are new', () => {
  expect(counted(tuple('attempt', undefined, { after: { first: NOW } }))).toEqual({ 'new ': 1 })
  expect(counted(tuple('attempt', 9999, { after: { first: NOW } }))).toEqual({ 'new ': 1 })
})

test('a retry counts for the passtimes that it is the first to have waited for', () => {
  const same = (firstAgo: number, lastAgo: number) =>
    counted(tuple('attempt', firstAgo, { lastAgo, after: { first: NOW - firstAgo } }))
  expect(same(59, 59)).toEqual({})
  expect(same(60, 60)).toEqual({ 'reach 1': 1, 'reach-seconds 1': 60 })
  // Tried after one minute already, now after three.
  expect(same(3 * MINUTE, 2 * MINUTE)).toEqual({
    'reach 2': 1,
    'reach-seconds 2': 180,
    'reach 3': 1,
    'reach-seconds 3': 180,
  })
  // The try before came a second too early for three minutes, or just in time.
  expect(same(5 * MINUTE, 2 * MINUTE + 1)).toMatchObject({ 'reach 3': 1, 'reach-seconds 3': 300 })
  expect(same(5 * MINUTE, 2 * MINUTE)).not.toHaveProperty('reach 3')
  expect(same(3 * MINUTE, 0)).toEqual({})
})

test('a tuple that passes counts with its delay in whole minutes, rounded up and bounded', () => {
  const passed = (firstAgo: number) => counted(tuple('promotion', firstAgo))
  expect(passed(25 * MINUTE)).toMatchObject({ 'passed ': 1, 'delay 25': 1, 'reach 25': 1 })
  expect(passed(25 * MINUTE + 1)).toMatchObject({ 'delay 26': 1 })
  expect(passed(86_400)).toMatchObject({ [`delay ${MAX_DELAY_MINUTES}`]: 1 })
  expect(counted(tuple('promotion', undefined))).toEqual({})
})

test('a tuple that ends by time counts as lost, and for the passtimes that it had waited for', () => {
  const lost = (firstAgo: number, lastAgo: number) => counted(tuple('expiry', firstAgo, { lastAgo }))
  expect(lost(14_400, 14_400)).toEqual({ 'lost once': 1 })
  expect(lost(14_400, 14_399)).toEqual({ 'lost retried': 1 })
  expect(lost(14_400, 14_400 - 2 * MINUTE)).toEqual({
    'lost retried': 1,
    'lost-reach 1': 1,
    'lost-reach 2': 1,
  })
  expect(lost(14_400, 14_400 - 2 * MINUTE + 1)).toEqual({ 'lost retried': 1, 'lost-reach 1': 1 })
  // It only got another time: it is there still.
  expect(counted(tuple('expiry', 14_400, { after: { first: NOW - 14_400 } }))).toEqual({})
})

test.each<[ChangeRule, string]>([
  ['limit', 'evicted '],
  ['manual', 'by-hand manual'],
  ['import', 'by-hand import'],
  ['undo', 'by-hand undo'],
])('a tuple that goes by %s counts as %s', (rule, name) => {
  expect(counted(tuple(rule, 100))).toEqual({ [name]: 1 })
})

test.each<[string, object, Record<string, number>]>([
  [
    'an address is trapped',
    other('host', 'trap', { kind: 'WHITE' }, { kind: 'TRAPPED' }),
    { 'trapped trap': 1 },
  ],
  ['a forged sender', other('host', 'spf-fail', undefined, { kind: 'TRAPPED' }), { 'trapped spf-fail': 1 }],
  ['a trapped address is trapped again', other('host', 'trap', { kind: 'TRAPPED' }, { kind: 'TRAPPED' }), {}],
  ['the time of an address', other('host', 'expiry', { kind: 'WHITE' }), { 'expired WHITE': 1 }],
  ['the time of a network', other('pool', 'expiry', { kind: 'POOL' }), {}],
  ['an address is seen first', other('host', 'sighting', undefined, { kind: 'WHITE' }), { 'sighted ': 1 }],
  ['an address is seen again', other('host', 'sighting', { kind: 'WHITE' }, { kind: 'WHITE' }), {}],
  ['a block list takes an address', other('host', 'block-list', { kind: 'WHITE' }), { 'blocked ': 1 }],
  ['by hand', other('host', 'manual', undefined, { kind: 'WHITE' }), { 'by-hand manual': 1 }],
  [
    'a network opens',
    other('pool', 'pool', undefined, { kind: 'POOL', pool: 'spf:example.org' }),
    { 'pool spf': 1 },
  ],
  ['a network stays open', other('pool', 'pool', { kind: 'POOL' }, { kind: 'POOL', pool: 'learn' }), {}],
  ['a peer tells of it', other('host', 'peer', undefined, { kind: 'WHITE' }), {}],
])('%s', (_, change, want) => {
  expect(counted(change)).toEqual(want)
})

test('what counts for the key of a pool counts with its own tuple only', () => {
  const key = { kind: 'tuple', ip: '192.0.2.0/24', helo: '', from: 'f', to: 't' }
  expect(counted({ ...tuple('attempt', undefined, { after: { first: NOW } }), key })).toEqual({})
})

test('changes add up', () => {
  const change = tuple('attempt', undefined, { after: { first: NOW } })
  expect(counted(change, change, tuple('limit', 5))).toEqual({ 'new ': 2, 'evicted ': 1 })
})

test.each([1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60])(
  'a passtime of %i minutes is compared: the first try behind it reaches it, none before',
  (minutes) => {
    const firstAgo = minutes * MINUTE
    const reached = (ago: number) =>
      counted(tuple('attempt', ago, { lastAgo: ago, after: { first: NOW - ago } }))
    expect(reached(firstAgo)).toMatchObject({
      [`reach ${minutes}`]: 1,
      [`reach-seconds ${minutes}`]: firstAgo,
    })
    expect(reached(firstAgo - 1)).not.toHaveProperty([`reach ${minutes}`])
  },
)

test('and no other passtime is', () => {
  const counts = counted(
    tuple('attempt', 9_999_999, { lastAgo: 9_999_999, after: { first: NOW - 9_999_999 } }),
  )
  const names = Object.keys(counts).filter((name) => name.startsWith('reach '))
  expect(names).toHaveLength(16)
})
