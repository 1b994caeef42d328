import Database from 'better-sqlite3'
import { describe, expect, test, vi } from 'vitest'
import type { Store } from '../../../src/db/store.js'
import type { Entry, GreyEntry, HostEntry, Tuple } from '../../../src/domain/entry.js'
import { attemptOf, entriesOf, NOW, POLICY, Scratch, sqliteTest } from '../../support/scratch-database.js'

const scratch = new Scratch()

const white = (ip: string, changes: Partial<HostEntry> = {}): HostEntry => ({
  kind: 'WHITE',
  ip,
  first: 1,
  pass: 1,
  expire: NOW + 100,
  bcount: 1,
  pcount: 0,
  ...changes,
})
const grey = (ip: string, changes: Partial<GreyEntry> = {}): GreyEntry => ({
  kind: 'GREY',
  ...attemptOf(ip).tuple,
  first: NOW - 2000,
  pass: NOW + 100,
  expire: NOW + 100,
  bcount: 2,
  pcount: 0,
  ...changes,
})
const tupleOf = ({ ip, helo, from, to }: GreyEntry): Tuple => ({ ip, helo, from, to })
const keyOfTuple = (entry: GreyEntry) => ({ kind: 'tuple' as const, ...tupleOf(entry) })

async function scanAll(store: Store, limit: number, dueAt?: number, whiteSince?: number): Promise<Entry[]> {
  const entries: Entry[] = []
  let next: string | undefined
  do {
    const due = { ...(dueAt !== undefined && { dueAt }), ...(whiteSince !== undefined && { whiteSince }) }
    const slice = await store.readScanSlice(next, limit, due)
    expect(slice.entries.length).toBeLessThanOrEqual(limit)
    entries.push(...slice.entries)
    next = slice.next
  } while (next !== undefined)
  return entries
}

describe('reading a scan', () => {
  test('brings each address and tuple once whatever the size of the slices, no spamtraps', async () => {
    const store = await scratch.store()
    expect(await scanAll(store, 3)).toEqual([])
    const entries: Entry[] = [{ kind: 'SPAMTRAP', address: 'a@b', first: 1 }]
    for (let n = 0; n < 23; n += 1) {
      const host = white(`192.0.2.${n}`)
      entries.push(n % 5 === 0 ? { ...host, kind: 'TRAPPED', pcount: -1 } : host)
      entries.push(grey(`192.0.2.${n % 4}`, { helo: `\xff${n}`, from: '' }))
    }
    await store.upsert(entries, { ifMissing: false })
    const wanted = (await entriesOf(store, { kinds: ['WHITE', 'TRAPPED', 'GREY'] })).map((entry) =>
      JSON.stringify(entry),
    )
    for (const limit of [1, 2, 7, 23, 24, 1000]) {
      const found = (await scanAll(store, limit)).map((entry) => JSON.stringify(entry))
      expect(found.toSorted()).toEqual(wanted.toSorted())
    }
  })

  test('with dueAt, leaves out tuples that wait', async () => {
    const store = await scratch.store()
    const waiting = grey('192.0.2.1')
    const passed = grey('192.0.2.2', { pass: NOW })
    const expired = grey('192.0.2.3', { expire: NOW })
    const fresh = white('192.0.2.4', { pass: NOW + 50 })
    await store.upsert([waiting, passed, expired, fresh], { ifMissing: false })
    expect(await scanAll(store, 1, NOW)).toEqual([fresh, passed, expired])
  })

  test('with whiteSince as well, leaves out addresses that are not over and were WHITE before', async () => {
    const store = await scratch.store()
    const since = NOW - 60
    const trapped = (ip: string, expire: number): Entry => ({
      ...white(ip, { expire }),
      kind: 'TRAPPED',
      pcount: -1,
    })
    const old = white('192.0.2.1', { pass: since - 1, expire: NOW + 1 })
    const pinned = white('192.0.2.2', { pass: since - 1, expire: 0 })
    const recent = white('192.0.2.3', { pass: since, expire: NOW + 1 })
    const over = white('192.0.2.4', { pass: since - 1, expire: NOW })
    const [held, released] = [trapped('192.0.2.5', NOW + 1), trapped('192.0.2.6', NOW)]
    const passed = grey('192.0.2.7', { pass: NOW })
    const all = [old, pinned, recent, over, held, released, passed, grey('192.0.2.8')]
    await store.upsert(all, { ifMissing: false })
    for (const limit of [1, 3, 100]) {
      expect(await scanAll(store, limit, NOW, since)).toEqual([recent, over, released, passed])
    }
  })

  sqliteTest('tells when the first of the rows is due, whatever is left out', async () => {
    const store = await scratch.store()
    const nextDue = async (entries: readonly Entry[], whiteSince?: number): Promise<number> => {
      await store.upsert(entries, { ifMissing: false })
      const due = { dueAt: NOW, ...(whiteSince !== undefined && { whiteSince }) }
      let earliest = Infinity
      let next: string | undefined
      do {
        const slice = await store.readScanSlice(next, 2, due)
        earliest = Math.min(earliest, slice.nextDueSec!)
        next = slice.next
      } while (next !== undefined)
      return earliest
    }
    expect(await nextDue([])).toBe(Infinity)
    expect(await nextDue([white('192.0.2.1', { expire: 0 })])).toBe(Infinity)
    expect(await nextDue([white('192.0.2.2', { expire: NOW + 90 })], NOW - 5)).toBe(NOW + 90)
    expect(
      await nextDue([{ ...white('192.0.2.3', { expire: NOW + 80 }), kind: 'TRAPPED', pcount: -1 }]),
    ).toBe(NOW + 80)
    expect(await nextDue([grey('192.0.2.4', { expire: NOW + 300, pass: NOW + 70 })])).toBe(NOW + 70)
    expect(await nextDue([grey('192.0.2.5', { expire: NOW + 60, pass: NOW + 300 })])).toBe(NOW + 60)
    // Let in later, without another change.
    expect(await nextDue([white('192.0.2.6', { expire: 0, pass: NOW + 10 })], NOW - 5)).toBe(NOW)
  })

  sqliteTest('tells that something is due at once while a network is open', async () => {
    const store = await scratch.store()
    const times = { first: 1, pass: 1, expire: NOW + 100, bcount: 1, pcount: 0 }
    const pool: Entry = { ...times, kind: 'POOL', ip: '192.0.2.0/24', pool: 'spf:example.org' }
    await store.upsert([pool], { ifMissing: false })
    const slice = await store.readScanSlice('POOL,', 5, { dueAt: NOW })
    expect(slice.nextDueSec).toBe(0)
  })

  sqliteTest('prepares nothing new for another time: a daemon scans each minute, for years', async () => {
    const store = await scratch.store()
    const entries = Array.from({ length: 9 }, (_, n) => [white(`192.0.2.${n}`), grey(`192.0.2.${n}`)])
    await store.upsert(entries.flat(), { ifMissing: false })
    const prepare = vi.spyOn(Database.prototype, 'prepare')
    try {
      // What is due is asked for only where something is.
      await scanAll(store, 4, NOW, NOW - 60)
      await scanAll(store, 4, NOW + 500, NOW - 60)
      const firstCount = prepare.mock.calls.length
      expect(firstCount).toBeGreaterThan(0)
      for (let minute = 1; minute < 20; minute += 1) await scanAll(store, 4, NOW + minute * 60, NOW + minute)
      expect(prepare.mock.calls.slice(firstCount).map(([sql]) => sql)).toEqual([])
    } finally {
      prepare.mockRestore()
    }
  })

  test('a cursor that is none is refused', async () => {
    const store = await scratch.store()
    await expect(store.readScanSlice('nonsense', 5)).rejects.toThrow(TypeError)
  })
})

describe('applying a scan', () => {
  test('tests each expiry again', async () => {
    const store = await scratch.store()
    const renewed = white('192.0.2.1', { expire: NOW + 1 })
    const expired = white('192.0.2.2', { expire: NOW })
    const pinned = white('192.0.2.3', { expire: 0 })
    const dead = grey('192.0.2.4', { expire: NOW })
    const waiting = grey('192.0.2.5')
    await store.upsert([renewed, expired, pinned, dead, waiting], { ifMissing: false })
    const hosts = ['192.0.2.1', '192.0.2.2', '192.0.2.3', '192.0.2.9'].map((ip) => ({
      kind: 'host' as const,
      ip,
    }))
    const changes = {
      expired: [...hosts, keyOfTuple(dead), keyOfTuple(waiting)],
      promoted: [],
      blocked: [],
      blockedTuples: [],
    }
    expect(await store.applyScan(changes, POLICY, NOW)).toEqual({ deletedCount: 2, promoted: [] })
    expect(await entriesOf(store)).toEqual([renewed, pinned, waiting])
    expect((await store.check()).problems).toEqual([])
  })

  test('promotes passed tuples of addresses that are neither WHITE nor TRAPPED', async () => {
    const store = await scratch.store()
    const free = grey('192.0.2.1', { pass: NOW - 5 })
    const known = grey('192.0.2.2', { pass: NOW - 5 })
    const caught = grey('192.0.2.3', { pass: NOW - 5 })
    const waiting = grey('192.0.2.4')
    const network = grey('192.0.2.0/24', { pass: NOW - 5 })
    const trapped: HostEntry = { ...white('192.0.2.3'), kind: 'TRAPPED', pcount: -1 }
    await store.upsert([free, known, caught, waiting, network, white('192.0.2.2'), trapped], {
      ifMissing: false,
    })
    const promoted = [free, known, caught, waiting, network].map(tupleOf)
    expect(
      await store.applyScan({ expired: [], promoted, blocked: [], blockedTuples: [] }, POLICY, NOW),
    ).toEqual({
      deletedCount: 0,
      promoted: ['192.0.2.1'],
    })
    expect(await entriesOf(store)).toEqual([
      white('192.0.2.1', {
        first: NOW - 2000,
        pass: NOW - 5,
        expire: NOW + POLICY.whiteExpireSec,
        bcount: 2,
      }),
      white('192.0.2.2'),
      trapped,
      network,
      caught,
      waiting,
    ])
  })

  test('removes blocked WHITE addresses, neither pinned nor TRAPPED ones', async () => {
    const store = await scratch.store()
    const trapped: HostEntry = { ...white('192.0.2.3'), kind: 'TRAPPED', pcount: -1 }
    await store.upsert([white('192.0.2.1'), white('192.0.2.2', { expire: 0 }), trapped], { ifMissing: false })
    const blocked = ['192.0.2.1', '192.0.2.2', '192.0.2.3', '192.0.2.4']
    expect(
      await store.applyScan({ expired: [], promoted: [], blocked, blockedTuples: [] }, POLICY, NOW),
    ).toMatchObject({
      deletedCount: 1,
    })
    expect(await store.count()).toMatchObject({ WHITE: 1, TRAPPED: 1 })
  })

  test('removes blocked tuples that passed; nobody is said to have deleted them, and undo knows nothing of it', async () => {
    const store = await scratch.store()
    const [passed, waiting] = [grey('192.0.2.1', { pass: NOW - 5 }), grey('192.0.2.2')]
    await store.recordAttempts(
      [passed, waiting].map(({ ip }) => attemptOf(ip)),
      POLICY,
      NOW - 2000,
    )
    await store.recordAttempts([attemptOf(passed.ip, { mayPromote: false })], POLICY, NOW - 5)
    const position = await store.newestHistory()
    const counts = await store.readCounts(0)
    const missing = grey('192.0.2.9')
    const blockedTuples = [passed, waiting, missing].map(tupleOf)
    const changes = { expired: [], promoted: [], blocked: [], blockedTuples }
    expect(await store.applyScan(changes, POLICY, NOW)).toEqual({ deletedCount: 1, promoted: [] })
    expect((await entriesOf(store)).map((entry) => 'ip' in entry && entry.ip)).toEqual([waiting.ip])
    expect(await store.readHistory({ after: position, limit: 9 })).toEqual([])
    await expect(
      store.undo('last', { force: false, isDryRun: false, actor: undefined }, NOW),
    ).rejects.toThrow('nothing to undo')
    // No other gateway is told, and one that still has the tuple may bring it back.
    expect(await store.readRecords([keyOfTuple(passed)])).toEqual([])
    expect(await store.readCounts(0)).toEqual(counts)
  })
})
