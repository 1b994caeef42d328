/** Requests in one transaction give what they give one by one, also where an earlier one changes what a later one needs. */
import { expect, test } from 'vitest'
import type { GreyPolicy, TupleAttempt } from '../../../src/db/store.js'
import type { MergeRecord } from '../../../src/domain/decide-merge.js'
import type { PoolEntry } from '../../../src/domain/entry.js'
import { attemptOf, entriesOf, NOW, POLICY, Scratch } from '../../support/scratch-database.js'

const scratch = new Scratch()
const IP = '192.0.2.1'
const LIMITED: GreyPolicy = { ...POLICY, maxTuplesPerAddress: 2 }
const OVER = NOW + POLICY.greyExpireSec

/** An attempt by one of several HELOs. */
function by(helo: string, changes: Partial<TupleAttempt> = {}): TupleAttempt {
  const attempt = attemptOf(IP, changes)
  return { ...attempt, tuple: { ...attempt.tuple, helo } }
}

/** A store with tuples of one address that began one after the other. */
async function withTuples(helos: readonly string[], start: number) {
  const store = await scratch.store()
  for (const [index, helo] of helos.entries()) {
    await store.recordAttempts([by(helo)], LIMITED, start + 100 * index)
  }
  const helosLeft = async (): Promise<string[]> =>
    (await entriesOf(store, { kinds: ['GREY'] })).flatMap((entry) =>
      entry.kind === 'GREY' ? entry.helo : [],
    )
  return { store, helosLeft }
}

test('a key of a pool that starts again takes the place of its own tuple', async () => {
  const store = await scratch.store()
  const of = (ip: string, from: string): TupleAttempt => {
    const key = { kind: 'network', network: '192.0.2.0/24' } as const
    const attempt = attemptOf(ip, { pools: [{ key, mayOpen: true }] })
    return { ...attempt, tuple: { ...attempt.tuple, from } }
  }
  await store.recordAttempts([of('192.0.2.1', '<a@b>'), of('192.0.2.2', '<b@b>')], LIMITED, NOW)
  const batch = [of('192.0.2.3', '<a@b>'), of('192.0.2.4', '<c@b>')]
  const { outcomes } = await store.recordAttempts(batch, LIMITED, OVER)
  expect(outcomes.map(({ evictedCount }) => evictedCount)).toEqual([0, 1])
})

test('where a tuple starts again, the next oldest makes room', async () => {
  const { store, helosLeft } = await withTuples(['mx1', 'mx2'], NOW)
  await store.recordAttempts([by('mx1'), by('mx3')], LIMITED, OVER)
  expect(await helosLeft()).toEqual(['mx1', 'mx3'])
})

test('a tuple that starts again by a clock that went back is the oldest', async () => {
  const { store, helosLeft } = await withTuples(['mx1', 'mx2'], NOW)
  await store.recordAttempts([by('mx2'), by('mx3')], LIMITED, NOW - 5000)
  expect(await helosLeft()).toEqual(['mx1', 'mx3'])
})

test('the oldest tuple of an address is not the one that was just deleted', async () => {
  const { store, helosLeft } = await withTuples(['mx1', 'mx2'], NOW)
  const deleted = await store.edit(
    [
      { operation: 'delete', key: { kind: 'tuple', ...by('mx1').tuple } },
      { operation: 'delete-tuples', ip: IP, all: false },
    ],
    NOW + 200,
  )
  expect(deleted.outcomes).toEqual(['deleted', 'deleted'])
  expect(await helosLeft()).toEqual([])
})

const pool = (ip: string, changes: Partial<PoolEntry> = {}): PoolEntry => ({
  kind: 'POOL',
  ip,
  pool: 'spf:example.org',
  first: NOW - 100,
  pass: NOW,
  expire: NOW + 900,
  bcount: 2,
  pcount: 0,
  ...changes,
})

test('a network opens with the record that releases the trap in it', async () => {
  const store = await scratch.store()
  await store.edit([{ operation: 'add', kind: 'TRAPPED', ip: IP }], NOW - 50)
  const stamp = { time: (NOW - 10) * 1000, counter: 0, node: 99 }
  const white = { grant: stamp, stamp, first: NOW - 10, pass: NOW - 10, expire: NOW + 900 }
  const records: MergeRecord[] = [
    { kind: 'host', ip: IP, registers: { reset: stamp, white, bcount: 1, pcount: 0 } },
    { kind: 'pool', network: '192.0.2.0/24', reset: undefined, entry: pool('192.0.2.0/24') },
  ]
  const { outcomes } = await store.merge(records, { policy: POLICY }, NOW)
  expect(outcomes).toEqual(['applied', 'applied'])
  const [entry] = await entriesOf(store, { kinds: ['POOL'] })
  expect(entry).toEqual(pool('192.0.2.0/24'))
  // One that nothing releases keeps its network closed.
  await store.edit([{ operation: 'add', kind: 'TRAPPED', ip: '198.51.100.1' }], NOW)
  const other = { network: '198.51.100.0/24', reset: undefined, entry: pool('198.51.100.0/24') }
  const closed = await store.merge([{ kind: 'pool', ...other }], { policy: POLICY }, NOW)
  expect(closed.outcomes).toEqual(['unchanged'])
})

test('a domain opens no further address for the time of a network that a trap just closed', async () => {
  const store = await scratch.store()
  await store.upsert([pool('192.0.2.1/32')], { ifMissing: false })
  const spfPass = { domain: 'example.org', isOfDomain: true }
  const findings = [
    { attempt: attemptOf('192.0.2.1'), isSpfFail: true },
    { attempt: attemptOf('192.0.2.2'), spfPass },
  ]
  const { outcomes } = await store.recordFindings(findings, POLICY, NOW)
  expect(outcomes).toMatchObject([
    { result: 'trapped-spf', closed: ['192.0.2.1/32'] },
    { result: 'repeated' },
  ])
  expect(outcomes[1]).not.toHaveProperty('opened')
  // One that is open beside it lasts, and the next is opened as long.
  await store.upsert([pool('192.0.2.3/32'), pool('192.0.2.4/32', { expire: NOW + 500 })], {
    ifMissing: false,
  })
  const next = [
    { attempt: attemptOf('192.0.2.3'), isSpfFail: true },
    { attempt: attemptOf('192.0.2.5'), spfPass },
  ]
  const opened = await store.recordFindings(next, POLICY, NOW)
  expect(opened.outcomes).toMatchObject([{ closed: ['192.0.2.3/32'] }, { opened: ['192.0.2.5/32'] }])
  const entries = await entriesOf(store, { kinds: ['POOL'] })
  expect(entries.find((entry) => entry.kind === 'POOL' && entry.ip === '192.0.2.5/32')).toMatchObject({
    expire: NOW + 500,
  })
})

test('learn-only mode opens nothing again that is open, when the first attempt and the retry come together', async () => {
  const store = await scratch.store()
  const learning = { ...POLICY, isLearning: true }
  await store.recordAttempts([by('mx1')], learning, NOW)
  const first = await store.recordAttempts([by('mx1')], learning, NOW + 1)
  expect(first.outcomes).toMatchObject([{ opened: ['192.0.2.1/32'] }])
  const open = await entriesOf(store, { kinds: ['POOL'] })
  const second = await store.recordAttempts([by('mx2'), by('mx2')], learning, NOW + 10)
  expect(second.outcomes.map(({ opened }) => opened)).toEqual([undefined, undefined])
  expect(await entriesOf(store, { kinds: ['POOL'] })).toEqual(open)
})
