/** What lies between a gateway and its server, and what the server runs into: each is got over without losing an answer. */
import { execFileSync } from 'node:child_process'
import { statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test, vi } from 'vitest'
import type { Store } from '../../src/db/store.js'
import { HAS_PGBOUNCER, PgBouncer } from '../support/pgbouncer.js'
import { PostgresServer } from '../support/postgres-server.js'
import { attemptOf, entriesOf, listingOf, NOW, POLICY, Scratch } from '../support/scratch-database.js'
import { skipUnless, skipUnlessRoot } from '../support/skip-unless.js'

const server = await PostgresServer.start()
afterAll(() => server.remove())
const scratch = new Scratch()

const addWhite = (ip: string) => ({ operation: 'add', kind: 'WHITE', ip }) as const
const numbered = (n: number): string => `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`
const databaseOf = (location: string): string => /\/([^/?]*)\?/.exec(location)![1]!

describe.skipIf(skipUnless(HAS_PGBOUNCER, 'pgbouncer is not there: scripts/setup-lab.sh fetches it'))(
  'pgbouncer in transaction mode, with fewer connections than gateways',
  () => {
    test('stores each tuple once, scans, follows changes, imports and lists', async () => {
      const location = await server.createDatabase()
      const bouncer = new PgBouncer(server)
      try {
        await bouncer.start()
        // They listen, as a daemon does; which of them hears is luck, and nothing below waits for it.
        const options = { onAlarm: () => undefined }
        const stores = await Promise.all(
          Array.from({ length: 6 }, () => scratch.open(bouncer.location(databaseOf(location)), options)),
        )
        const positions = await Promise.all(
          stores.map(async (store) => (await store.readJournal(0, 0)).newest),
        )
        const attempts = Array.from({ length: 40 }, (_, n) => attemptOf(numbered(n)))
        const answers = await Promise.all(
          stores.map((store, index) =>
            store.recordAttempts(index % 2 === 0 ? attempts : attempts.toReversed(), POLICY, NOW),
          ),
        )
        const results = answers.flatMap(({ outcomes }) => outcomes.map(({ result }) => result))
        expect(results.filter((result) => result === 'new')).toHaveLength(40)
        expect(await entriesOf(stores[0]!, { kinds: ['GREY'] })).toHaveLength(40)
        const scopes = await Promise.all(stores.map((store) => store.beginScan()))
        expect(scopes.filter((scope) => scope === 'all')).toHaveLength(1)
        await stores[0]!.edit([addWhite('192.0.2.1')], NOW)
        for (const [index, store] of stores.entries()) {
          const { rows } = await store.readJournal(positions[index]!, 10)
          expect(rows.map(({ key }) => (key as { ip: string }).ip)).toEqual(['192.0.2.1'])
        }
        const imported = Array.from({ length: 3000 }, (_, n) => ({
          ...({ kind: 'WHITE', ip: `11.0.${n >> 8}.${n & 255}` } as const),
          ...{ first: 1, pass: 1, expire: 0, bcount: 0, pcount: 0 },
        }))
        await Promise.all(
          stores.slice(0, 3).map((store) => store.upsertAll([imported], { ifMissing: true, now: NOW })),
        )
        const direct = await scratch.open(location)
        expect(await listingOf(stores[5]!)).toBe(await listingOf(direct))
        expect((await direct.check()).problems).toEqual([])
        await bouncer.stop()
        await expect(stores[0]!.count()).rejects.toMatchObject({ code: 'ERR_DB_AWAY' })
        await bouncer.start()
        await expect
          .poll(() => stores[0]!.count().catch(() => undefined), { timeout: 60_000 })
          .toMatchObject({ WHITE: 3001 })
      } finally {
        await bouncer.remove()
      }
    })
  },
)

describe('the alarm clock', () => {
  test('rings at another gateway when addresses changed, not for tuples, and not at oneself', async () => {
    const location = await server.createDatabase()
    const heard = [0, 0]
    const stores = await Promise.all(
      heard.map((_, index) => scratch.open(location, { onAlarm: () => (heard[index]! += 1) })),
    )
    await stores[0]!.recordAttempts([attemptOf('192.0.2.9')], POLICY, NOW)
    await stores[0]!.edit([addWhite('192.0.2.1')], NOW)
    await expect.poll(() => heard[1], { timeout: 60_000 }).toBe(1)
    await stores[0]!.recordAttempts([attemptOf('192.0.2.9')], POLICY, NOW + 2000)
    await expect.poll(() => heard[1], { timeout: 60_000 }).toBe(2)
    expect(heard[0]).toBe(0)
  })

  test('of 10,000 notifications at once rings a few times, and nothing waits for them', async () => {
    const location = await server.createDatabase()
    let heard = 0
    const store = await scratch.open(location, { onAlarm: () => (heard += 1) })
    const { newest } = await store.readJournal(0, 0)
    const startedMs = performance.now()
    await server.sql(
      "SELECT count(pg_notify('spamd', n::text)) FROM generate_series(1, 10000) n",
      databaseOf(location),
    )
    const writer = await scratch.open(location)
    await writer.edit([addWhite('192.0.2.1')], NOW)
    expect((await store.readJournal(newest, 10)).rows).toHaveLength(1)
    await expect.poll(() => heard, { timeout: 60_000 }).toBeGreaterThan(0)
    const elapsedMs = performance.now() - startedMs
    expect(heard).toBeLessThanOrEqual(2 + elapsedMs / 250)
  })

  test('is not missed when the connection was lost: the next one listens again', async () => {
    const location = await server.createDatabase()
    let heard = 0
    const store = await scratch.open(location, { onAlarm: () => (heard += 1) })
    const others = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${databaseOf(location)}'`
    await server.sql(others)
    await expect.poll(() => store.count().catch(() => undefined), { timeout: 60_000 }).toBeDefined()
    const writer = await scratch.open(location)
    await writer.edit([addWhite('192.0.2.1')], NOW)
    await expect.poll(() => heard, { timeout: 60_000 }).toBeGreaterThan(0)
  })
})

describe('a gateway', () => {
  test('whose clock is a day ahead says so, and its entries have the time of the server', async () => {
    const location = await server.createDatabase()
    const notices: string[] = []
    const wrong = vi
      .spyOn(Date, 'now')
      .mockImplementation(() => performance.timeOrigin + performance.now() + 86_400_000)
    let store: Store
    try {
      store = await scratch.open(location, { onNotice: (text) => notices.push(text) })
    } finally {
      wrong.mockRestore()
    }
    expect(notices).toEqual([
      expect.stringMatching(
        /^the clock of this machine is 8640\d s ahead of that of .*: times of entries follow the server$/,
      ),
    ])
    const right = await scratch.open(location)
    const nowSec = Math.floor(Date.now() / 1000)
    await store.recordAttempts([attemptOf('192.0.2.1')], POLICY, nowSec + 86_400)
    const [entry] = await entriesOf(right, { kinds: ['GREY'] })
    expect(Math.abs((entry as { first: number }).first - nowSec)).toBeLessThan(60)
    // Whoever waited by a right clock is let in by this one as well, and not before.
    const soon = await store.recordAttempts([attemptOf('192.0.2.1')], POLICY, nowSec + 86_400 + 60)
    expect(soon.outcomes[0]!.result).toBe('repeated')
    const late = await store.recordAttempts(
      [attemptOf('192.0.2.1')],
      POLICY,
      nowSec + 86_400 + POLICY.passSec + 60,
    )
    expect(late.outcomes[0]!.result).toBe('promoted')
  })
})

describe('a server that', () => {
  test('is restarted under load loses no attempt that was answered, and none is there twice', async () => {
    const own = await PostgresServer.start({ isDurable: true })
    try {
      const location = await own.createDatabase()
      const stores = await Promise.all(Array.from({ length: 4 }, () => scratch.open(location)))
      const answered = new Set<string>()
      let isOver = false
      let failures = 0
      const load = stores.map(async (store, gateway) => {
        for (let batch = 0; !isOver; batch += 1) {
          const attempts = Array.from({ length: 20 }, (_, n) =>
            attemptOf(`10.${gateway}.${batch & 255}.${n}`),
          )
          try {
            await store.recordAttempts(attempts, POLICY, NOW)
            for (const { clientIp } of attempts) answered.add(clientIp)
          } catch {
            failures += 1
            await new Promise((resolve) => setTimeout(resolve, 20))
          }
        }
      })
      for (const how of ['fast', 'immediate', 'kill'] as const) {
        const before = answered.size
        await expect.poll(() => answered.size, { timeout: 60_000 }).toBeGreaterThan(before + 100)
        await own.stop(how)
        await own.launch()
      }
      const before = answered.size
      await expect.poll(() => answered.size, { timeout: 60_000 }).toBeGreaterThan(before)
      isOver = true
      await Promise.all(load)
      expect(failures).toBeGreaterThan(0)
      const store = await scratch.open(location)
      const stored = await entriesOf(store, { kinds: ['GREY'] })
      const ips = new Set(stored.map((entry) => (entry as { ip: string }).ip))
      expect([...answered].filter((ip) => !ips.has(ip))).toEqual([])
      expect((await store.check()).problems).toEqual([])
    } finally {
      await own.remove()
    }
  })

  test.skipIf(skipUnlessRoot('a small file system is mounted'))(
    'has a full disk says so, and goes on when there is room again',
    async () => {
      const disk = scratch.folder()
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=120m,mode=0755', 'full-disk', disk])
      let own: PostgresServer | undefined
      try {
        own = await PostgresServer.start({
          parent: disk,
          settings: ['max_wal_size = 32MB', 'min_wal_size = 32MB'],
        })
        const store = await scratch.open(await own.createDatabase())
        await store.edit([addWhite('192.0.2.1')], NOW)
        const { bavail, bsize } = statfsSync(disk)
        writeFileSync(join(disk, 'ballast'), Buffer.alloc(bavail * bsize - 200_000))
        let reason: unknown
        for (let batch = 0; reason === undefined && batch < 200; batch += 1) {
          const attempts = Array.from({ length: 200 }, (_, n) => attemptOf(`10.1.${batch}.${n}`))
          reason = await store.recordAttempts(attempts, POLICY, NOW).then(
            () => undefined,
            (error: unknown) => error,
          )
        }
        // A full disk of data is told as such; one of the log stops the server.
        expect(reason).toMatchObject({ code: expect.stringMatching(/^ERR_DB_(FULL|AWAY)$/) })
        execFileSync('rm', [join(disk, 'ballast')])
        if (!own.isRunning) await own.launch()
        await expect
          .poll(
            () =>
              store.edit([addWhite('192.0.2.2')], NOW).then(
                () => true,
                () => false,
              ),
            { timeout: 60_000 },
          )
          .toBe(true)
        expect(await store.count()).toMatchObject({ WHITE: 2 })
        expect((await store.check()).problems).toEqual([])
      } finally {
        await own?.remove()
        execFileSync('umount', [disk])
      }
    },
  )
})
