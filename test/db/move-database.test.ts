/** Moving a database to a server and back. */
import { afterAll, describe, expect, test } from 'vitest'
import { moveDatabase } from '../../src/app/database/move-database.js'
import type { Store } from '../../src/db/store.js'
import type { MergeRecord } from '../../src/domain/decide-merge.js'
import { PostgresServer } from '../support/postgres-server.js'
import { attemptOf, listingOf, NOW, POLICY, Scratch } from '../support/scratch-database.js'

const server = await PostgresServer.start()
afterAll(() => server.remove())
const scratch = new Scratch()

async function filled(): Promise<Store> {
  const store = await scratch.store({ durability: 'normal' })
  const ips = Array.from({ length: 300 }, (_, n) => `10.0.${n >> 7}.${n & 127}`)
  await store.recordAttempts(
    ips.map((ip) => attemptOf(ip)),
    POLICY,
    NOW,
  )
  await store.recordAttempts(
    ips.slice(0, 100).map((ip) => attemptOf(ip)),
    POLICY,
    NOW + 2000,
  )
  await store.edit(
    [
      { operation: 'add', kind: 'WHITE', ip: '192.0.2.1', options: { expire: 0, comment: 'é' } },
      { operation: 'add', kind: 'TRAPPED', ip: '2001:db8::1' },
      { operation: 'add', kind: 'SPAMTRAP', address: 'tr\xe4p@example.net', options: { comment: 'why' } },
      { operation: 'delete', key: { kind: 'host', ip: '10.0.0.3' } },
    ],
    NOW + 2001,
  )
  await store.upsert(
    [{ kind: 'WHITE', ip: '198.51.100.1', first: 5, pass: 6, expire: 7, bcount: 1, pcount: 1 }],
    { ifMissing: false, now: NOW },
  )
  return store
}

async function recordsOf(store: Store): Promise<MergeRecord[]> {
  const all: MergeRecord[] = []
  let cursor: string | undefined
  do {
    const { records, next } = await store.listRecords(cursor, 5000)
    all.push(...records)
    cursor = next
  } while (cursor !== undefined)
  return all
}

describe('move-db', () => {
  test('to a server and back lists the same bytes, and deletions last', async () => {
    const file = await filled()
    const shared = await scratch.open(await server.createDatabase())
    const back = await scratch.store({ durability: 'normal' })
    const there = await moveDatabase(file, shared, NOW + 3000)
    expect(there).toMatchObject({ addresses: 101, tuples: 200, spamtraps: 1 })
    const again = await moveDatabase(shared, back, NOW + 3000)
    expect(again.digest).toBe(there.digest)
    const listing = (await listingOf(file)).replace(/^WHITE\|198\.51\.100\.1\|.*\n/m, '')
    expect(await listingOf(shared)).toBe(listing)
    expect(await listingOf(back)).toBe(listing)
    expect((await shared.check()).problems).toEqual([])
    // The address was deleted: a tuple of before does not bring it back.
    const { outcomes } = await shared.recordAttempts([attemptOf('10.0.0.3')], POLICY, NOW + 3001)
    expect(outcomes[0]!.result).toBe('new')
  })

  test('takes quotes, backslashes and braces as they are, and writes no history of it', async () => {
    const file = await scratch.store()
    const comment = '{"a\\",NULL}'
    const tuple = { helo: 'a"b\\', from: '<"q\\"w"@example.org>', to: '<{NULL}@example.net>' }
    const attempt = attemptOf('10.0.0.9')
    await file.recordAttempts([{ ...attempt, tuple: { ...attempt.tuple, ...tuple } }], POLICY, NOW)
    await file.edit([{ operation: 'add', kind: 'WHITE', ip: '192.0.2.9', options: { comment } }], NOW)
    const shared = await scratch.open(await server.createDatabase())
    const back = await scratch.store()
    expect(await moveDatabase(file, shared, NOW)).toMatchObject({ addresses: 1, tuples: 1 })
    await moveDatabase(shared, back, NOW)
    for (const store of [shared, back]) {
      expect(await listingOf(store)).toBe(await listingOf(file))
      expect((await store.readRecords([{ kind: 'host', ip: '192.0.2.9' }]))[0]).toMatchObject({
        registers: { hand: { comment } },
      })
      expect(await store.newestHistory()).toBe(0)
    }
  })

  test('what somebody stored meanwhile under a key that moves is merged with it, not an error', async () => {
    const file = await filled()
    const release = { kind: 'RELEASE', id: 'abc', from: 'example.org', scope: 'address', used: 0 } as const
    await file.editReleases(
      [{ operation: 'make', release: { ...release, first: NOW, expire: NOW + 9999 } }],
      NOW,
    )
    const ours = await recordsOf(file)
    expect(new Set(ours.map(({ kind }) => kind))).toEqual(new Set(['host', 'spamtrap', 'release', 'tuple']))
    const [shared, other] = [await scratch.open(await server.createDatabase()), await scratch.store()]
    for (const store of [shared, other]) {
      await store.edit([{ operation: 'add', kind: 'TRAPPED', ip: '192.0.2.1' }], NOW + 2500)
      // Deleted later than it was let in: only a mark is on record, and it has to win.
      await store.edit([{ operation: 'add', kind: 'WHITE', ip: '10.0.0.7' }], NOW + 2500)
      await store.edit([{ operation: 'delete', key: { kind: 'host', ip: '10.0.0.7' } }], NOW + 2501)
      for (const isMove of [true, true, false])
        await store.merge(ours, { policy: POLICY, isMove }, NOW + 3000)
    }
    const listing = await listingOf(other)
    expect(listing).toMatch(/^WHITE\|10\.0\.0\.8\|/m)
    expect(listing).not.toMatch(/^WHITE\|10\.0\.0\.7\|/m)
    expect(await listingOf(shared)).toBe(listing)
    expect((await shared.check()).problems).toEqual([])
  })

  test('goes into an empty database only', async () => {
    const file = await filled()
    const shared = await scratch.open(await server.createDatabase())
    await shared.edit([{ operation: 'add', kind: 'WHITE', ip: '192.0.2.77' }], NOW)
    await expect(moveDatabase(file, shared, NOW + 3000)).rejects.toMatchObject({ code: 'ERR_MOVE_NOT_EMPTY' })
  })
})

test('takes exceptions and the settings of the history along', async () => {
  const from = await scratch.store()
  const source = { first: NOW, expire: 0, checked: NOW, networks: ['192.0.2.0/24', '2001:db8::/32'] }
  await from.editAllowed(
    [{ operation: 'put', source: { ...source, name: 'example.org', comment: 'why' } }],
    NOW,
  )
  await from.saveHistorySettings({ mode: 'hosts', keepSec: 86_400, keepRows: 5000 })
  const to = await scratch.open(await server.createDatabase())
  expect(await moveDatabase(from, to, NOW)).toMatchObject({ addresses: 0, exceptions: 1 })
  expect(await to.readAllowed()).toEqual(await from.readAllowed())
  expect(await to.historySettings()).toEqual({ mode: 'hosts', keepSec: 86_400, keepRows: 5000 })
  await expect(moveDatabase(from, to, NOW)).rejects.toMatchObject({ code: 'ERR_MOVE_NOT_EMPTY' })
})
