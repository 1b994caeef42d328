import { mkdtempSync, rmSync, unlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { Greylister } from '../../../../src/daemon/grey/greylister.js'
import { PoolNetworks } from '../../../../src/daemon/grey/pool-networks.js'
import { Scanner } from '../../../../src/daemon/grey/scanner.js'
import { WhiteTable } from '../../../../src/daemon/grey/white-table.js'
import { BlockLists } from '../../../../src/daemon/lists/block-lists.js'
import { type OpenedStore, StoreKeeper } from '../../../../src/daemon/store/store-keeper.js'
import { createDatabase, openStore } from '../../../../src/db/open-store.js'
import type { Store } from '../../../../src/db/store.js'
import type { Entry } from '../../../../src/domain/entry.js'
import type { PoolKeyKind } from '../../../../src/domain/pool-key.js'
import { setOfCidrs } from '../../../../src/ip/special-use.js'
import { AppError } from '../../../../src/platform/app-error.js'
import { freeMemory } from '../../../../src/platform/free-memory.js'
import { ManualClock } from '../../../support/manual-clock.js'
import { MemoryFirewall } from '../../../support/memory-firewall.js'
import { MemoryLogger } from '../../../support/memory-logger.js'
import { QUICK_POLICY } from '../../../support/scratch-database.js'

vi.mock('../../../../src/platform/free-memory.js')

/** Releases open networks whatever the options of spamd. */
const ALWAYS_IN_USE = new Set<PoolKeyKind>(['release'])

let folder: string
const closers: (() => Promise<void>)[] = []
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'scanner-'))
})
afterEach(async () => {
  for (const close of closers.splice(0)) await close()
  rmSync(folder, { recursive: true })
})

function daemon(
  options: {
    exists?: boolean
    wrap?: (store: Store) => Store
    poolKinds?: Set<PoolKeyKind>
    isLearning?: boolean
    followsChanges?: boolean
  } = {},
) {
  const path = join(folder, 'spamd.sqlite')
  if (options.exists !== false) createDatabase(path)
  let isMissing = options.exists === false
  const open = async (): Promise<OpenedStore<Store>> => {
    const store = await openStore(path, {
      mode: 'write',
      busyTimeoutMs: 10,
      durability: 'normal',
      create: true,
    })
    const opened = { store: options.wrap?.(store) ?? store, isCreated: isMissing }
    isMissing = true
    return opened
  }
  const clock = new ManualClock()
  const logger = new MemoryLogger()
  const firewall = new MemoryFirewall()
  const blockLists = new BlockLists({ logger })
  const keeper = new StoreKeeper({ open, logger })
  const whiteTable = new WhiteTable({ firewall, clock, logger })
  const common = { databasePath: path, policy: QUICK_POLICY, clock, logger, blockLists }
  const pools = new PoolNetworks({ firewall, clock, logger })
  const policy = { ...QUICK_POLICY, isLearning: options.isLearning ?? false }
  const scanner = new Scanner({
    ...common,
    policy,
    keeper,
    whiteTable,
    pools,
    poolKinds: options.poolKinds ?? ALWAYS_IN_USE,
    followsChanges: options.followsChanges ?? false,
  })
  const greylister = new Greylister({
    ...common,
    useStore: keeper.use,
    onPromoted: (ip) => whiteTable.add(ip),
  })
  closers.push(async () => {
    await scanner.stop()
    await greylister.close()
    await whiteTable.close()
    await keeper.close()
  })
  const listing = async (): Promise<string[]> => {
    const keys: string[] = []
    for await (const entries of await keeper.use(async (store) => store.list())) {
      for (const entry of entries) {
        keys.push(`${entry.kind} ${entry.kind === 'SPAMTRAP' ? entry.address : entry.ip}`)
      }
    }
    return keys
  }
  return {
    path,
    clock,
    logger,
    firewall,
    blockLists,
    keeper,
    scanner,
    greylister,
    whiteTable,
    listing,
    add: (kind: 'WHITE' | 'TRAPPED', ...ips: string[]) =>
      keeper.use((store) =>
        store.edit(
          ips.map((ip) => ({ operation: 'add', kind, ip }) as const),
          clock.nowSec(),
        ),
      ),
    put: (entries: Entry[]) => keeper.use((store) => store.upsert(entries, { ifMissing: false })),
    table: () => firewall.tables.get('spamd-white'),
    pools: () => firewall.tables.get('spamd-white-net'),
    logged: (level: string) =>
      logger.lines.filter((line) => line.level === level).map(({ message }) => message.replace(path, 'DB')),
  }
}

const client = {
  clientIp: '192.0.2.1',
  destinationIp: '198.51.100.1',
  helo: 'h',
  from: '<a@b>',
  to: '<c@d>',
}

describe('a scan', () => {
  test('brings table and trap list up to date for both families', async () => {
    const { add, scanner, table, blockLists } = daemon()
    await add('WHITE', '192.0.2.9', '2001:db8::9')
    await add('TRAPPED', '192.0.2.3', '2001:db8::3')
    expect(await scanner.scan()).toMatchObject({ isComplete: true, whiteCount: 2, trappedCount: 2 })
    expect(table()).toEqual(['192.0.2.9/32', '2001:db8::9/128'])
    expect(blockLists.match('2001:db8::3')).toEqual([
      { listName: 'spamd-greytrap', message: 'Your address %A has mailed to spamtraps here\\n' },
    ])
    expect(blockLists.match('192.0.2.9')).toEqual([])
  })
  test('counts itself, what it deletes and what it promotes', async () => {
    const { put, scanner, clock } = daemon()
    expect(scanner.counters).toEqual({ scans: 0, incomplete: 0, scanningMs: 0, deleted: 0, promoted: 0 })
    const first = clock.nowSec() - 9
    const host = { kind: 'WHITE' as const, first, pass: first, bcount: 1, pcount: 0 }
    await put([
      { ...host, ip: '192.0.2.1', expire: first + 1 },
      { ...host, ip: '192.0.2.2', expire: first + 1 },
      { ...host, ip: '192.0.2.3', expire: first + 1000 },
      {
        kind: 'GREY',
        ip: '192.0.2.4',
        helo: 'h',
        from: '<a@b>',
        to: '<c@d>',
        first,
        pass: first + 1,
        expire: first + 1000,
        bcount: 2,
        pcount: 1,
      },
    ])
    await scanner.scan()
    expect(scanner.counters).toMatchObject({ scans: 1, incomplete: 0, deleted: 2, promoted: 1 })
    await scanner.scan()
    expect(scanner.counters).toMatchObject({ scans: 2, incomplete: 0, deleted: 2, promoted: 1 })
    expect(scanner.lastCompleteSec).toBe(clock.nowSec())
  })
  test('walks a database of many slices once', async () => {
    const { put, scanner, table } = daemon()
    const now = 1_700_000_000
    const times = { first: now - 9, pass: now - 9, bcount: 1, pcount: 0 }
    await put(
      Array.from(
        { length: 7000 },
        (_, index): Entry => ({
          kind: 'WHITE',
          ip: `10.0.${index >> 8}.${index & 255}`,
          ...times,
          expire: index % 2 === 0 ? now - 1 : now + 100,
        }),
      ),
    )
    expect(await scanner.scan()).toMatchObject({ isComplete: true, whiteCount: 3500, deletedCount: 3500 })
    expect(table()).toHaveLength(3500)
  })
  test('promotes what a retry before a restart made pass, and takes listed addresses away for good', async () => {
    const { put, add, scanner, blockLists, table, listing, logged } = daemon()
    const now = 1_700_000_000
    const times = { first: now - 500, pass: now - 1, expire: now + 500, bcount: 2, pcount: 0 }
    await put([
      { kind: 'GREY', ip: '192.0.2.1', helo: 'h', from: '<a@b>', to: '<c@d>', ...times },
      { kind: 'GREY', ip: '192.0.2.2', helo: 'h', from: '<a@b>', to: '<c@d>', ...times },
    ])
    await add('WHITE', '192.0.2.3')
    blockLists.apply({ kind: 'clear', name: 'bl' })
    const { ConfigLineDecoder } = await import('../../../../src/codec/config-line/config-line-decoder.js')
    const decoder = new ConfigLineDecoder((line) => blockLists.apply(line))
    decoder.push(Buffer.from('bl;"m";inet;1;192.0.2.2/31\n'))
    await scanner.scan()
    expect(table()).toEqual(['192.0.2.1/32'])
    expect(await listing()).toEqual(['WHITE 192.0.2.1'])
    expect(logged('debug')).toEqual([
      '192.0.2.3 blacklisted, removing from whitelist',
      'queueing deletion of 192.0.2.3',
      'queueing deletion of 192.0.2.2\\x0ah\\x0a<a@b>\\x0a<c@d>',
      'queueing add of 192.0.2.1',
      'whitelisting 192.0.2.1 in DB',
    ])
  })
  test('a tuple that a block list took was deleted by nobody: no history by hand, no undo, no mark for others', async () => {
    const { clock, greylister, scanner, blockLists, keeper, listing } = daemon()
    blockLists.replaceSet('bl', 'no', setOfCidrs(['192.0.2.1/32']), 1)
    await greylister.submit(client)
    clock.advance(61)
    await greylister.submit(client)
    expect(await listing()).toEqual(['GREY 192.0.2.1'])
    const before = await keeper.use((store) => store.readCounts(0))
    expect(await scanner.scan()).toMatchObject({ isComplete: true, deletedCount: 1 })
    expect(await listing()).toEqual([])
    const { ip, helo, from, to } = { ...client, ip: client.clientIp }
    await keeper.use(async (store) => {
      const history = await store.readHistory({ after: 0, limit: 9 })
      expect(history.map(({ rule }) => rule)).toEqual(['attempt'])
      const options = { force: false, isDryRun: true, actor: undefined }
      await expect(store.undo('last', options, clock.nowSec())).rejects.toThrow('nothing to undo')
      expect(await store.readRecords([{ kind: 'tuple', ip, helo, from, to }])).toEqual([])
      const { rows } = await store.readJournal(0, 9)
      expect(rows.map(({ rule, after }) => [rule, after])).toEqual([
        ['attempt', 'GREY'],
        ['attempt', 'GREY'],
        ['block-list', undefined],
      ])
      expect(await store.readCounts(0)).toEqual(before)
    })
  })
  test('a tuple that went before its deletion was stored is not counted', async () => {
    const { clock, greylister, scanner, blockLists } = daemon({
      wrap: (store) => {
        const readScanSlice = store.readScanSlice.bind(store)
        store.readScanSlice = async (...parameters) => {
          const slice = await readScanSlice(...parameters)
          const isFound = slice.entries.some(({ kind }) => kind === 'GREY')
          if (isFound)
            await store.edit([{ operation: 'delete-tuples', ip: '192.0.2.1', all: true }], 1_700_000_061)
          return slice
        }
        return store
      },
    })
    blockLists.replaceSet('bl', 'no', setOfCidrs(['192.0.2.1/32']), 1)
    await greylister.submit(client)
    clock.advance(61)
    await greylister.submit(client)
    expect(await scanner.scan()).toMatchObject({ isComplete: true, deletedCount: 0 })
  })
  test('after a trap the host leaves the table and is stuttered, and a day later is forgotten', async () => {
    const { add, scanner, table, blockLists, clock, greylister, keeper, listing } = daemon()
    await keeper.use((store) =>
      store.edit([{ operation: 'add', kind: 'SPAMTRAP', address: 'trap@example.net' }], clock.nowSec()),
    )
    await add('WHITE', '192.0.2.1')
    await scanner.scan()
    expect(table()).toEqual(['192.0.2.1/32'])
    await greylister.submit({ ...client, to: '<Trap@example.net>' })
    await scanner.scan()
    expect(table()).toEqual([])
    expect(blockLists.match('192.0.2.1')).toHaveLength(1)
    clock.advance(86_400)
    await scanner.scan()
    expect(blockLists.match('192.0.2.1')).toEqual([])
    expect(await listing()).toEqual(['SPAMTRAP trap@example.net'])
  })
  test('a promoted address is in the table at the next scan, its tuple gone', async () => {
    const { scanner, table, clock, greylister, listing } = daemon()
    await greylister.submit(client)
    clock.advance(61)
    await greylister.submit(client)
    expect(await listing()).toEqual(['WHITE 192.0.2.1'])
    await scanner.scan()
    expect(table()).toEqual(['192.0.2.1/32'])
  })
})

describe('a scan between whole ones', () => {
  const NOW = 1_700_000_000
  const times = { first: NOW - 9, pass: NOW - 9, bcount: 1, pcount: 0 }
  const white = (ip: string, expire: number, pass = NOW - 9): Entry => ({
    ...times,
    kind: 'WHITE',
    ip,
    pass,
    expire,
  })
  const openPool = {
    ...times,
    kind: 'POOL' as const,
    ip: '192.0.2.0/24',
    pool: 'spf:example.org',
    expire: NOW + 5000,
  }
  /** After a whole scan, with a table whose count the packet filter has told. */
  async function scanned(entries: Entry[], options: Parameters<typeof daemon>[0] = {}) {
    const parts = daemon({ followsChanges: true, ...options })
    await parts.put(entries)
    await parts.scanner.scan()
    await parts.whiteTable.hasRightCount()
    const replacements = parts.whiteTable.counters.replacements
    return { ...parts, wasWhole: () => parts.whiteTable.counters.replacements > replacements }
  }

  test('finds what became due, and writes no table for the rest', async () => {
    const { scanner, clock, put, listing, wasWhole, table } = await scanned([
      white('192.0.2.1', NOW + 50),
      white('192.0.2.2', NOW + 5000),
      white('192.0.2.3', 0),
      { ...times, kind: 'TRAPPED', ip: '192.0.2.4', expire: NOW + 50, pcount: -1 },
      {
        ...times,
        kind: 'GREY',
        ip: '192.0.2.5',
        expire: NOW + 5000,
        pass: NOW + 40,
        helo: 'h',
        from: '<a@b>',
        to: '<c@d>',
      },
      {
        ...times,
        kind: 'GREY',
        ip: '192.0.2.6',
        expire: NOW + 50,
        pass: NOW + 400,
        helo: 'h',
        from: '<a@b>',
        to: '<c@d>',
      },
    ])
    clock.advance(60)
    await put([white('192.0.2.7', NOW + 5000, NOW + 30)])
    expect(await scanner.scanAgain()).toMatchObject({
      isComplete: true,
      deletedCount: 3,
      promotedCount: 1,
      whiteCount: 4,
      greyCount: 0,
    })
    expect(await listing()).toEqual(['2', '3', '5', '7'].map((last) => `WHITE 192.0.2.${last}`))
    expect(wasWhole()).toBe(false)
    expect(scanner.lastCompleteSec).toBe(NOW + 60)
    // What expired leaves the table with its row of the journal, which nobody follows here.
    await expect.poll(table).toEqual(['1', '2', '3', '5', '7'].map((last) => `192.0.2.${last}/32`))
  })

  test('reads no entry while nothing changed and nothing is due, and finds what becomes due or changes', async () => {
    let sliceCount = 0
    const counting = (store: Store): Store => {
      const readScanSlice = store.readScanSlice.bind(store)
      store.readScanSlice = (...parameters) => {
        sliceCount += 1
        return readScanSlice(...parameters)
      }
      return store
    }
    const { scanner, clock, put, table, wasWhole } = await scanned(
      [white('192.0.2.1', NOW + 150), white('192.0.2.2', NOW + 5000), white('192.0.2.3', 0)],
      { wrap: counting },
    )
    const scanAfter = async (seconds: number) => {
      sliceCount = 0
      clock.advance(seconds)
      const { isComplete, whiteCount, deletedCount } = await scanner.scanAgain()
      expect([isComplete, wasWhole()]).toEqual([true, false])
      return { sliceCount, whiteCount, deletedCount }
    }
    const nothing = { sliceCount: 0, whiteCount: 3, deletedCount: 0 }
    expect(await scanAfter(60)).toEqual(nothing)
    expect(await scanAfter(60)).toEqual(nothing)
    expect(await scanAfter(30)).toMatchObject({ whiteCount: 2, deletedCount: 1 })
    // Its own deletion is a change; only a walk that finds nothing to do shows that there is nothing.
    expect((await scanAfter(60)).sliceCount).toBeGreaterThan(0)
    expect(await scanAfter(60)).toEqual({ ...nothing, whiteCount: 2 })
    await put([white('192.0.2.4', NOW + 6000, NOW + 270)])
    expect(await scanAfter(0)).toMatchObject({ whiteCount: 3 })
    expect(sliceCount).toBeGreaterThan(0)
    await expect.poll(table).toContain('192.0.2.4/32')
  })

  test('writes the table again from memory where the packet filter tells no count', async () => {
    const { scanner, firewall, table, whiteTable, keeper } = await scanned([white('192.0.2.1', NOW + 5000)])
    firewall.countTable = async () => undefined
    await whiteTable.hasRightCount()
    firewall.tables.set('spamd-white', ['203.0.113.1/32'])
    // A brief scan does not look at this one, which is not due.
    await keeper.use((store) => store.upsert([white('192.0.2.2', NOW + 5000)], { ifMissing: false }))
    await scanner.scanAgain()
    expect(table()).toEqual(['192.0.2.1/32'])
  })

  test('is what frees memory only as a whole one of many addresses', async () => {
    vi.mocked(freeMemory).mockClear()
    const few = await scanned([white('192.0.2.1', NOW + 5000)])
    await few.scanner.scan()
    expect(freeMemory).not.toHaveBeenCalled()
    const many = Array.from({ length: 50_000 }, (_, n) => white(`10.0.${n >> 8}.${n & 255}`, NOW + 5000))
    await few.put(many)
    await few.scanner.scan()
    await expect.poll(() => vi.mocked(freeMemory).mock.calls.length).toBe(1)
    await few.scanner.scanAgain()
    expect(freeMemory).toHaveBeenCalledTimes(1)
  })

  test('is a whole one again after 59 brief ones', async () => {
    const { scanner, wasWhole } = await scanned([white('192.0.2.1', NOW + 5000)])
    for (let round = 0; round < 59; round += 1) await scanner.scanAgain()
    expect(wasWhole()).toBe(false)
    await scanner.scanAgain()
    expect(wasWhole()).toBe(true)
  })

  test('does not stand for the whole one that is asked for meanwhile', async () => {
    const { scanner, wasWhole } = await scanned([white('192.0.2.1', NOW + 5000)])
    const brief = scanner.scanAgain()
    const asked = scanner.scan()
    expect(await asked).not.toBe(await brief)
    expect(wasWhole()).toBe(true)
  })

  test.for([
    ['the journal is not followed', () => undefined, { followsChanges: false }],
    ['a pool is open', ({ put }) => put([openPool]), { poolKinds: new Set<PoolKeyKind>(['spf']) }],
    ['a release has opened a network', ({ put }) => put([{ ...openPool, pool: 'release:1' }]), {}],
    ['a list changed', ({ blockLists }) => void blockLists.apply({ kind: 'clear', name: 'bl' }), {}],
    ['the table was lost', ({ whiteTable }) => whiteTable.rewrite(), {}],
  ] as const satisfies readonly (readonly [
    string,
    (parts: ReturnType<typeof daemon>) => unknown,
    Parameters<typeof daemon>[0],
  ])[])('is a whole one when %s', async ([, prepare, options]) => {
    const parts = await scanned([white('192.0.2.1', NOW + 5000)], options)
    await prepare(parts)
    await parts.scanner.scanAgain()
    expect(parts.wasWhole()).toBe(true)
  })
})

describe('what must not empty the table', () => {
  test('a database that was just created', async () => {
    const { scanner, firewall, table, add, keeper, clock } = daemon({ exists: false })
    firewall.tables.set('spamd-white', ['203.0.113.1/32'])
    await scanner.scan()
    expect(table()).toEqual(['203.0.113.1/32'])
    await add('WHITE', '192.0.2.9')
    await scanner.scan()
    expect(table()).toEqual(['192.0.2.9/32'])
    await keeper.use((store) =>
      store.edit([{ operation: 'delete', key: { kind: 'host', ip: '192.0.2.9' } }], clock.nowSec()),
    )
    await scanner.scan()
    expect(table()).toEqual([])
  })
  test('an existing database that is empty does empty it, once the scan is complete', async () => {
    const { scanner, firewall, table } = daemon()
    firewall.tables.set('spamd-white', ['203.0.113.1/32'])
    await scanner.scan()
    expect(table()).toEqual([])
  })
  test('a walk that fails half-way: table and trap list stay', async () => {
    let reads = 0
    const { scanner, add, table, logged, blockLists } = daemon({
      wrap: (store) =>
        new Proxy(store, {
          get(target, name) {
            const member: unknown = Reflect.get(target, name)
            if (typeof member !== 'function') return member
            if (name !== 'readScanSlice') return member.bind(target) as unknown
            return async (...parameters: unknown[]) => {
              reads += 1
              if (reads === 4) throw new AppError('ERR_DB_CORRUPT', 'database disk image is malformed')
              return (member as (...given: unknown[]) => unknown).apply(target, parameters)
            }
          },
        }),
    })
    await add('WHITE', '192.0.2.9')
    await add('TRAPPED', '192.0.2.3')
    await scanner.scan()
    await add('WHITE', '192.0.2.10')
    expect(await scanner.scan()).toMatchObject({ isComplete: false })
    expect(table()).toEqual(['192.0.2.9/32'])
    expect(blockLists.match('192.0.2.3')).toHaveLength(1)
    expect(logged('notice')).toEqual(['scan of DB failed'])
    expect(await scanner.scan()).toMatchObject({ isComplete: true })
    expect(table()).toEqual(['192.0.2.9/32', '192.0.2.10/32'])
  })
  test('a database deleted under the daemon: it makes a new one, goes on, and leaves the table', async () => {
    const { path, scanner, add, table, greylister, clock, listing } = daemon()
    await add('WHITE', '192.0.2.9')
    await scanner.scan()
    for (const suffix of ['', '-wal', '-shm']) unlinkSync(path + suffix)
    clock.advance(61)
    // Whoever notices first opens it again; a client is answered either way.
    await greylister.submit(client)
    await scanner.scan()
    await scanner.scan()
    await greylister.close()
    expect(table()).toEqual(['192.0.2.9/32'])
    expect(await listing()).toEqual(['GREY 192.0.2.1'])
  })
  test('a clock that jumps an hour forward and back', async () => {
    const { add, scanner, table, clock, listing } = daemon()
    await add('WHITE', '192.0.2.9')
    await add('TRAPPED', '192.0.2.3')
    await scanner.scan()
    clock.step(40 * 86_400)
    await scanner.scan()
    expect(table()).toEqual(['192.0.2.9/32'])
    clock.step(-40 * 86_400 - 3600)
    await scanner.scan()
    expect(table()).toEqual(['192.0.2.9/32'])
    expect(await listing()).toEqual(['WHITE 192.0.2.9', 'TRAPPED 192.0.2.3'])
  })

  describe('changes dated ahead, because the clock once was', () => {
    const YEAR = 365 * 86_400

    async function ahead() {
      const { add, scanner, clock, logger, keeper } = daemon()
      await add('WHITE', '192.0.2.1')
      await scanner.scan()
      clock.step(YEAR)
      await add('WHITE', '192.0.2.2')
      clock.step(-YEAR)
      await scanner.scan()
      const aheadSec = () => keeper.use((store) => store.stampsAhead('stay', clock.nowSec()))
      return { scanner, clock, logger, aheadSec }
    }

    test('follow the clock after an hour', async () => {
      const { scanner, clock, logger, aheadSec } = await ahead()
      clock.advance(3599)
      await scanner.scan()
      expect(await aheadSec()).toBe(YEAR - 3599)
      clock.advance(1)
      await scanner.scan()
      expect(await aheadSec()).toBe(0)
      expect(logger.lines.map(({ message }) => message).filter((text) => text.includes('dated'))).toEqual([
        `changes are dated ${YEAR} seconds in the future, so the clock was ahead or is behind: other gateways get no changes for an hour, or until spamdctl accept-clock`,
        `changes were dated ${YEAR - 3600} seconds in the future, because the clock had been ahead: they follow the clock again`,
      ])
    })

    test('or at once when the clock is accepted', async () => {
      const { scanner, aheadSec } = await ahead()
      expect(scanner.acceptClock()).toBe(true)
      await scanner.scan()
      await scanner.scan()
      expect(await aheadSec()).toBe(0)
      expect(scanner.acceptClock()).toBe(false)
    })

    test('a clock that is behind for less leaves them as they are', async () => {
      const { add, scanner, clock, keeper } = daemon()
      await add('WHITE', '192.0.2.1')
      clock.step(-YEAR)
      await scanner.scan()
      clock.advance(3000)
      await scanner.scan()
      clock.step(YEAR)
      await scanner.scan()
      clock.step(-YEAR)
      clock.advance(3000)
      await scanner.scan()
      expect(await keeper.use((store) => store.stampsAhead('stay', clock.nowSec()))).toBeGreaterThan(0)
    })
  })

  describe('a clock in doubt', () => {
    const many = Array.from({ length: 1500 }, (_, n) => `10.0.${n >> 8}.${n & 255}`)
    const DAY = 86_400

    test('a mass of WHITE that would expire waits for an hour; tables stay', async () => {
      const { add, scanner, table, clock, logger, listing } = daemon()
      await add('WHITE', ...many)
      await scanner.scan()
      const before = table()
      clock.step(40 * DAY)
      for (let minutes = 0; minutes < 60; minutes += 11) {
        expect(await scanner.scan()).toMatchObject({ isWaiting: true, isComplete: false })
        clock.advance(11 * 60)
      }
      expect(table()).toEqual(before)
      expect(await listing()).toHaveLength(1500)
      expect(scanner.clockDoubt).toBe('the clock jumped forward by 3456000 seconds')
      expect(logger.lines.map(({ message }) => message).join('\n')).toContain(
        '1500 of 1500 WHITE entries would expire, but the clock jumped forward by 3456000 seconds: nothing expires and tables stay unchanged for up to an hour, or until spamdctl accept-clock',
      )
      expect(await scanner.scan()).toMatchObject({ isWaiting: false, deletedCount: 1500 })
      expect(table()).toEqual([])
    })

    test('accepting the clock ends the wait at once', async () => {
      const { add, scanner, clock, listing } = daemon()
      await add('WHITE', ...many)
      await scanner.scan()
      expect(scanner.acceptClock()).toBe(false)
      clock.step(40 * DAY)
      expect((await scanner.scan()).isWaiting).toBe(true)
      expect(scanner.acceptClock()).toBe(true)
      await scanner.scan()
      expect(await listing()).toEqual([])
    })

    test('at a start the newest change on record counts', async () => {
      const { add, scanner, clock } = daemon()
      await add('WHITE', ...many)
      clock.step(40 * DAY)
      expect((await scanner.scan()).isWaiting).toBe(true)
    })

    test('few entries, or fewer than half, expire as ever', async () => {
      const { add, scanner, clock, listing } = daemon()
      await add('WHITE', ...many.slice(0, 999))
      await scanner.scan()
      clock.step(40 * DAY)
      expect((await scanner.scan()).isWaiting).toBe(false)
      clock.advance(601)
      await scanner.scan()
      expect(await listing()).toEqual([])
    })
  })
})

describe('networks of pools', () => {
  const NOW = new ManualClock().nowSec()
  const pool = (ip: string, key = ip, expire = 10_000): Entry => ({
    kind: 'POOL',
    ip,
    pool: key,
    first: 1,
    pass: 2,
    expire: NOW + expire,
    bcount: 2,
    pcount: 0,
  })
  const left = async (keeper: ReturnType<typeof daemon>['keeper']): Promise<string[]> => {
    const ips: string[] = []
    for await (const entries of await keeper.use(async (store) => store.list({ kinds: ['POOL'] }))) {
      for (const entry of entries) if (entry.kind === 'POOL') ips.push(entry.ip)
    }
    return ips
  }
  const kinds = new Set(['network'] as const)

  test('that are open are in their table, those whose time is over go', async () => {
    const { put, scanner, pools, keeper, clock } = daemon({ poolKinds: kinds })
    await put([pool('192.0.2.0/24'), pool('2001:db8::/64'), pool('198.51.100.0/24', '198.51.100.0/24', 5)])
    expect(await scanner.scan()).toMatchObject({ poolCount: 3 })
    expect(pools()).toEqual(['192.0.2.0/24', '198.51.100.0/24', '2001:db8::/64'])
    clock.advance(5)
    expect(await scanner.scan()).toMatchObject({ poolCount: 2, deletedCount: 1 })
    expect(pools()).toEqual(['192.0.2.0/24', '2001:db8::/64'])
    expect(await left(keeper)).toEqual(['192.0.2.0/24', '2001:db8::/64'])
  })

  test('that hold a TRAPPED or block-listed address are closed', async () => {
    const { put, add, scanner, pools, keeper, blockLists, logged } = daemon({ poolKinds: kinds })
    // Put on record without a look at what is open, as a merge with another gateway does.
    await put([pool('192.0.2.0/24'), pool('2001:db8::/64'), pool('198.51.100.0/24'), pool('203.0.113.0/24')])
    await put([
      { kind: 'TRAPPED', ip: '192.0.2.77', first: NOW, pass: 0, expire: NOW + 9999, bcount: 1, pcount: -1 },
    ])
    await add('WHITE', '203.0.113.1')
    blockLists.replaceSet('bl', 'no', setOfCidrs(['2001:db8::ff00/120', '198.51.101.0/24']), 2)
    expect(await scanner.scan()).toMatchObject({ poolCount: 2, deletedCount: 2 })
    expect(pools()).toEqual(['198.51.100.0/24', '203.0.113.0/24'])
    expect(await left(keeper)).toEqual(['198.51.100.0/24', '203.0.113.0/24'])
    expect(logged('info')).toContain('pool 192.0.2.0/24 closed')
  })

  test('of keys that are not in use here leave the table, and stay on record for gateways that use them', async () => {
    const { put, scanner, pools, keeper, firewall } = daemon()
    firewall.tables.set('spamd-white-net', ['192.0.2.0/24'])
    await put([pool('192.0.2.0/24'), pool('198.51.100.7/32', 'learn')])
    await scanner.scan()
    expect([pools(), await left(keeper)]).toEqual([[], ['192.0.2.0/24', '198.51.100.7/32']])
  })

  test('a table that is left without an entry is emptied too, and none is made otherwise', async () => {
    const { scanner, pools, firewall } = daemon({ poolKinds: new Set() })
    await scanner.scan()
    expect(pools()).toBeUndefined()
    const other = daemon({ poolKinds: new Set(), exists: false })
    other.firewall.tables.set('spamd-white-net', ['192.0.2.0/24'])
    await other.scanner.scan()
    expect(other.pools()).toEqual([])
    expect(firewall.tables.has('spamd-white-net')).toBe(false)
    // Only by the first scan: while no pool is in use, the table is not ours.
    other.firewall.tables.set('spamd-white-net', ['198.51.100.0/24'])
    await other.scanner.scan()
    expect(other.pools()).toEqual(['198.51.100.0/24'])
  })

  test('of learn-only mode are let in while it lasts, the others stay', async () => {
    const learning = daemon({ poolKinds: new Set(['network', 'learn'] as const) })
    await learning.put([pool('192.0.2.0/24'), pool('198.51.100.7/32', 'learn')])
    await learning.scanner.scan()
    expect(learning.pools()).toEqual(['192.0.2.0/24', '198.51.100.7/32'])
    const later = daemon({ poolKinds: kinds, exists: false })
    await later.put([pool('192.0.2.0/24'), pool('198.51.100.7/32', 'learn')])
    await later.scanner.scan()
    expect(later.pools()).toEqual(['192.0.2.0/24'])
  })
})

describe('where another gateway removes what is over', () => {
  test('a scan that is asked for, or that new lists need, looks at all addresses; others look at none', async () => {
    const asked: unknown[] = []
    const wrap = (store: Store): Store =>
      new Proxy(store, {
        get: (target, name) => {
          if (name === 'beginScan') {
            return async ({ isAsked }: { isAsked: boolean }) => {
              asked.push(isAsked)
              return isAsked ? 'hosts' : 'nothing'
            }
          }
          const value = Reflect.get(target, name) as unknown
          return typeof value === 'function' ? value.bind(target) : value
        },
      })
    const { scanner, add, table, blockLists } = daemon({ wrap })
    await add('WHITE', '192.0.2.1')
    await scanner.scan()
    expect(table()).toEqual(['192.0.2.1/32'])
    await add('WHITE', '192.0.2.2')
    await scanner.scanAgain()
    expect(table()).toEqual(['192.0.2.1/32'])
    await scanner.scan()
    expect(table()).toEqual(['192.0.2.1/32', '192.0.2.2/32'])
    blockLists.apply({ kind: 'clear', name: 'bl' })
    await scanner.scanAgain()
    expect(asked).toEqual([true, false, true, true])
  })
})

test('reads and stores what is due in parts that become smaller where they take long', async () => {
  const sizes: number[] = []
  const limits: number[] = []
  let clock: ManualClock | undefined
  const slow = (store: Store): Store =>
    new Proxy(store, {
      get: (target, name) => {
        const value = Reflect.get(target, name) as unknown
        if (typeof value !== 'function') return value
        const method = value.bind(target) as (...parameters: unknown[]) => Promise<unknown>
        if (name === 'readScanSlice')
          return async (...parameters: Parameters<Store['readScanSlice']>) => {
            const [, limit] = parameters
            limits.push(limit)
            clock!.ms += limit / 10
            return method(...parameters)
          }
        if (name !== 'applyScan') return method
        return async (...parameters: Parameters<Store['applyScan']>) => {
          const [{ expired }] = parameters
          sizes.push(expired.length)
          // A millisecond each, as at a server that is busy.
          clock!.ms += expired.length
          return method(...parameters)
        }
      },
    })
  const scene = daemon({ wrap: slow })
  clock = scene.clock
  const count = 1200
  const tuple = { kind: 'GREY', helo: 'mx', from: '<a@example.org>', to: '<b@example.net>' } as const
  const times = { first: 1, pass: 2, expire: 3, bcount: 1, pcount: 0 }
  await scene.put(
    Array.from({ length: count }, (_, n) => ({ ...tuple, ...times, ip: `10.0.${n >> 8}.${n & 255}` })),
  )
  const report = await scene.scanner.scan()
  expect(report).toMatchObject({ isComplete: true, deletedCount: count })
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(count)
  // Only the first could be too long; it is what shows that.
  expect(limits.length).toBeGreaterThan(5)
  expect(Math.max(...limits.slice(1))).toBe(120)
  expect(Math.max(...sizes.slice(1))).toBeLessThanOrEqual(30)
})
