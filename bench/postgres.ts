/**
 * The store on a PostgreSQL server of its own on this machine, with fsync: attempts in batches by one to sixteen gateways,
 * single dialogues, moving and listing a million entries, expiry in slices, and what followers cost the server.
 *
 * `npm run bench:postgres -- [ROWS]`: tuples that are there before (100,000). Says what the server's processes cost.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { moveDatabase } from '../src/app/database/move-database.js'
import { createDatabase, openStore } from '../src/db/open-store.js'
import type { Store, TupleAttempt } from '../src/db/store.js'
import type { Entry } from '../src/domain/entry.js'
import { PostgresServer } from '../test/support/postgres-server.js'

const rowCount = Number(process.argv[2] ?? 100_000)
const policy = {
  passSec: 1500,
  greyExpireSec: 14_400,
  whiteExpireSec: 3_110_400,
  trapExpireSec: 86_400,
  maxTuplesPerAddress: 1000,
  maxTuples: 2 ** 40,
  maxTupleBytes: 2 ** 50,
}
const nowSec = Math.floor(Date.now() / 1000)
const folder = mkdtempSync(join(tmpdir(), 'spamdctl-bench-'))
const server = await PostgresServer.start({
  isDurable: true,
  settings: ['shared_buffers = 256MB', 'max_wal_size = 2GB'],
})

function addressOf(n: number): string {
  return `${11 + ((n >> 22) & 127)}.${(n >> 16) & 63}.${(n >> 8) & 255}.${n & 255}`
}

function attempt(n: number): TupleAttempt {
  const ip = addressOf(n)
  return {
    tuple: { ip, helo: `mx${n % 1000}.example.org`, from: `<s${n}@example.org>`, to: '<user@example.net>' },
    clientIp: ip,
    trapKey: 'user@example.net',
    isDomainTrap: false,
    isLowPriorityMx: false,
    mayPromote: true,
  }
}

/** Seconds of processor time that the server's processes have used. */
function serverSeconds(): number {
  const output = execFileSync('ps', ['-o', 'cputimes=', '--ppid', String(server.pid)], { encoding: 'utf8' })
  return output
    .trim()
    .split(/\s+/)
    .reduce((sum, text) => sum + Number(text), 0)
}

async function timed<Result>(name: string, run: () => Promise<Result>, count?: number): Promise<Result> {
  const [startMs, startCpu] = [performance.now(), serverSeconds()]
  const result = await run()
  const seconds = (performance.now() - startMs) / 1000
  const rate = count === undefined ? '' : `, ${Math.round(count / seconds)}/s`
  console.log(
    `${name}: ${seconds.toFixed(2)} s${rate}; server ${(serverSeconds() - startCpu).toFixed(0)} s of a core`,
  )
  return result
}

const percentile = (values: number[], share: number): number =>
  values.toSorted((one, other) => one - other)[Math.floor(values.length * share)] ?? 0

function* entries(count: number, kind: 'WHITE' | 'GREY'): Generator<Entry[]> {
  for (let start = 0; start < count; start += 5000) {
    yield Array.from({ length: Math.min(5000, count - start) }, (_, index): Entry => {
      const n = start + index
      const times = { first: nowSec, pass: nowSec + 14_400, expire: nowSec + 14_400, bcount: 1, pcount: 0 }
      return kind === 'GREY'
        ? { kind, ...attempt(n + (1 << 28)).tuple, ...times }
        : { kind, ip: addressOf(n), ...times, pass: nowSec, expire: nowSec + 3_110_400 }
    })
  }
}

async function listAll(store: Store): Promise<number> {
  let bytes = 0
  for await (const chunk of store.listText()) bytes += chunk.length
  return bytes
}

try {
  const location = await server.createDatabase()
  const open = (): Promise<Store> => openStore(location, { mode: 'write' })
  const store = await open()
  await timed(
    `${rowCount} tuples imported`,
    () => store.upsertAll(entries(rowCount, 'GREY'), { ifMissing: false }),
    rowCount,
  )
  for (const gateways of [1, 4, 16]) {
    const stores = await Promise.all(Array.from({ length: gateways }, open))
    const perGateway = Math.floor(20_000 / gateways)
    await timed(
      `attempts by ${gateways} gateways, batches of 500`,
      () =>
        Promise.all(
          stores.map(async (each, g) => {
            for (let start = 0; start < perGateway; start += 500) {
              const batch = Array.from({ length: 500 }, (_, n) =>
                attempt(gateways * 1_000_000 + g * perGateway + start + n),
              )
              await each.recordAttempts(batch, policy, nowSec)
            }
          }),
        ),
      perGateway * gateways,
    )
    for (const each of stores) await each.close()
  }
  const waits: number[] = []
  for (let n = 0; n < 300; n += 1) {
    const startMs = performance.now()
    await store.recordAttempts([attempt(50_000_000 + n)], policy, nowSec)
    waits.push(performance.now() - startMs)
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, 10 - (performance.now() - startMs))))
  }
  console.log(
    `single dialogues at 100/s: p50 ${percentile(waits, 0.5).toFixed(1)} ms, p99 ${percentile(waits, 0.99).toFixed(1)} ms`,
  )
  const due: number[] = []
  await timed(
    '10,000 tuples expired in slices of 1000',
    async () => {
      let cursor: string | undefined
      let left = 10_000
      do {
        const slice = await store.readScanSlice('EXPIRED', 1000, { dueAt: nowSec + 20_000 })
        const expired = slice.entries.flatMap((entry) =>
          entry.kind === 'GREY' ? [{ ...entry, kind: 'tuple' as const }] : [],
        )
        const startMs = performance.now()
        await store.applyScan({ expired, promoted: [], blocked: [] }, policy, nowSec + 20_000)
        due.push(performance.now() - startMs)
        left -= expired.length
        cursor = expired.length === 0 ? undefined : 'more'
      } while (left > 0 && cursor !== undefined)
    },
    10_000,
  )
  console.log(`slowest slice ${Math.max(...due).toFixed(0)} ms`)

  const hostCount = Math.min(1_000_000, rowCount)
  const path = join(folder, 'file.sqlite')
  createDatabase(path)
  const file = await openStore(path, { mode: 'write', durability: 'normal' })
  await file.upsertAll(entries(hostCount, 'WHITE'), { ifMissing: false, now: nowSec })
  const target = await openStore(await server.createDatabase(), { mode: 'write' })
  await timed(
    `${hostCount} addresses moved to the server`,
    () => moveDatabase(file, target, nowSec),
    hostCount,
  )
  await timed(`${hostCount} listed by SQLite`, () => listAll(file), hostCount)
  await timed(`${hostCount} listed by the server`, () => listAll(target), hostCount)
  const position = (await target.readJournal(0, 0)).newest
  await timed(
    '10,000 looks at the journal with nothing new',
    async () => {
      for (let n = 0; n < 10_000; n += 1) await target.readJournal(position, 1000)
    },
    10_000,
  )
  for (const each of [store, file, target]) await each.close()
} finally {
  await server.remove()
  rmSync(folder, { recursive: true, force: true })
}
