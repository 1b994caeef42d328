/**
 * The store on a PostgreSQL server of its own on this machine, with fsync: batches into many tuples, dialogues, 16 gateway
 * processes, followers, moving and listing entries, expiry in slices. Says what the server's processes cost.
 *
 * `npm run bench:postgres -- [TUPLES [ADDRESSES]]`: tuples that are there before (100,000) and addresses moved and listed (100,000).
 */
import { fork } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { moveDatabase } from '../src/app/database/move-database.js'
import { createDatabase, openStore } from '../src/db/open-store.js'
import { PgLink } from '../src/db/postgres/pg-link.js'
import type { Store } from '../src/db/store.js'
import type { Entry } from '../src/domain/entry.js'
import type { EntryQuery } from '../src/domain/query.js'
import { PostgresServer } from '../test/support/postgres-server.js'
import {
  addressOf,
  attempts,
  dialogues,
  nowSec,
  pause,
  percentile,
  policy,
  serverSeconds,
  walBytes,
} from './postgres-load.js'

const tupleCount = Number(process.argv[2] ?? 100_000)
const hostCount = Number(process.argv[3] ?? 100_000)
const GATEWAYS = 16
const FOLLOWERS = 50
const SLICE = 1000
const folder = mkdtempSync(join(tmpdir(), 'spamdctl-bench-'))
const server = await PostgresServer.start({
  isDurable: true,
  settings: ['shared_buffers = 1GB', 'max_wal_size = 4GB', 'max_connections = 120'],
})
const location = await server.createDatabase()
const database = /\/([^/?]*)\?/.exec(location)![1]!
const open = (): Promise<Store> => openStore(location, { mode: 'write' })
const fixed = (value: number): string => value.toFixed(1)

async function timed<Result>(name: string, run: () => Promise<Result>, count?: number): Promise<Result> {
  const [startMs, startCpu, startWal] = [performance.now(), serverSeconds(server), await walBytes(server)]
  const result = await run()
  const seconds = (performance.now() - startMs) / 1000
  const [cpu, wal] = [serverSeconds(server) - startCpu, (await walBytes(server)) - startWal]
  const each =
    count === undefined
      ? ''
      : `, ${Math.round(count / seconds)}/s, ${Math.round((cpu / count) * 1e6)} us and ${Math.round(wal / count)} bytes of WAL each`
  console.log(`${name}: ${seconds.toFixed(2)} s${each}; server ${cpu.toFixed(1)} s of a core`)
  return result
}

/** Tuples of earlier mail, made by the server itself: all waiting, spread over four hours. Indexes come when all are there. */
async function fill(): Promise<void> {
  const link = new PgLink(server.location(database), {
    mode: 'write',
    queryTimeoutMs: 900_000,
    slowCallMs: Infinity,
  })
  const run = (sql: string): Promise<void> => link.read('fill', (statements) => statements.run(sql))
  const rows = await server.sql(
    "SELECT indexdef FROM pg_indexes WHERE schemaname = 'spamd' AND tablename = 'tuples' AND indexname <> 'tuples_pkey'",
    database,
  )
  const names = rows.map(([text]) => /INDEX (\S+)/.exec(text as string)![1]!)
  await run('ALTER TABLE spamd.tuples DROP CONSTRAINT tuples_pkey')
  for (const name of names) await run(`DROP INDEX spamd.${name}`)
  for (let start = 1; start <= tupleCount; start += 1_000_000) {
    const end = Math.min(tupleCount, start + 999_999)
    await run(
      `INSERT INTO spamd.tuples (net, ip, digest, helo, sender, recipient, is_removed, first, pass, expire, bcount, pcount)
      SELECT regexp_replace(ip, '[0-9]+$', ''), ip,
        left(encode(sha256('mx.example.org' || '\\x00'::bytea || sender || '\\x00' || '<user@example.net>'), 'hex'), 32)::uuid,
        'mx.example.org', sender, '<user@example.net>',
        false, ${nowSec} - n % 10000, ${nowSec} + 20000, ${nowSec} + 14400 - n % 10000, 1, 0
      FROM (SELECT n, convert_to('<f' || n || '@example.org>', 'LATIN1') AS sender,
          (11 + (m >> 24 & 127)) || '.' || (m >> 16 & 255) || '.' || (m >> 8 & 255) || '.' || (m & 255) AS ip
        FROM (SELECT n, n * 2654435769::bigint & 4294967295 AS m FROM generate_series(${start}::bigint, ${end}) n) AS mixed) AS made`,
    )
  }
  await run('ALTER TABLE spamd.tuples ADD CONSTRAINT tuples_pkey PRIMARY KEY (ip, digest, net)')
  for (const [text] of rows) await run((text as string).replace(' ON ONLY ', ' ON '))
  await run('VACUUM ANALYZE spamd.tuples')
  await run('CHECKPOINT')
  await link.close()
}

async function batches(): Promise<void> {
  for (const [gateways, size] of [
    [1, 2000],
    [2, 2000],
    [4, 500],
  ] as const) {
    const stores = await Promise.all(Array.from({ length: gateways }, open))
    const perGateway = 80_000 / gateways
    await timed(
      `attempts by ${gateways} gateways, batches of ${size}`,
      () =>
        Promise.all(
          stores.map(async (store, g) => {
            for (let start = 0; start < perGateway; start += size) {
              const first = 2 ** 30 + gateways * 1e7 + g * perGateway + start
              await store.recordAttempts(attempts(first, size), policy, nowSec)
            }
          }),
        ),
      80_000,
    )
    for (const store of stores) await store.close()
  }
}

async function latency(): Promise<void> {
  const store = await open()
  for (const [perSec, sec, start] of [
    [100, 10, 2e9],
    [1000, 10, 2.1e9],
  ] as const) {
    const record = (batch: ReturnType<typeof attempts>) => store.recordAttempts(batch, policy, nowSec)
    const { waits, longestQueue, lastQueue } = await timed(
      `dialogues at ${perSec}/s`,
      () => dialogues(record, { perSec, sec, start }),
      perSec * sec,
    )
    console.log(
      `  half within ${fixed(percentile(waits, 0.5))} ms, 99 % within ${fixed(percentile(waits, 0.99))} ms; longest queue ${longestQueue}, at the end ${lastQueue}`,
    )
  }
  await store.close()
}

/** Many processes with the same mail: each tuple once, and how soon an address is known to all others. */
async function manyProcesses(): Promise<void> {
  const module = fileURLToPath(new URL('./postgres-gateway.ts', import.meta.url))
  const count = 400
  let created = 0
  const promotedMs = new Map<string, number>()
  const delays: number[] = []
  const unseen: { ip: string; atMs: number }[] = []
  let [done, ready] = [0, 0]
  const children = Array.from({ length: GATEWAYS }, (_, n) => {
    const child = fork(module, [location, String(n), String(count)], { execArgv: ['--import', 'tsx'] })
    child.on(
      'message',
      (message: { kind: string; created?: number; ip?: string; ips?: string[]; atMs?: number }) => {
        if (message.kind === 'ready') ready += 1
        if (message.kind === 'done') done += 1
        if (message.kind === 'stored') created += message.created!
        if (message.kind === 'promoted') promotedMs.set(message.ip!, message.atMs!)
        for (const ip of message.ips ?? []) unseen.push({ ip, atMs: message.atMs! })
      },
    )
    return child
  })
  while (ready < GATEWAYS) await pause(50)
  for (const child of children) child.send('begin')
  await timed(`${GATEWAYS} gateway processes`, async () => {
    while (done < GATEWAYS) await pause(50)
    await pause(1500)
  })
  for (const child of children) child.send('end')
  await Promise.all(children.map((child) => new Promise((resolve) => child.once('exit', resolve))))
  for (const { ip, atMs } of unseen)
    if (promotedMs.has(ip)) delays.push(Math.max(0, atMs - promotedMs.get(ip)!))
  console.log(
    `  ${count} messages to all of them: ${created} tuples made; ${promotedMs.size} promoted, ${unseen.length} times learned (all: ${promotedMs.size * GATEWAYS}), half within ${percentile(delays, 0.5)} ms, 99 % within ${percentile(delays, 0.99)} ms`,
  )
}

async function expiry(): Promise<void> {
  const store = await open()
  const total = Math.min(tupleCount, 1_000_000)
  const slices: number[] = []
  await timed(
    `${total} tuples expired in slices of ${SLICE}`,
    async () => {
      await store.beginScan()
      for (let left = total; left > 0; ) {
        const startMs = performance.now()
        const { entries } = await store.readScanSlice('EXPIRED', SLICE, { dueAt: nowSec + 20_000 })
        const expired = entries.flatMap((entry) =>
          entry.kind === 'GREY' ? [{ ...entry, kind: 'tuple' as const }] : [],
        )
        if (expired.length === 0) break
        await store.applyScan({ expired, promoted: [], blocked: [] }, policy, nowSec + 20_000)
        slices.push(performance.now() - startMs)
        left -= expired.length
      }
    },
    total,
  )
  console.log(
    `  slice: half within ${fixed(percentile(slices, 0.5))} ms, 99 % within ${fixed(percentile(slices, 0.99))} ms, slowest ${fixed(Math.max(...slices))} ms`,
  )
  await store.close()
}

function* hosts(): Generator<Entry[]> {
  for (let start = 0; start < hostCount; start += 5000) {
    yield Array.from({ length: Math.min(5000, hostCount - start) }, (_, index): Entry => {
      const times = { first: nowSec, pass: nowSec, expire: nowSec + 3_110_400, bcount: 1, pcount: 0 }
      return { kind: 'WHITE', ip: addressOf(start + index), ...times }
    })
  }
}

async function list(store: Store, query: EntryQuery = {}): Promise<void> {
  for await (const chunk of store.listText(query)) void chunk.length
}

async function movingAndListing(): Promise<void> {
  const path = join(folder, 'file.sqlite')
  createDatabase(path)
  const file = await openStore(path, { mode: 'write', durability: 'normal' })
  await file.upsertAll(hosts(), { ifMissing: false, now: nowSec })
  const target = await openStore(await server.createDatabase(), { mode: 'write' })
  await timed(
    `${hostCount} addresses moved to the server`,
    () => moveDatabase(file, target, nowSec),
    hostCount,
  )
  await timed('listed by SQLite', () => list(file), hostCount)
  await timed('listed by the server', () => list(target), hostCount)
  await timed('--ip 12.7.0.0/16 on the server', () => list(target, { network: '12.7.0.0/16' }))
  await followers(target)
  await file.close()
  await target.close()
}

/** Gateways that follow and have nothing else to do, while one address after the other is promoted. */
async function followers(target: Store): Promise<void> {
  const stores = await Promise.all(
    Array.from({ length: FOLLOWERS }, () =>
      openStore(target.location, { mode: 'write', onAlarm: () => undefined }),
    ),
  )
  const positions = await Promise.all(stores.map(async (store) => (await store.readJournal(0, 0)).newest))
  for (const activity of [0, 5]) {
    const [startCpu, startMs] = [serverSeconds(server), performance.now()]
    for (let round = 0; round < 40; round += 1) {
      const roundMs = performance.now()
      const edits = Array.from({ length: activity }, (_, n) => ({
        ...({ operation: 'add', kind: 'WHITE' } as const),
        ip: `203.0.${round}.${n}`,
      }))
      if (activity > 0) await target.edit(edits, nowSec)
      await Promise.all(
        stores.map(async (store, n) => {
          const { rows, newest } = await store.readJournal(positions[n]!, 1000)
          positions[n] = rows.at(-1)?.seq ?? newest
        }),
      )
      await pause(Math.max(0, 500 - (performance.now() - roundMs)))
    }
    const share = (serverSeconds(server) - startCpu) / ((performance.now() - startMs) / 1000)
    console.log(
      `${FOLLOWERS} followers among ${hostCount} addresses, ${activity * 2} changes a second: server ${fixed(share * 100)} % of a core`,
    )
  }
  for (const store of stores) await store.close()
}

try {
  await timed(`${tupleCount} tuples made by the server`, fill)
  await batches()
  await latency()
  await manyProcesses()
  await expiry()
  await movingAndListing()
} finally {
  await server.remove()
  rmSync(folder, { recursive: true, force: true })
}
