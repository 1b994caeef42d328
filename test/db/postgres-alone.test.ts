/** A gateway whose server goes: it goes on alone, and hands over what happened meanwhile. */
import fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import { GatewayStore } from '../../src/daemon/store/gateway-store.js'
import type { DaemonStoreCall } from '../../src/daemon/store/store-worker-messages.js'
import { openStore } from '../../src/db/open-store.js'
import { PgLink } from '../../src/db/postgres/pg-link.js'
import { PG_SCHEMA_VERSION } from '../../src/db/postgres/pg-schema.js'
import type { Store } from '../../src/db/store.js'
import type { Entry } from '../../src/domain/entry.js'
import { AppError } from '../../src/platform/app-error.js'
import { PostgresServer } from '../support/postgres-server.js'
import { attemptOf, entriesOf, POLICY, Scratch } from '../support/scratch-database.js'

const server = await PostgresServer.start()
afterAll(() => server.remove())
const scratch = new Scratch()
const NOW = Math.floor(Date.now() / 1000)

/** A gateway with a cable that can be pulled. */
class Gateway {
  readonly notices: string[] = []
  readonly local: Store
  readonly store: GatewayStore
  isCut = false
  nowSec = NOW

  private constructor(local: Store, store: GatewayStore) {
    this.local = local
    this.store = store
  }

  static async open(
    location: string,
    localPath = scratch.create(),
    watched: (local: Store) => Store = (local) => local,
  ): Promise<Gateway> {
    const local = watched(await openStore(localPath, { mode: 'write', durability: 'normal' }))
    let gateway: Gateway | undefined
    const notices: string[] = []
    const store = await GatewayStore.open({
      openServer: async () =>
        withCable(await openStore(location, { mode: 'write' }), () => gateway?.isCut === true),
      local,
      policy: POLICY,
      name: 'spamd',
      nowSec: () => gateway?.nowSec ?? NOW,
      onNotice: (text) => notices.push(text),
      onAlone: () => {},
      retryMs: 20,
    })
    gateway = new Gateway(local, store)
    gateway.notices.push(...notices)
    notices.push = (...texts) => gateway!.notices.push(...texts)
    return gateway
  }

  async call<Name extends DaemonStoreCall>(
    name: Name,
    ...parameters: Parameters<Store[Name]>
  ): Promise<Awaited<ReturnType<Store[Name]>>> {
    return (await this.store.call(name, parameters)) as Awaited<ReturnType<Store[Name]>>
  }

  async untilBack(): Promise<void> {
    await expect.poll(() => this.store.aloneSinceSec, { timeout: 60_000 }).toBeUndefined()
    await this.store.settled()
  }
}

/** The same store, which answers like one whose server is away while the cable is out. */
function withCable(store: Store, isCut: () => boolean): Store {
  return new Proxy(store, {
    get: (target, name) => {
      const value = Reflect.get(target, name) as unknown
      if (typeof value !== 'function' || name === 'close') return value
      return (...parameters: unknown[]) => {
        if (isCut()) return Promise.reject(new AppError('ERR_DB_AWAY', 'the cable is out'))
        return (value as (...parameters: unknown[]) => unknown).apply(target, parameters)
      }
    },
  })
}

const hostsOf = async (store: Store): Promise<Map<string, string>> =>
  new Map(
    (await entriesOf(store, { kinds: ['WHITE', 'TRAPPED'] })).map((entry: Entry) => [
      (entry as { ip: string }).ip,
      entry.kind,
    ]),
  )

describe('alone', () => {
  test('a gateway greylists, promotes and traps on its file, and hands over', async () => {
    const location = await server.createDatabase()
    const gateway = await Gateway.open(location)
    const other = await scratch.open(location)
    await other.edit(
      [
        { operation: 'add', kind: 'WHITE', ip: '192.0.2.1' },
        { operation: 'add', kind: 'SPAMTRAP', address: 'trap@example.net' },
      ],
      NOW,
    )
    const { newest } = await gateway.call('readJournal', 0, 0)
    await other.edit([{ operation: 'add', kind: 'WHITE', ip: '192.0.2.2' }], NOW)
    await gateway.call('readJournal', newest, 10)
    await gateway.store.settled()
    await expect.poll(async () => (await hostsOf(gateway.local)).size, { timeout: 60_000 }).toBe(2)

    gateway.isCut = true
    const trapped = attemptOf('192.0.2.9', { trapKey: 'trap@example.net' })
    const { outcomes } = await gateway.call('recordAttempts', [attemptOf('192.0.2.7'), trapped], POLICY, NOW)
    expect(outcomes.map(({ result }) => result)).toEqual(['new', 'trapped'])
    expect(gateway.store.aloneSinceSec).toBe(NOW)
    expect(gateway.notices.at(-1)).toMatch(/^the database server is unreachable \(the cable is out\): using /)
    const again = await gateway.call('recordAttempts', [attemptOf('192.0.2.7')], POLICY, NOW + 2000)
    expect(again.outcomes[0]!.result).toBe('promoted')
    // What was WHITE before shows as such, also when its time is over.
    gateway.nowSec = NOW + POLICY.whiteExpireSec * 2
    const slice = await gateway.call('readScanSlice', undefined, 100, { dueAt: gateway.nowSec })
    expect(
      slice.entries.filter(({ kind }) => kind === 'WHITE').map((entry) => (entry as { ip: string }).ip),
    ).toEqual(['192.0.2.1', '192.0.2.2', '192.0.2.7'])
    const expired = [{ kind: 'host', ip: '192.0.2.1' } as const]
    await gateway.call(
      'applyScan',
      { expired, promoted: [], blocked: [], blockedTuples: [] },
      POLICY,
      gateway.nowSec,
    )
    expect((await hostsOf(gateway.local)).has('192.0.2.1')).toBe(true)

    gateway.nowSec = NOW + 2001
    gateway.isCut = false
    await gateway.untilBack()
    expect(gateway.notices.at(-1)).toBe(
      'the database server is reachable again after 2001 s alone: handed over 2 addresses, 0 tuples, 0 spamtraps',
    )
    expect(await hostsOf(other)).toEqual(
      new Map([
        ['192.0.2.1', 'WHITE'],
        ['192.0.2.2', 'WHITE'],
        ['192.0.2.7', 'WHITE'],
        ['192.0.2.9', 'TRAPPED'],
      ]),
    )
    await gateway.store.close()
  })

  test('what was on its way to the file when the server came back is handed over as well', async () => {
    const location = await server.createDatabase()
    let letGo = (): void => {}
    const isLetGo = new Promise<void>((resolve) => {
      letGo = resolve
    })
    const slowly = (local: Store): Store =>
      new Proxy(local, {
        get: (target, name) => {
          const value = Reflect.get(target, name) as unknown
          if (typeof value !== 'function') return value
          const call = (...parameters: unknown[]): unknown =>
            (value as (...parameters: unknown[]) => unknown).apply(target, parameters)
          return name === 'recordAttempts'
            ? (...parameters: unknown[]) => isLetGo.then(() => call(...parameters))
            : call
        },
      })
    const gateway = await Gateway.open(location, scratch.create(), slowly)
    gateway.isCut = true
    await gateway.call('tupleCount')
    const recorded = gateway.call('recordAttempts', [attemptOf('192.0.2.7')], POLICY, NOW)
    gateway.isCut = false
    await expect.poll(() => gateway.store.aloneSinceSec, { timeout: 60_000 }).toBeUndefined()
    letGo()
    await recorded
    await gateway.store.settled()
    const other = await scratch.open(location)
    expect(await other.get({ kind: 'tuple', ...attemptOf('192.0.2.7').tuple })).toBeDefined()
    await gateway.store.close()
  })

  test('a release that was made before the server went is known, however many tuples wait there', async () => {
    const location = await server.createDatabase()
    const other = await scratch.open(location)
    const attempts = Array.from({ length: 600 }, (_, n) => attemptOf(`10.0.${n >> 8}.${n & 255}`))
    await other.recordAttempts(attempts, POLICY, NOW)
    const release = { kind: 'RELEASE', id: 'abc', from: 'example.com', scope: 'address', first: NOW } as const
    const made = { operation: 'make', release: { ...release, expire: NOW + 3600, used: 0 } } as const
    await other.editReleases([made], NOW)
    const gateway = await Gateway.open(location)
    await gateway.store.mirrorNow()
    expect(await gateway.local.readReleases()).toMatchObject([{ id: 'abc' }])
    await gateway.store.close()
  })

  test('a deletion on the server is not undone by what a gateway did before it heard of it', async () => {
    const location = await server.createDatabase()
    const gateway = await Gateway.open(location)
    const other = await scratch.open(location)
    await other.edit([{ operation: 'add', kind: 'WHITE', ip: '192.0.2.1' }], NOW)
    await gateway.store.settled()
    gateway.isCut = true
    await gateway.call(
      'recordSightings',
      [{ ip: '192.0.2.1', count: 1 }],
      { whiteExpireSec: 99, untrap: false },
      NOW + 1,
    )
    await other.edit([{ operation: 'delete', key: { kind: 'host', ip: '192.0.2.5' } }], NOW + 2)
    await other.edit([{ operation: 'add', kind: 'TRAPPED', ip: '192.0.2.1' }], NOW + 2)
    gateway.isCut = false
    await gateway.untilBack()
    expect((await hostsOf(other)).get('192.0.2.1')).toBe('TRAPPED')
    await gateway.store.close()
  })

  test('what was not handed over before a restart is handed over after it', async () => {
    const location = await server.createDatabase()
    const path = scratch.create()
    const first = await Gateway.open(location, path)
    first.isCut = true
    await first.call('recordAttempts', [attemptOf('192.0.2.7')], POLICY, NOW)
    await first.store.close()
    const second = await Gateway.open(location, path)
    const other = await scratch.open(location)
    expect(await entriesOf(other, { kinds: ['GREY'] })).toHaveLength(1)
    await second.store.close()
  })

  test('two to four gateways with any operations and cuts end equal, and nobody was WHITE without having waited', async () => {
    const ips = ['192.0.2.1', '192.0.2.2', '198.51.100.3']
    const step = fc.oneof(
      fc.record({ do: fc.constant('attempt' as const), at: fc.nat(3), ip: fc.constantFrom(...ips) }),
      fc.record({ do: fc.constant('see' as const), at: fc.nat(3), ip: fc.constantFrom(...ips) }),
      fc.record({ do: fc.constant('trap' as const), at: fc.nat(3), ip: fc.constantFrom(...ips) }),
      fc.record({ do: fc.constant('delete' as const), at: fc.nat(3), ip: fc.constantFrom(...ips) }),
      fc.record({ do: fc.constantFrom('cut' as const, 'heal' as const), at: fc.nat(3), ip: fc.constant('') }),
    )
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 2, max: 4 }),
        fc.array(step, { minLength: 8, maxLength: 30 }),
        async (count, steps) => {
          const location = await server.createDatabase()
          const gateways: Gateway[] = []
          for (let n = 0; n < count; n += 1) gateways.push(await Gateway.open(location))
          const firstTry = new Map<string, number>()
          let now = NOW
          for (const { do: what, at, ip } of steps) {
            now += 700
            for (const each of gateways) each.nowSec = now
            const gateway = gateways[at % count]!
            if (what === 'cut') gateway.isCut = true
            else if (what === 'heal') gateway.isCut = false
            else if (what === 'attempt') {
              if (!firstTry.has(ip)) firstTry.set(ip, now)
              const { outcomes } = await gateway.call('recordAttempts', [attemptOf(ip)], POLICY, now)
              if (outcomes[0]!.result === 'promoted')
                expect(now - firstTry.get(ip)!).toBeGreaterThan(POLICY.passSec)
            } else if (what === 'see') {
              // Only who is WHITE already is refreshed: a sighting of others would grant.
              if ((await gateway.call('get', { kind: 'host', ip }))?.kind === 'WHITE') {
                await gateway.call(
                  'recordSightings',
                  [{ ip, count: 1 }],
                  { whiteExpireSec: POLICY.whiteExpireSec, untrap: false },
                  now,
                )
              }
            } else if (what === 'trap') {
              await gateway.call('recordAttempts', [attemptOf(ip, { isDomainTrap: true })], POLICY, now)
            } else await gateway.call('applySync', [{ type: 'delete', ip }], POLICY, now)
          }
          for (const gateway of gateways) gateway.isCut = false
          for (const gateway of gateways) {
            // One that is cut hears of it with its next call.
            await gateway.call('tupleCount')
            await gateway.untilBack()
          }
          const shared = await scratch.open(location)
          const wanted = await hostsOf(shared)
          for (const gateway of gateways) {
            await gateway.store.mirrorNow()
            const own = await hostsOf(gateway.local)
            for (const [ip, kind] of wanted) expect([ip, own.get(ip)]).toEqual([ip, kind])
            await gateway.store.close()
          }
        },
      ),
      { numRuns: 12 },
    )
  })
})

describe('a server that', () => {
  const timeouts = { queryTimeoutMs: 2000, slowCallMs: Infinity, mode: 'write' as const }

  test.each(['fast', 'immediate', 'kill'] as const)(
    'is stopped (%s) is away, and is used again when it is back',
    async (how) => {
      const own = await PostgresServer.start()
      try {
        const store = await scratch.open(await own.createDatabase())
        await store.edit([{ operation: 'add', kind: 'WHITE', ip: '192.0.2.1' }], NOW)
        await own.stop(how)
        await expect(store.count()).rejects.toMatchObject({ code: 'ERR_DB_AWAY' })
        await own.launch()
        await expect
          .poll(() => store.count().catch(() => undefined), { timeout: 60_000 })
          .toMatchObject({ WHITE: 1 })
      } finally {
        await own.remove()
      }
    },
  )

  test('freezes is given up after the time-out', async () => {
    const own = await PostgresServer.start()
    try {
      const link = new PgLink(
        `${own.location()}`.replace('connect_timeout=60', 'connect_timeout=1'),
        timeouts,
      )
      await link.read('test', (statements) => statements.rows('SELECT 1'))
      own.signalAll('SIGSTOP')
      const startedMs = performance.now()
      await expect(link.read('test', (statements) => statements.rows('SELECT 1'))).rejects.toMatchObject({
        code: 'ERR_DB_AWAY',
      })
      expect(performance.now() - startedMs).toBeGreaterThan(1500)
      own.signalAll('SIGCONT')
      await expect
        .poll(() => link.read('test', (statements) => statements.rows('SELECT 1')).catch(() => undefined), {
          timeout: 60_000,
        })
        .toHaveLength(1)
      await link.close()
    } finally {
      own.signalAll('SIGCONT')
      await own.remove()
    }
  })

  test('fails over to its standby is followed there by a location with two hosts', async () => {
    const primary = await PostgresServer.start()
    const standby = await PostgresServer.start({}, primary)
    try {
      const own = await primary.createDatabase()
      const location = own.replace('@', `@${encodeURIComponent(standby.folder)},`)
      const notices: string[] = []
      const store = await scratch.open(location, { onNotice: (text) => notices.push(text) })
      await store.edit([{ operation: 'add', kind: 'WHITE', ip: '192.0.2.1' }], NOW)
      const { newest } = await store.readJournal(0, 0)
      await expect
        .poll(
          () => standby.sql('SELECT count(*) FROM spamd.hosts', /\/(\w+)\?/.exec(own)![1]).catch(() => []),
          { timeout: 60_000 },
        )
        .toEqual([[1]])
      await primary.stop('kill')
      await expect(store.count()).rejects.toMatchObject({ code: 'ERR_DB_AWAY' })
      standby.promote()
      await expect
        .poll(() => store.count().catch(() => undefined), { timeout: 60_000 })
        .toMatchObject({ WHITE: 1 })
      expect(notices.at(-1)).toContain('is not the same server or timeline as')
      expect((await store.readJournal(newest, 10)).isBehind).toBe(true)
      expect(
        (await store.edit([{ operation: 'add', kind: 'WHITE', ip: '192.0.2.2' }], NOW)).outcomes,
      ).toEqual(['added'])
    } finally {
      await standby.remove()
      await primary.remove()
    }
  })

  test('refuses, is read-only, full of connections or holds a lock says why', async () => {
    const location = await server.createDatabase()
    const database = /\/(\w+)\?/.exec(location)![1]!
    const store = await scratch.open(location)
    await server.sql('CREATE ROLE gateway LOGIN')
    await server.sql('GRANT spamd_daemon TO gateway', database)
    const gateway = await scratch.open(server.location(database, 'gateway'))
    await gateway.edit([{ operation: 'add', kind: 'WHITE', ip: '192.0.2.1' }], NOW)
    await gateway.recordAttempts([attemptOf('192.0.2.2')], POLICY, NOW)
    expect(await gateway.beginScan()).toBe('all')
    await server.sql('REVOKE UPDATE, INSERT ON spamd.hosts FROM spamd_daemon', database)
    await expect(
      gateway.edit([{ operation: 'add', kind: 'WHITE', ip: '192.0.2.3' }], NOW),
    ).rejects.toMatchObject({
      code: 'ERR_DB_READONLY',
      message: expect.stringContaining('permission denied'),
    })
    const monitor = server.location(database, 'monitor')
    await server.sql('CREATE ROLE monitor LOGIN')
    await server.sql('GRANT spamd_monitor TO monitor', database)
    await server.sql(`ALTER ROLE monitor CONNECTION LIMIT 1`)
    const held = await scratch.open(monitor, { mode: 'read' })
    await held.tupleCount()
    await expect(scratch.open(monitor, { mode: 'read' })).rejects.toMatchObject({ code: 'ERR_DB_AWAY' })
    await server.sql('ALTER ROLE gateway SET default_transaction_read_only = on')
    await expect(scratch.open(server.location(database, 'gateway'))).rejects.toMatchObject({
      code: 'ERR_DB_READONLY',
    })
    await server.sql('UPDATE spamd.version SET version = 99', database)
    await expect(scratch.open(location)).rejects.toThrow(/are of version 99, newer than/)
    await server.sql(`UPDATE spamd.version SET version = ${PG_SCHEMA_VERSION}`, database)
    const link = new PgLink(location, { ...timeouts, queryTimeoutMs: 60_000 })
    await link.write('test', async (statements) => {
      await statements.rows('SET LOCAL idle_in_transaction_session_timeout = 0')
      await statements.rows('LOCK TABLE spamd.hosts IN ACCESS EXCLUSIVE MODE')
      await expect(
        store.edit([{ operation: 'add', kind: 'WHITE', ip: '192.0.2.9' }], NOW),
      ).rejects.toMatchObject({
        code: 'ERR_DB_BUSY',
      })
    })
    await link.close()
    expect((await store.edit([{ operation: 'add', kind: 'WHITE', ip: '192.0.2.9' }], NOW)).outcomes).toEqual([
      'added',
    ])
  })

  test('asks for a password gets it from PGPASSFILE, and none is shown when it is wrong', async () => {
    const own = await PostgresServer.start({ hba: ['local all admin trust', 'local all all scram-sha-256'] })
    try {
      await own.sql("CREATE ROLE gateway LOGIN PASSWORD 'geheim'")
      const location = own.location('postgres', 'gateway')
      const { writeFileSync, chmodSync } = await import('node:fs')
      const { join } = await import('node:path')
      const file = join(scratch.folder(), 'pgpass')
      const ask = async (): Promise<unknown> => {
        const link = new PgLink(location, timeouts)
        try {
          return await link.read('test', (statements) => statements.rows('SELECT 1'))
        } finally {
          await link.close()
        }
      }
      const former = process.env.PGPASSFILE
      process.env.PGPASSFILE = file
      try {
        writeFileSync(file, `*:*:*:gateway:geheim\n`)
        chmodSync(file, 0o600)
        expect(await ask()).toEqual([[1]])
        writeFileSync(file, `*:*:*:gateway:falsch\n`)
        await expect(ask()).rejects.toSatisfy((error: AppError) => {
          expect(error.code).toBe('ERR_DB_OPEN')
          expect(
            JSON.stringify([error.message, error.hint, String(error.cause), String(error.stack)]),
          ).not.toMatch(/geheim|falsch/)
          return true
        })
        writeFileSync(file, '')
        await expect(ask()).rejects.toMatchObject({ code: 'ERR_DB_OPEN' })
      } finally {
        if (former === undefined) delete process.env.PGPASSFILE
        else process.env.PGPASSFILE = former
      }
    } finally {
      await own.remove()
    }
  })
})
