/** Floods against the limits of tuples: who takes most loses first, and who waits keeps what he has. */
import { describe, expect, test, vi } from 'vitest'
import type { Store, TupleAttempt } from '../../../src/db/store.js'
import { TupleTable } from '../../../src/db/tables/tuple-table.js'
import { attemptOf, NOW, POLICY, Scratch } from '../../support/scratch-database.js'

const scratch = new Scratch()
const MAX_TUPLES = 2000
const policy = { ...POLICY, maxTuplesPerAddress: 100, maxTuples: MAX_TUPLES }

/** Attempts of senders of their own, each from another network. */
const legitimate = (count: number): TupleAttempt[] =>
  Array.from({ length: count }, (_, n) =>
    attemptOf(n % 2 === 0 ? `198.51.${n >> 1}.25` : `2001:db8:${n.toString(16)}::25`),
  )

/** `perNetwork` attempts from each network, every one with a sender of its own. */
function* flood(networks: readonly ((n: number) => string)[], perNetwork: number): Generator<TupleAttempt> {
  for (let n = 0; n < perNetwork; n += 1) {
    for (const addressOf of networks) {
      const attempt = attemptOf(addressOf(n))
      yield { ...attempt, tuple: { ...attempt.tuple, from: `<flood${n}@example.com>` } }
    }
  }
}

async function pour(store: Store, attempts: Iterable<TupleAttempt>, now: number): Promise<void> {
  let batch: TupleAttempt[] = []
  const write = async (): Promise<void> => {
    await store.recordAttempts(batch, policy, now)
    batch = []
  }
  for (const attempt of attempts) {
    batch.push(attempt)
    if (batch.length === 500) await write()
  }
  await write()
}

async function missingOf(store: Store, attempts: readonly TupleAttempt[]): Promise<number> {
  let missing = 0
  for (const { tuple } of attempts) {
    if ((await store.get({ ...tuple, kind: 'tuple' })) === undefined) missing += 1
  }
  return missing
}

describe('a flood of tuples', () => {
  test('ten times the limit from 100 networks of both families pushes out no other tuple', async () => {
    const store = await scratch.store({ durability: 'normal' })
    const good = legitimate(300)
    await store.recordAttempts(good, policy, NOW)
    const networks = Array.from({ length: 100 }, (_, k) => (n: number): string => {
      if (k % 3 === 0) return `2001:db8:0:${k}::${(n + 1).toString(16)}`
      // A network whose groups are left out of the text, or of addresses that fill all eight.
      if (k % 3 === 1) return k % 2 === 1 ? `2001:db8:ff${k}::${n + 1}` : `2001:db8:aa${k}:0:1:2:3:${n + 1}`
      return `203.${k}.113.${n % 250}`
    })
    await pour(store, flood(networks, (10 * MAX_TUPLES) / 100), NOW + 1)
    expect(await missingOf(store, good)).toBe(0)
    expect(await store.count()).toMatchObject({ GREY: MAX_TUPLES })
    expect((await store.check()).problems).toEqual([])
  })

  test('60 addresses of one /64 with 100 recipients each push out no other tuple', async () => {
    const store = await scratch.store({ durability: 'normal' })
    const good = legitimate(300)
    await store.recordAttempts(good, policy, NOW)
    const addresses = Array.from({ length: 60 }, (_, k) => (): string => `2001:db8:1:1::${k + 1}`)
    await pour(store, flood(addresses, 100), NOW + 1)
    expect(await missingOf(store, good)).toBe(0)
  })

  test('within the source that loses, tuples that have come back go last', async () => {
    const store = await scratch.store({ durability: 'normal' })
    const neighbours = Array.from({ length: 20 }, (_, n) => attemptOf(`203.0.113.${n + 1}`))
    await store.recordAttempts(neighbours, policy, NOW)
    await store.recordAttempts(neighbours, policy, NOW + 60)
    const addresses = Array.from({ length: 60 }, (_, k) => (): string => `203.0.113.${k + 100}`)
    await pour(store, flood(addresses, 90), NOW + 61)
    expect(await missingOf(store, neighbours)).toBe(0)
    expect(await store.count()).toMatchObject({ GREY: MAX_TUPLES })
  })

  test('long texts meet the limit of bytes before that of the count', async () => {
    const store = await scratch.store({ durability: 'normal' })
    const good = legitimate(50)
    const bytes = { ...policy, maxTupleBytes: 400_000 }
    await store.recordAttempts(good, bytes, NOW)
    for (let n = 0; n < 40; n += 1) {
      const batch = Array.from({ length: 25 }, (_, k) => {
        const attempt = attemptOf(`203.0.113.${n}`)
        return { ...attempt, tuple: { ...attempt.tuple, helo: `${k}${'h'.repeat(1000)}` } }
      })
      await store.recordAttempts(batch, bytes, NOW + n)
    }
    expect(await missingOf(store, good)).toBe(0)
    const { GREY } = await store.count()
    expect(GREY).toBeGreaterThan(300)
    expect(GREY).toBeLessThan(450)
    expect((await store.check()).problems).toEqual([])
  })
})

test('long texts of many, of whom nobody stands out, cost no more tuples than are too many', async () => {
  const store = await scratch.store({ durability: 'normal' })
  const long = Array.from({ length: 300 }, (_, n) => {
    const attempt = attemptOf(`10.${n >> 8}.${n & 255}.1`)
    return { ...attempt, tuple: { ...attempt.tuple, helo: `${n}${'h'.repeat(800)}` } }
  })
  const bytes = { ...policy, maxTupleBytes: 200_000 }
  for (const [n, attempt] of long.entries()) await store.recordAttempts([attempt], bytes, NOW + n)
  const { GREY } = await store.count()
  expect(GREY).toBeGreaterThan(220)
  expect(GREY).toBeLessThan(245)
  expect(await missingOf(store, long.slice(-1))).toBe(0)
  expect((await store.check()).problems).toEqual([])
})

test('the oldest of a batch of long texts, of whom nobody stands out, are searched for once', async () => {
  const store = await scratch.store({ durability: 'normal' })
  const longFrom = (net: number, count: number) =>
    Array.from({ length: count }, (_, n) => {
      const attempt = attemptOf(`${net}.${n >> 8}.${n & 255}.1`)
      return { ...attempt, tuple: { ...attempt.tuple, helo: `${n}${'h'.repeat(800)}` } }
    })
  const bytes = { ...policy, maxTupleBytes: 330_000 }
  await store.recordAttempts(longFrom(10, 400), bytes, NOW)
  const searches = vi.spyOn(TupleTable.prototype, 'oldInStretch')
  const { outcomes } = await store.recordAttempts(longFrom(11, 100), bytes, NOW + 1)
  expect(outcomes.reduce((sum, { evictedCount }) => sum + evictedCount, 0)).toBeGreaterThan(90)
  expect(searches.mock.calls.length).toBeLessThan(5)
  searches.mockRestore()
})

// A server takes them by the index of their ends.
test('where nobody stands out, the oldest go, but for those that have come back, wherever they stand', async () => {
  const store = await scratch.store({ durability: 'normal' })
  const entryOf = (net: number, n: number, first: number, bcount: number) => ({
    ...{
      kind: 'GREY' as const,
      ip: `${net}.${n >> 8}.${n & 255}.1`,
      helo: 'h',
      from: '<a@b>',
      to: '<c@d>',
    },
    ...{ first, pass: first + 14_400, expire: first + 14_400, bcount, pcount: 0 },
  })
  const numbers = Array.from({ length: 4800 }, (_, n) => n)
  // A search looks at 4096 keys at a time: at first it finds nothing old that did not come back.
  const returned = numbers.slice(0, 100).map((n) => entryOf(10, n, NOW, 2))
  const others = numbers.slice(0, 100).map((n) => entryOf(99, n, NOW + 3600, 1))
  const young = numbers.map((n) => entryOf(20, n, NOW + 10 ** 5, 1))
  await store.upsertAll([[...returned, ...others, ...young]], { ifMissing: false, now: NOW })
  const fresh = Array.from({ length: 30 }, (_, n) => attemptOf(`30.0.${n}.1`))
  const limits = { ...policy, maxTuples: 5000 }
  const { outcomes } = await store.recordAttempts(fresh, limits, NOW + 2 * 10 ** 5)
  expect(outcomes.reduce((sum, { evictedCount }) => sum + evictedCount, 0)).toBe(30)
  const missing = async (entries: readonly ReturnType<typeof entryOf>[]): Promise<number> =>
    missingOf(
      store,
      entries.map((tuple) => ({ ...attemptOf(tuple.ip), tuple })),
    )
  expect([await missing(returned), await missing(others), await missingOf(store, fresh)]).toEqual([0, 30, 0])
})

test('keys of pools that all stand behind 4096 tuples of addresses keep within the limit', async () => {
  const store = await scratch.store({ durability: 'normal' })
  const times = { first: NOW, pass: NOW + 14_400, expire: NOW + 14_400, bcount: 1, pcount: 0 }
  const texts = { from: '<a@example.com>', to: '<b@example.org>' }
  const numbers = Array.from({ length: 4096 }, (_, n) => n)
  const waiting = numbers.map((n) => ({
    ...{ kind: 'GREY' as const, ip: `10.${n >> 8}.${n & 255}.1`, helo: 'mail.example.com' },
    ...{ ...texts, ...times },
  }))
  const pools = numbers.map((n) => ({
    ...{ kind: 'GREY' as const, ip: `spf:d${n}.example.com`, helo: '' },
    ...{ ...texts, ...times },
  }))
  await store.upsert([...waiting, ...pools], { ifMissing: false, now: NOW })
  const attempt = { ...attemptOf('10.0.0.1'), mayPromote: false }
  const finding = { attempt, spfPass: { domain: 'new.example.com', isOfDomain: false } }
  const { outcomes } = await store.recordFindings([finding], { ...policy, maxTuples: 4096 }, NOW + 10)
  expect(outcomes.map(({ evictedCount }) => evictedCount)).toEqual([1])
  expect((await store.count()).GREY).toBe(8192)
})
