import { describe, expect, test } from 'vitest'
import type { Store, SyncPeer } from '../../../src/db/store.js'
import type { MergeRecord } from '../../../src/domain/decide-merge.js'
import type { Entry, EntryKey } from '../../../src/domain/entry.js'
import { compareStamps, type Stamp } from '../../../src/domain/stamp.js'
import { attemptOf, entriesOf, isOnServer, NOW, POLICY, Scratch } from '../../support/scratch-database.js'

const scratch = new Scratch()
const FROM = { policy: POLICY, actor: '198.51.100.1' }

async function recordsOf(store: Store, limit = 100): Promise<MergeRecord[]> {
  const records: MergeRecord[] = []
  for (let cursor: string | undefined, isFirst = true; isFirst || cursor !== undefined; isFirst = false) {
    const slice = await store.listRecords(cursor, limit)
    records.push(...slice.records)
    cursor = slice.next
  }
  return records
}

/** Two databases; the first holds one of everything. */
async function gateways(): Promise<[Store, Store]> {
  const one = await scratch.store()
  const other = await scratch.store()
  await one.edit(
    [
      { operation: 'add', kind: 'WHITE', ip: '192.0.2.1', options: { comment: 'café', expire: 0 } },
      { operation: 'add', kind: 'TRAPPED', ip: '2001:db8::1' },
      { operation: 'add', kind: 'SPAMTRAP', address: 'trap@example.org', options: { comment: 'old' } },
      { operation: 'add', kind: 'SPAMTRAP', address: 'gone@example.org' },
      { operation: 'delete', key: { kind: 'spamtrap', address: 'gone@example.org' } },
      { operation: 'add', kind: 'WHITE', ip: '192.0.2.2' },
      { operation: 'delete', key: { kind: 'host', ip: '192.0.2.2' } },
    ],
    NOW,
  )
  await one.recordAttempts([attemptOf('192.0.2.7'), attemptOf('2001:db8::7')], POLICY, NOW + 1)
  return [one, other]
}

test.each([1, 2, 3])('records come in slices of %i, each once', async (limit) => {
  const [one] = await gateways()
  const more = ['b@example.org', 'c@example.org', 'd@example.org']
  await one.edit(
    more.map((address) => ({ operation: 'add', kind: 'SPAMTRAP', address })),
    NOW,
  )
  expect(await recordsOf(one, limit)).toEqual(await recordsOf(one))
  expect(await recordsOf(one, limit)).toHaveLength(10)
})

test('an import of many tells other gateways the same as one of few', async () => {
  const times = { first: NOW, pass: NOW, expire: NOW + 9999, bcount: 1, pcount: 0 }
  const host = (n: number) => `10.0.${n >> 8}.${n & 255}`
  // So many are staged.
  const entries = Array.from({ length: isOnServer() ? 5001 : 20_001 }, (_, n): Entry => {
    const noted = n % 2 === 0 ? { comment: 'c' } : {}
    const pinned = n % 3 === 0 ? { expire: 0 } : {}
    if (n % 5 === 0) return { kind: 'TRAPPED', ip: host(n), ...times, pcount: -1, ...noted, ...pinned }
    if (n % 5 === 1) return { kind: 'SPAMTRAP', address: `a${n}@b`, first: NOW, ...noted } as Entry
    if (n % 5 === 2) return { kind: 'GREY', ip: host(n), helo: 'h', from: '<a@b>', to: '<c@d>', ...times }
    return { kind: 'WHITE', ip: host(n), ...times, ...noted, ...pinned }
  })
  // Of one key the last counts. What a pool counts is no tuple of an address.
  entries.push({ ...entries[62]!, bcount: 9 } as Entry)
  entries.push({ kind: 'GREY', ip: '10.9.0.0/24', helo: '', from: '<a@b>', to: '<c@d>', ...times })
  const many = await scratch.store({ durability: 'normal' })
  const counts = await many.upsertAll([entries], { ifMissing: false, now: NOW })
  expect(counts).toEqual({ added: entries.length - 1, updated: 1, skipped: 0 })
  expect((await many.check()).problems).toEqual([])
  expect(await many.upsertAll([entries], { ifMissing: true, now: NOW })).toEqual({
    ...{ added: 0, updated: 0, skipped: entries.length },
  })
  const few = await scratch.store({ durability: 'normal' })
  await few.upsert(entries.slice(0, 60), { ifMissing: false, now: NOW })
  // When each was stored, and by whom, is another matter.
  const told = async (store: Store, limit: number) =>
    JSON.parse(
      JSON.stringify(await recordsOf(store, limit), (_, value: unknown) =>
        typeof value === 'object' && value !== null && 'node' in value ? 'a stamp' : value,
      ),
    ) as unknown[]
  const known = await told(few, 100)
  expect(known).toHaveLength(60)
  expect(await told(many, 100_000)).toEqual(expect.arrayContaining(known))
})

describe('merging another gateway', () => {
  test('carries every kind of entry and of deletion, in slices, and changes nothing the second time', async () => {
    const [one, other] = await gateways()
    const records = await recordsOf(one, 1)
    expect(records).toHaveLength(7)
    const first = await other.merge(records, FROM, NOW + 2)
    expect(first.outcomes).toEqual(records.map(() => 'applied'))
    const both = [await entriesOf(one), await entriesOf(other)].map((entries) =>
      entries.map((entry) => (entry.kind === 'TRAPPED' ? { ...entry, pass: 0 } : entry)),
    )
    expect(both[1]).toEqual(both[0])
    const again = await other.merge(await recordsOf(one), FROM, NOW + 3)
    expect(again.outcomes).toEqual(records.map(() => 'unchanged'))
    expect(again.changes).toEqual([])
  })

  test('lets a deletion of an address, a spamtrap and a tuple win over what is older', async () => {
    const [one, other] = await gateways()
    await other.merge(await recordsOf(one), FROM, NOW + 2)
    const { tuple } = attemptOf('192.0.2.7')
    const keys: EntryKey[] = [
      { kind: 'host', ip: '192.0.2.1' },
      { kind: 'spamtrap', address: 'trap@example.org' },
      { kind: 'tuple', ...tuple },
    ]
    await other.edit(
      keys.map((key) => ({ operation: 'delete', key })),
      NOW + 10,
    )
    const back = await other.readRecords(keys)
    expect(back).toHaveLength(3)
    expect((await one.merge(back, FROM, NOW + 11)).outcomes).toEqual(['applied', 'applied', 'applied'])
    for (const key of keys) expect(await one.get(key)).toBeUndefined()
    // What one gateway said before the deletion does not bring it back, whoever says it again.
    const old = await recordsOf(one)
    await other.merge(old, FROM, NOW + 12)
    for (const key of keys) expect(await other.get(key)).toBeUndefined()
    // The client comes again: the tuple begins anew, on both.
    await one.recordAttempts([attemptOf('192.0.2.7')], POLICY, NOW + 20)
    await other.merge(await one.readRecords([keys[2]!]), FROM, NOW + 21)
    expect(await other.get(keys[2]!)).toMatchObject({ kind: 'GREY', first: NOW + 20, bcount: 1 })
  })

  test('does not revive a WHITE of before a trap, whichever arrives first', async () => {
    const [one, other] = await gateways()
    await one.recordSightings([{ ip: '192.0.2.50', count: 1 }], { whiteExpireSec: 9999, untrap: false }, NOW)
    const white = await one.readRecords([{ kind: 'host', ip: '192.0.2.50' }])
    await other.recordAttempts([attemptOf('192.0.2.50', { isDomainTrap: true })], POLICY, NOW + 5)
    await other.merge(white, FROM, NOW + 6)
    expect(await other.get({ kind: 'host', ip: '192.0.2.50' })).toMatchObject({ kind: 'TRAPPED' })
    await one.merge(await other.readRecords([{ kind: 'host', ip: '192.0.2.50' }]), FROM, NOW + 7)
    expect(await one.get({ kind: 'host', ip: '192.0.2.50' })).toMatchObject({ kind: 'TRAPPED' })
  })

  test('joins the sightings of a tuple, which then waits two minutes longer', async () => {
    const one = await scratch.store()
    const other = await scratch.store()
    const { tuple } = attemptOf('192.0.2.8')
    const key: EntryKey = { kind: 'tuple', ...tuple }
    await one.recordAttempts([attemptOf('192.0.2.8')], POLICY, NOW)
    await other.merge(await one.readRecords([key]), FROM, NOW + 1)
    const soon = await other.recordAttempts([attemptOf('192.0.2.8')], POLICY, NOW + POLICY.passSec + 120)
    expect(soon.outcomes[0]?.result).toBe('repeated')
    const late = await other.recordAttempts([attemptOf('192.0.2.8')], POLICY, NOW + POLICY.passSec + 121)
    expect(late.outcomes[0]).toMatchObject({ result: 'promoted', waitedSec: POLICY.passSec + 121 })
    await one.merge(await other.readRecords([{ kind: 'host', ip: '192.0.2.8' }]), FROM, NOW + 4000)
    expect(await one.get({ kind: 'host', ip: '192.0.2.8' })).toMatchObject({ kind: 'WHITE', first: NOW })
  })

  test('has the sightings of two gateways decide that a tuple has waited', async () => {
    const one = await scratch.store()
    const other = await scratch.store()
    const { tuple } = attemptOf('192.0.2.8')
    const key: EntryKey = { kind: 'tuple', ...tuple }
    await one.recordAttempts([attemptOf('192.0.2.8')], POLICY, NOW)
    const lateSec = NOW + POLICY.passSec + 121
    await other.recordAttempts([attemptOf('192.0.2.8')], POLICY, lateSec)
    await one.merge(await other.readRecords([key]), FROM, lateSec)
    expect(await one.get(key)).toMatchObject({ first: NOW, pass: lateSec })
    const scan = { expired: [], promoted: [tuple], blocked: [], blockedTuples: [] }
    expect((await one.applyScan(scan, POLICY, lateSec + 1)).promoted).toEqual(['192.0.2.8'])
  })

  test('refuses what is more than five minutes ahead, and moves its clock behind what it takes', async () => {
    const [one, other] = await gateways()
    const key: EntryKey = { kind: 'host', ip: '192.0.2.9' }
    await one.edit([{ operation: 'add', kind: 'WHITE', ip: '192.0.2.9' }], NOW + 301)
    const records = await one.readRecords([key])
    expect((await other.merge(records, FROM, NOW)).outcomes).toEqual(['ahead'])
    expect(await other.get(key)).toBeUndefined()
    expect((await other.merge(records, FROM, NOW + 1)).outcomes).toEqual(['applied'])
    // A deletion here, by a clock that is behind, is later all the same.
    await other.edit([{ operation: 'delete', key }], NOW + 2)
    await one.merge(await other.readRecords([key]), FROM, NOW + 400)
    expect(await one.get(key)).toBeUndefined()
  })

  test('keeps an address to its limit of tuples', async () => {
    const [one, other] = await gateways()
    const attempts = [0, 1, 2, 3, 4].map((n) => {
      const attempt = attemptOf('192.0.2.30')
      return { ...attempt, tuple: { ...attempt.tuple, from: `<${n}@b>` } }
    })
    await one.recordAttempts(attempts, POLICY, NOW)
    const policy = { ...POLICY, maxTuplesPerAddress: 2 }
    await other.merge(await recordsOf(one), { policy }, NOW + 1)
    expect(await other.count({ ip: '192.0.2.30' })).toMatchObject({ GREY: 2 })
  })

  test('carries releases and networks of pools, and keeps a network closed that was closed later', async () => {
    const [one, other] = await gateways()
    const release = {
      ...{ kind: 'RELEASE' as const, id: 'k3x9', from: 'example.org', scope: 'address' as const },
      ...{ first: NOW, expire: NOW + 3600, used: 0, author: 'ada' },
    }
    await one.editReleases([{ operation: 'make', release }], NOW)
    const network = '198.51.100.0/24'
    const entry = {
      ...{ kind: 'POOL' as const, ip: network, pool: 'spf:example.org' },
      ...{ first: NOW - 2000, pass: NOW, expire: NOW + 9000, bcount: 3, pcount: 0 },
    }
    const opened: MergeRecord = { kind: 'pool', network, reset: undefined, entry }
    await one.merge([opened], FROM, NOW + 1)
    expect((await other.merge(await recordsOf(one), FROM, NOW + 2)).outcomes).not.toContain('unchanged')
    expect(await other.readReleases()).toEqual([release])
    expect(await other.get({ kind: 'pool', ip: network })).toEqual(entry)
    // A trap in the network closes it for good.
    const trap = attemptOf('198.51.100.7', { isDomainTrap: true })
    await other.recordAttempts([trap], POLICY, NOW + 5)
    expect(await other.get({ kind: 'pool', ip: network })).toBeUndefined()
    await one.merge(await other.readRecords([{ kind: 'pool', ip: network }]), FROM, NOW + 6)
    expect(await one.get({ kind: 'pool', ip: network })).toBeUndefined()
    expect((await one.merge([opened], FROM, NOW + 7)).outcomes).toEqual(['unchanged'])
    await one.editReleases([{ operation: 'cancel', id: 'k3x9' }], NOW + 8)
    await other.merge(await one.readRecords([{ kind: 'release', id: 'k3x9' }]), FROM, NOW + 9)
    expect(await other.readReleases()).toEqual([{ ...release, expire: NOW + 8 }])
  })

  test('tells nobody of networks that learn-only mode lets in', async () => {
    const [one] = await gateways()
    const open = (ip: string, pool: string) =>
      ({ kind: 'POOL', ip, pool, first: 1, pass: NOW, expire: NOW + 9000, bcount: 2, pcount: 0 }) as const
    await one.upsert([open('192.0.2.7/32', 'learn'), open('198.51.100.0/24', 'spf:example.org')], {
      ifMissing: false,
    })
    const told = (await recordsOf(one)).flatMap((record) => (record.kind === 'pool' ? [record.network] : []))
    expect(told).toEqual(['198.51.100.0/24'])
    expect(await one.readRecords([{ kind: 'pool', ip: '192.0.2.7/32' }])).toEqual([])
  })

  test('keeps what is known of a gateway in the transaction of its records', async () => {
    const [one, other] = await gateways()
    if (!isOnServer()) expect((await other.syncState()).node).toBeUndefined()
    await other.saveSyncPeers([], NOW)
    const { node } = await one.syncState()
    const peer: SyncPeer = { node: node!, name: 'gw1', position: 9, newest: 9, number: 4, heard: NOW }
    await other.merge(await recordsOf(one), { ...FROM, peer }, NOW + 1)
    const state = await other.syncState()
    expect(state.peers).toEqual([peer])
    expect(state.node).toEqual(expect.any(Number))
    const broken = [{ kind: 'host', ip: 'nul\0', registers: { bcount: 0, pcount: 1 } }] as MergeRecord[]
    await expect(other.merge(broken, { ...FROM, peer: { ...peer, position: 10 } }, NOW)).rejects.toThrow()
    expect((await other.syncState()).peers).toEqual([peer])
  })
})

const TIMES = { first: NOW, pass: NOW, expire: NOW + 9000, bcount: 1, pcount: 0 }
const DELETED: Entry[] = [
  { kind: 'WHITE', ip: '192.0.2.1', ...TIMES },
  { kind: 'SPAMTRAP', address: 'trap@example.org', first: NOW },
  { kind: 'GREY', ...attemptOf('192.0.2.7').tuple, ...TIMES },
  { kind: 'POOL', ip: '198.51.100.0/24', pool: 'spf:example.org', ...TIMES },
]

describe('a process whose clock is behind that of another one of the same database', () => {
  test.each(DELETED)('deletes later than that one did ($kind)', async (entry) => {
    const ahead = await scratch.store()
    const behind = await scratch.open(ahead.location)
    const key: EntryKey =
      entry.kind === 'SPAMTRAP' ? { kind: 'spamtrap', address: entry.address } : keyOf(entry)
    const stamps: Stamp[] = []
    for (const [store, now] of [
      [ahead, NOW + 200],
      [behind, NOW],
    ] as const) {
      await store.upsert([entry], { ifMissing: false, now })
      await store.edit([{ operation: 'delete', key }], now)
      stamps.push(stampOf((await store.readRecords([key]))[0]!))
    }
    expect(compareStamps(stamps[1], stamps[0])).toBeGreaterThan(0)
  })

  test('changes a release later than that one did', async () => {
    const ahead = await scratch.store()
    const behind = await scratch.open(ahead.location)
    const release = { kind: 'RELEASE', id: 'k3x9', from: 'example.org', scope: 'address', used: 0 } as const
    const made = { ...release, first: NOW, expire: NOW + 3600 }
    await ahead.editReleases([{ operation: 'make', release: made }], NOW + 200)
    const [before] = await ahead.readRecords([{ kind: 'release', id: 'k3x9' }])
    await behind.editReleases([{ operation: 'cancel', id: 'k3x9' }], NOW)
    const [after] = await behind.readRecords([{ kind: 'release', id: 'k3x9' }])
    expect(compareStamps(stampOf(after!), stampOf(before!))).toBeGreaterThan(0)
  })
})

describe('once stamps follow a clock again that stood a year ahead', () => {
  const AHEAD = NOW + 365 * 86_400
  const LATER = NOW + 100

  /** What a change at the right time makes of a key that was changed while the clock was ahead, here and at another gateway. */
  async function afterChange(
    key: EntryKey,
    before: (store: Store, now: number) => Promise<unknown>,
    change: (store: Store, now: number) => Promise<unknown>,
  ) {
    const [one, other] = [await scratch.store(), await scratch.store()]
    await before(one, AHEAD)
    await one.stampsAhead('follow', NOW)
    await change(one, LATER)
    const records = await one.readRecords([key])
    const { outcomes } = await other.merge(records, FROM, LATER)
    return { one, here: await one.get(key), there: await other.get(key), outcomes, record: records[0]! }
  }

  const ip = '192.0.2.1'
  const host = { kind: 'host', ip } as const
  const address = 'trap@example.org'
  const { tuple } = attemptOf(ip)
  const add = (store: Store, now: number) => store.edit([{ operation: 'add', kind: 'WHITE', ip }], now)
  const remove = (key: EntryKey) => (store: Store, now: number) =>
    store.edit([{ operation: 'delete', key }], now)
  const see = (store: Store, now: number) =>
    store.recordSightings([{ ip, count: 1 }], { whiteExpireSec: 9000, untrap: false }, now)
  const trap = (store: Store, now: number) =>
    store.recordAttempts([attemptOf(ip, { isDomainTrap: true })], POLICY, now)
  const addTrap = (store: Store, now: number) =>
    store.edit([{ operation: 'add', kind: 'SPAMTRAP', address }], now)
  const removed = (key: EntryKey, put: typeof add) => async (store: Store, now: number) => {
    await put(store, now)
    await remove(key)(store, now)
  }

  test.each([
    ['WHITE by hand', removed(host, add), add, 'WHITE'],
    ['seen', removed(host, add), see, 'WHITE'],
    ['trapped', removed(host, add), trap, 'TRAPPED'],
    ['seen again', see, see, 'WHITE'],
  ] as const)('an address that is %s counts at other gateways', async (_, before, change, kind) => {
    const { here, there, outcomes } = await afterChange(host, before, change)
    expect(outcomes).toEqual(['applied'])
    expect(there).toMatchObject({ kind, ip })
    expect(there).toEqual(here)
  })

  test.each([
    ['an address', host, add],
    ['a spamtrap', { kind: 'spamtrap', address }, addTrap],
    [
      'a tuple',
      { kind: 'tuple', ...tuple },
      (store: Store, now: number) => store.recordAttempts([attemptOf(ip)], POLICY, now),
    ],
  ] as const)('%s that is deleted has a later stamp each time, which others accept', async (_, key, put) => {
    const { one, here, outcomes, record } = await afterChange(key, put, remove(key))
    expect(here).toBeUndefined()
    expect(outcomes).not.toContain('ahead')
    const stamps = [stampOf(record)]
    for (const now of [LATER, LATER + 1, LATER - 50]) {
      await put(one, now)
      await remove(key)(one, now)
      stamps.push(stampOf((await one.readRecords([key]))[0]!))
    }
    expect(stamps).toEqual(stamps.toSorted(compareStamps))
    expect(new Set(stamps.map((stamp) => JSON.stringify(stamp))).size).toBe(stamps.length)
    expect(stamps.at(-1)!.time).toBeLessThanOrEqual((LATER + 61) * 1000)
  })
})

function keyOf(entry: Exclude<Entry, { kind: 'SPAMTRAP' }>): EntryKey {
  const { ip } = entry
  if (entry.kind === 'GREY') return { kind: 'tuple', ip, helo: entry.helo, from: entry.from, to: entry.to }
  return { kind: entry.kind === 'POOL' ? 'pool' : 'host', ip }
}

/** When what is gone, or a release, was changed. */
function stampOf(record: MergeRecord): Stamp {
  switch (record.kind) {
    case 'host':
      return record.registers.reset!
    case 'tuple':
      return record.state.epoch!
    case 'pool':
      return record.reset!
    default:
      return record.stamp
  }
}

test('what is known of gateways only grows, and whoever knows no name keeps the one on record', async () => {
  const store = await scratch.store()
  const peer: SyncPeer = { node: 7, name: 'gw1', position: 9, newest: 19, number: 4, heard: NOW }
  const other: SyncPeer = { node: 8, name: 'gw2', position: 1, newest: 2, number: 3, heard: NOW + 1 }
  await store.saveSyncPeers([peer, other], NOW)
  expect((await store.syncState()).peers).toEqual([peer, other])
  const pulled = { node: 7, name: '', position: 10, newest: 18, number: 5, heard: NOW - 1 }
  const renamed = { node: 8, name: 'gw3', position: 0, newest: 3, number: 2, heard: NOW + 2 }
  await store.saveSyncPeers([pulled, renamed], NOW)
  expect((await store.syncState()).peers).toEqual([
    { node: 7, name: 'gw1', position: 10, newest: 19, number: 5, heard: NOW },
    { node: 8, name: 'gw3', position: 1, newest: 3, number: 3, heard: NOW + 2 },
  ])
})

describe('marks of deletions', () => {
  test('go when nothing can be older than they are, tuples sooner, a slice at a time', async () => {
    const [one] = await gateways()
    const { tuple } = attemptOf('192.0.2.7')
    await one.edit([{ operation: 'delete', key: { kind: 'tuple', ...tuple } }], NOW + 2)
    const keep = { keepSec: 1000, keepTupleSec: 100 }
    const removedCount = async () =>
      (await recordsOf(one)).filter(
        (record) =>
          (record.kind === 'host' &&
            record.registers.white === undefined &&
            record.registers.trap === undefined) ||
          (record.kind === 'tuple' && record.state.first === undefined) ||
          (record.kind === 'spamtrap' && record.entry === undefined),
      ).length
    expect(await removedCount()).toBe(3)
    const drop = async (now: number) => {
      let count = 0
      let cursor: string | undefined
      do {
        const { droppedCount, next } = await one.dropOldMarks(cursor, 1, keep, now)
        count += droppedCount
        cursor = next
      } while (cursor !== undefined)
      return count
    }
    expect(await drop(NOW + 99)).toBe(0)
    expect(await drop(NOW + 102)).toBe(1)
    expect(await drop(NOW + 999)).toBe(0)
    expect(await drop(NOW + 1001)).toBe(2)
    expect(await removedCount()).toBe(0)
  })
})
