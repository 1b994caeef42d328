/** Several gateways on one server: what each writes is there once, and each learns what the others changed. */
import { afterAll, describe, expect, test, vi } from 'vitest'
import { PgLink } from '../../src/db/postgres/pg-link.js'
import type { Store } from '../../src/db/store.js'
import { PostgresServer } from '../support/postgres-server.js'
import { attemptOf, entriesOf, NOW, POLICY, Scratch, useServer } from '../support/scratch-database.js'

const server = await PostgresServer.start()
useServer(server)
afterAll(() => server.remove())
const scratch = new Scratch()

async function gateways(count: number): Promise<{ location: string; stores: Store[] }> {
  const location = await server.createDatabase()
  const stores = await Promise.all(Array.from({ length: count }, () => scratch.open(location)))
  return { location, stores }
}

const addWhite = (ip: string) => ({ operation: 'add', kind: 'WHITE', ip }) as const
const numbered = (n: number): string => `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`

/** Follows as a daemon does: from now on, each call the addresses that changed since the one before. */
async function follow(store: Store): Promise<() => Promise<string[] | 'everything'>> {
  let { newest: position } = await store.readJournal(0, 0)
  return async () => {
    const { rows, isBehind, newest } = await store.readJournal(position, 1000)
    position = rows.at(-1)?.seq ?? newest
    return isBehind
      ? 'everything'
      : rows.map(({ key }) => (key?.kind === 'host' ? key.ip : String(key?.kind)))
  }
}

/** A connection of somebody else, with a transaction that goes on. */
async function longTransaction(location: string, statement: string): Promise<() => Promise<void>> {
  const link = new PgLink(location, { mode: 'write', queryTimeoutMs: 60_000, slowCallMs: Infinity })
  let end = (): void => {}
  let begun = (): void => {}
  const hasBegun = new Promise<void>((resolve) => {
    begun = resolve
  })
  const ended = link.write('test', async (statements) => {
    await statements.rows('SET LOCAL idle_in_transaction_session_timeout = 0')
    await statements.rows(statement)
    begun()
    await new Promise<void>((resolve) => {
      end = resolve
    })
  })
  await hasBegun
  return async () => {
    end()
    await ended
    await link.close()
  }
}

describe('batches at once', () => {
  test('of eight gateways with the same mail store each tuple once, and one of them is told that it is new', async () => {
    const { stores } = await gateways(8)
    const attempts = Array.from({ length: 60 }, (_, n) => attemptOf(numbered(n)))
    const answers = await Promise.all(
      stores.map((store, index) =>
        // Each in an order of its own, so that they meet in all ways.
        store.recordAttempts(index % 2 === 0 ? attempts : attempts.toReversed(), POLICY, NOW),
      ),
    )
    const results = answers.flatMap(({ outcomes }) => outcomes.map(({ result }) => result))
    expect(results.filter((result) => result === 'new')).toHaveLength(60)
    expect(results.filter((result) => result === 'repeated')).toHaveLength(60 * 7)
    const stored = await entriesOf(stores[0]!, { kinds: ['GREY'] })
    expect(stored).toHaveLength(60)
    expect(stored.every((entry) => entry.kind === 'GREY' && entry.bcount === 8)).toBe(true)
    expect((await stores[1]!.check()).problems).toEqual([])
  })

  test('into new tables find each key by its index: none is read from end to end for it', async () => {
    const { location, stores } = await gateways(1)
    for (let batch = 0; batch < 3; batch += 1) {
      const attempts = Array.from({ length: 300 }, (_, n) => attemptOf(numbered(batch * 300 + n)))
      await stores[0]!.recordAttempts(attempts, POLICY, NOW)
    }
    const used = async (pattern: string): Promise<number> => {
      const sum = `SELECT coalesce(sum(idx_scan), 0)::bigint FROM pg_stat_user_indexes WHERE indexrelname LIKE '${pattern}'`
      return Number((await server.sql(sum, databaseOf(location)))[0]![0])
    }
    await stores[0]!.recordAttempts([attemptOf(numbered(1))], POLICY, NOW)
    // The server tells of what a connection used when it ends, or seconds later.
    await stores[0]!.close()
    await expect.poll(() => used('tuples_%_pkey'), { timeout: 60_000 }).toBeGreaterThan(0)
    expect(await used('tuples_%_expire_ip_idx')).toBe(0)
  })

  test('a first try at one and the retry at another make an address WHITE, once', async () => {
    const { stores } = await gateways(3)
    await stores[0]!.recordAttempts([attemptOf('192.0.2.1')], POLICY, NOW)
    const answers = await Promise.all(
      stores.map((store) => store.recordAttempts([attemptOf('192.0.2.1')], POLICY, NOW + 2000)),
    )
    const results = answers.map(({ outcomes }) => outcomes[0]!)
    expect(results.filter(({ result, isNewHost }) => result === 'promoted' && isNewHost)).toHaveLength(1)
    expect(await stores[2]!.get({ kind: 'host', ip: '192.0.2.1' })).toMatchObject({
      kind: 'WHITE',
      first: NOW,
    })
  })

  test('edits and deletions of the same addresses end as one of them said, each wholly', async () => {
    const { stores } = await gateways(4)
    const ips = Array.from({ length: 30 }, (_, n) => numbered(n))
    await stores[0]!.edit(ips.map(addWhite), NOW)
    await Promise.all(
      stores.map((store, index) =>
        store.edit(
          (index % 2 === 0 ? ips : ips.toReversed()).map((ip) =>
            index < 2
              ? { operation: 'delete', key: { kind: 'host', ip } }
              : { operation: 'add', kind: 'TRAPPED', ip },
          ),
          NOW + 1,
        ),
      ),
    )
    const kinds = await Promise.all(ips.map(async (ip) => (await stores[0]!.get({ kind: 'host', ip }))?.kind))
    expect(kinds.every((kind) => kind === 'TRAPPED' || kind === undefined)).toBe(true)
  })
})

describe('what changed', () => {
  test('is told to the others, each change once, and nothing when nothing did', async () => {
    const { stores } = await gateways(2)
    const next = await follow(stores[1]!)
    expect(await next()).toEqual([])
    await stores[0]!.edit([addWhite('192.0.2.1'), addWhite('192.0.2.2')], NOW)
    await stores[0]!.recordAttempts([attemptOf('192.0.2.9')], POLICY, NOW)
    expect(await next()).toEqual(['192.0.2.1', '192.0.2.2'])
    expect(await next()).toEqual([])
    await stores[0]!.recordAttempts([attemptOf('192.0.2.9')], POLICY, NOW + 2000)
    expect(await next()).toEqual(['192.0.2.9'])
  })

  test('by a transaction that ends late is not missed', async () => {
    const { location, stores } = await gateways(2)
    const next = await follow(stores[1]!)
    const row = 'INSERT INTO spamd.journal (rows) SELECT rows FROM spamd.journal ORDER BY seq LIMIT 1'
    await stores[0]!.edit([addWhite('192.0.2.1')], NOW)
    expect(await next()).toEqual(['192.0.2.1'])
    const end = await longTransaction(location, row)
    await stores[0]!.edit([addWhite('192.0.2.2')], NOW)
    expect(await next()).toEqual(['192.0.2.2'])
    await end()
    expect(await next()).toEqual(['192.0.2.1'])
    expect(await next()).toEqual([])
  })

  test('is held back by no transaction that goes on, also in another database', async () => {
    const { location, stores } = await gateways(2)
    const other = await server.createDatabase()
    const end = await longTransaction(other, "INSERT INTO spamd.settings VALUES ('a', 'b')")
    const next = await follow(stores[1]!)
    await stores[0]!.edit([addWhite('192.0.2.1')], NOW)
    // What a number that only grows would wait for: the oldest transaction that still runs anywhere.
    const [held] = await server.sql(
      'SELECT (SELECT max(xid) FROM spamd.journal) >= pg_snapshot_xmin(pg_current_snapshot())',
      databaseOf(location),
    )
    expect(held).toEqual(['t'])
    expect(await next()).toEqual(['192.0.2.1'])
    await stores[0]!.edit([addWhite('192.0.2.2')], NOW)
    expect(await next()).toEqual(['192.0.2.2'])
    await end()
    expect(await next()).toEqual([])
  })

  test('a position under a name lasts over a restart; that of another server or timeline does not', async () => {
    const { location, stores } = await gateways(1)
    const { newest } = await stores[0]!.readJournal(0, 0)
    await stores[0]!.saveJournalPosition('table', newest, NOW)
    await stores[0]!.edit([addWhite('192.0.2.1')], NOW)
    const again = await scratch.open(location)
    const position = await again.journalPosition('table')
    expect(position).toBe(newest)
    expect((await again.readJournal(position!, 10)).rows).toHaveLength(1)
    await server.sql("UPDATE spamd.journal_readers SET timeline = 'another'", databaseOf(location))
    const later = await scratch.open(location)
    expect(await later.readJournal((await later.journalPosition('table'))!, 10)).toMatchObject({
      rows: [],
      isBehind: true,
    })
  })

  test('is told to each of two readers of one store that began apart, whatever the other one reads', async () => {
    const { stores } = await gateways(2)
    const [one, other] = [await follow(stores[1]!), await follow(stores[1]!)]
    const ips = ['192.0.2.1', '192.0.2.2', '192.0.2.3']
    await stores[0]!.edit(ips.map(addWhite), NOW)
    expect(await one()).toEqual(ips)
    expect(await other()).toEqual(ips)
    expect([await one(), await other()]).toEqual([[], []])
  })

  test('is told in parts to who asks for few rows', async () => {
    const { stores } = await gateways(2)
    let { newest: position } = await stores[1]!.readJournal(0, 0)
    const ips = Array.from({ length: 5 }, (_, n) => numbered(n))
    // Of two transactions, in one look.
    await stores[0]!.edit(ips.slice(0, 3).map(addWhite), NOW)
    await stores[0]!.edit(ips.slice(3).map(addWhite), NOW)
    const told: string[] = []
    for (let look = 0; look < 4; look += 1) {
      const { rows } = await stores[1]!.readJournal(position, 2)
      expect(rows.length).toBeLessThanOrEqual(2)
      told.push(...rows.map(({ key }) => (key as { ip: string }).ip))
      position = rows.at(-1)?.seq ?? position
    }
    expect(told).toEqual(ips)
  })

  test('a number that means nothing here asks for everything', async () => {
    const { stores } = await gateways(1)
    const { newest } = await stores[0]!.readJournal(0, 0)
    expect((await stores[0]!.readJournal(newest + 17, 10)).isBehind).toBe(true)
    expect((await stores[0]!.readJournal(3, 10)).isBehind).toBe(true)
  })
})

describe('the scan', () => {
  test('is one gateway’s at a time; the others compare their tables; another one takes over', async () => {
    const { location, stores } = await gateways(2)
    await stores[0]!.upsert(
      [
        { kind: 'WHITE', ip: '192.0.2.1', first: 1, pass: 1, expire: NOW - 1, bcount: 1, pcount: 0 },
        { kind: 'GREY', ...attemptOf('192.0.2.2').tuple, first: 1, pass: 5, expire: 5, bcount: 1, pcount: 0 },
      ],
      { ifMissing: false },
    )
    expect(await stores[0]!.beginScan()).toBe('all')
    expect(await stores[1]!.beginScan()).toBe('hosts')
    const { entries } = await stores[1]!.readScanSlice(undefined, 100, { dueAt: NOW })
    expect(entries.map(({ kind }) => kind)).toEqual(['WHITE'])
    const expired = [{ kind: 'host', ip: '192.0.2.1' } as const]
    const changes = { expired, promoted: [], blocked: [], blockedTuples: [] }
    expect(await stores[1]!.applyScan(changes, POLICY, NOW)).toMatchObject({ deletedCount: 0 })
    // Until a walk reached its end, the next one is due.
    expect(await stores[1]!.beginScan()).toBe('hosts')
    await walk(stores[1]!)
    expect(await stores[1]!.beginScan()).toBe('nothing')
    expect(await stores[1]!.beginScan({ isAsked: true })).toBe('hosts')
    expect(await stores[0]!.beginScan()).toBe('all')
    expect(await stores[0]!.applyScan(changes, POLICY, NOW)).toMatchObject({ deletedCount: 1 })
    // A gateway that is gone renews nothing.
    await server.sql("UPDATE spamd.leases SET until = now() - interval '1 second'", databaseOf(location))
    expect(await stores[1]!.beginScan()).toBe('all')
    expect(await stores[0]!.beginScan()).not.toBe('all')
    await stores[1]!.close()
    expect(await stores[0]!.beginScan()).toBe('all')
  })

  test('trims the history to its limit of rows, however many came since', async () => {
    const { location, stores } = await gateways(1)
    await stores[0]!.saveHistorySettings({ mode: 'full', keepSec: 86_400, keepRows: 1000 })
    await server.sql(
      `INSERT INTO spamd.history (event, at, rule, kind, key) SELECT n, ${Math.floor(Date.now() / 1000)}, 0, 0, 'k' || n FROM generate_series(1, 45000) n`,
      databaseOf(location),
    )
    expect(await stores[0]!.beginScan()).toBe('all')
    await expect
      .poll(
        async () => {
          const rows = await stores[0]!.readHistory({ after: 0, limit: 2000 })
          return [rows.length, rows.at(-1)?.event]
        },
        { timeout: 60_000 },
      )
      .toEqual([1000, 45_000])
  })

  test('makes tables for the days to come, and drops what is too old of all that grows', async () => {
    const { location, stores } = await gateways(1)
    const database = databaseOf(location)
    const daySec = 86_400
    const startSec = Math.floor(Date.now() / 1000)
    const dayOf = (sec: number): string => new Date(sec * 1000).toISOString().slice(0, 10)
    const tableOf = (sec: number): string => `history_${dayOf(sec).replaceAll('-', '')}`
    const columnOf = async (sql: string): Promise<unknown[]> => (await server.sql(sql, database)).flat()
    const days = `SELECT relname FROM pg_class WHERE relname ~ '^history_[0-9]{8}$' AND relkind = 'r' ORDER BY 1`
    for (const table of await columnOf(days)) await server.sql(`DROP TABLE spamd.${String(table)}`, database)
    for (const age of [3, 4, 400])
      await server.sql(`SELECT spamd.keep_history('${dayOf(startSec - age * daySec)}', 'epoch')`, database)
    await server.sql(
      `INSERT INTO spamd.hourly_counts SELECT ${startSec} - age * ${daySec}, 1, 'new', '', age FROM unnest(ARRAY[395, 397]) age`,
      database,
    )
    await server.sql(
      `INSERT INTO spamd.journal (at, rows) SELECT now() - age * interval '1 minute', '' FROM unnest(ARRAY[50, 70]) age`,
      database,
    )
    await stores[0]!.saveHistorySettings({ mode: 'full', keepSec: 3 * daySec, keepRows: 1000 })
    expect(await stores[0]!.beginScan()).toBe('all')
    // Counters go last.
    await expect
      .poll(() => columnOf('SELECT count FROM spamd.hourly_counts'), { timeout: 60_000 })
      .toEqual([395])
    expect(await columnOf('SELECT count(*) FROM spamd.journal')).toEqual([1])
    const keptOn = (sec: number): string[] => [-3, 0, 1].map((day) => tableOf(sec + day * daySec))
    // It may be midnight.
    expect([keptOn(startSec), keptOn(Date.now() / 1000)]).toContainEqual(await columnOf(days))
  })

  test('is one of all addresses where the journal could not tell each change, whoever holds the lease', async () => {
    const { stores } = await gateways(2)
    expect(await stores[0]!.beginScan()).toBe('all')
    const { newest } = await stores[1]!.readJournal(0, 0)
    expect(await stores[1]!.beginScan()).toBe('hosts')
    await walk(stores[1]!)
    await stores[0]!.edit([addWhite('192.0.2.1')], NOW)
    const { newest: afterEdit } = await stores[1]!.readJournal(newest, 10)
    expect(await stores[1]!.beginScan()).toBe('nothing')
    const imported = {
      kind: 'WHITE',
      first: 1,
      pass: 1,
      expire: 0,
      bcount: 0,
      pcount: 0,
    } as const
    const many = Array.from({ length: 5001 }, (_, n) => ({ ...imported, ip: `10.0.${n >> 8}.${n & 255}` }))
    await stores[0]!.upsertAll([many], { ifMissing: false, now: NOW })
    const { rows } = await stores[1]!.readJournal(afterEdit, 10)
    expect(rows.map(({ key }) => key)).toEqual([undefined])
    expect(await stores[1]!.beginScan()).toBe('hosts')
    await walk(stores[1]!)
    expect(await stores[1]!.beginScan()).toBe('nothing')
    // A position of another server, as after a fail-over.
    expect((await stores[1]!.readJournal(3, 10)).isBehind).toBe(true)
    expect(await stores[1]!.beginScan()).toBe('hosts')
  })
})

/** Reads all that a scan reads. */
async function walk(store: Store): Promise<void> {
  let cursor: string | undefined
  do cursor = (await store.readScanSlice(cursor, 100, { dueAt: NOW })).next
  while (cursor !== undefined)
}

function databaseOf(location: string): string {
  return /\/([^/?]*)\?/.exec(location)![1]!
}

describe('a gateway whose clock stands two years ahead', () => {
  test('drops neither history, counters nor deletions that all gateways share', async () => {
    const nowSec = Math.floor(Date.now() / 1000)
    const { location, stores } = await gateways(1)
    const right = stores[0]!
    expect(await right.beginScan()).toBe('all')
    await right.recordAttempts([attemptOf('192.0.2.1')], POLICY, nowSec)
    await right.edit(
      [addWhite('192.0.2.7'), { operation: 'delete', key: { kind: 'host', ip: '192.0.2.7' } }],
      nowSec,
    )
    await right.close()
    const twoYears = 2 * 365 * 86_400
    const clock = vi
      .spyOn(Date, 'now')
      .mockImplementation(() => performance.timeOrigin + performance.now() + twoYears * 1000)
    try {
      const wrong = await scratch.open(location)
      expect(await wrong.beginScan()).toBe('all')
      await wrong.dropOldMarks(
        undefined,
        100,
        { keepSec: 36 * 86_400, keepTupleSec: 14_400 },
        nowSec + twoYears,
      )
      expect(await wrong.readHistory({ after: 0, limit: 10 })).toHaveLength(3)
      expect((await wrong.readCounts(0)).map(({ name }) => name)).toEqual(['by-hand', 'new'])
      expect(await wrong.readRecords([{ kind: 'host', ip: '192.0.2.7' }])).toHaveLength(1)
    } finally {
      clock.mockRestore()
    }
  })
})
