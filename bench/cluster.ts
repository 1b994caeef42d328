/**
 * The load of 1,000 gateways with a billion connections a day, both divided by 50: 20 gateways with 231 dialogues per
 * second on one server. First measures a single gateway, and one that only follows: each of the 20 should cost the
 * same.
 *
 * `npm run bench:cluster -- [SECONDS]` (30 each). The estimates in docs/scale.md are based on it.
 */
import { openStore } from '../src/db/open-store.js'
import type { Store } from '../src/db/store.js'
import { PostgresServer } from '../test/support/postgres-server.js'
import { attempt, nowSec, pause, percentile, policy, serverSeconds, walBytes } from './postgres-load.js'

const sec = Number(process.argv[2] ?? 30)
const FACTOR = 50
const GATEWAYS = 1000 / FACTOR
const PER_SEC = 1e9 / 86_400 / FACTOR
/** Per 100 dialogues: retries within passtime, and retries that pass; the rest are new tuples. */
const [AGAIN, PASSED] = [25, 5]
const POLL_MS = 500

const server = await PostgresServer.start({
  isDurable: true,
  settings: ['shared_buffers = 512MB', 'max_wal_size = 4GB'],
})

interface Cost {
  perSec: number
  cpuUs: number
  wal: number
}

/** The cost of `run` to the server for each of `count()` items. */
async function costOf(run: () => Promise<void>, count: () => number): Promise<Cost> {
  const [startMs, startCpu, startWal] = [performance.now(), serverSeconds(server), await walBytes(server)]
  await run()
  const seconds = (performance.now() - startMs) / 1000
  const cpu = serverSeconds(server) - startCpu
  const wal = (await walBytes(server)) - startWal
  return { perSec: count() / seconds, cpuUs: (cpu / count()) * 1e6, wal: wal / count() }
}

/** Runs the dialogues of one gateway at random times; each waits until its tuple is stored. */
async function work(store: Store, gateway: number, perSec: number, waits: number[]): Promise<void> {
  const endMs = performance.now() + sec * 1000
  const known: number[] = []
  let [number, dueMs] = [gateway * 1e7, performance.now()]
  while (dueMs < endMs) {
    dueMs -= (Math.log(1 - Math.random()) / perSec) * 1000
    await pause(Math.max(0, dueMs - performance.now()))
    const dice = Math.random() * 100
    const old = dice < AGAIN + PASSED ? known.shift() : undefined
    const atSec = old !== undefined && dice < PASSED ? nowSec + policy.passSec + 60 : nowSec
    if (old === undefined) number += 1
    const n = old ?? number
    await store.recordAttempts([attempt(n)], policy, atSec)
    waits.push(performance.now() - dueMs)
    if (atSec === nowSec) known.push(n)
  }
}

/** Reads the journal as spamd does; returns how often. */
async function follow(store: Store, looks: { count: number }): Promise<void> {
  const endMs = performance.now() + sec * 1000
  let position = (await store.readJournal(0, 0)).newest
  while (performance.now() < endMs) {
    const { rows, newest } = await store.readJournal(position, 1000)
    position = rows.at(-1)?.seq ?? newest
    looks.count += 1
    await pause(POLL_MS)
  }
}

try {
  const location = await server.createDatabase()
  const stores = await Promise.all(
    Array.from({ length: GATEWAYS }, () => openStore(location, { mode: 'write' })),
  )
  const told = ({ perSec, cpuUs, wal }: Cost): string =>
    `${perSec.toFixed(1)}/s, ${cpuUs.toFixed(0)} us of the server and ${wal.toFixed(0)} bytes of WAL each`
  const [first] = stores as [Store, ...Store[]]
  // Settings as on a server in use.
  for (let n = 0; n < 50; n += 1)
    await first.recordAttempts(
      Array.from({ length: 1000 }, (_, i) => attempt(2e9 + n * 1000 + i)),
      policy,
      nowSec,
    )
  const alone: number[] = []
  const one = await costOf(
    () => work(first, 0, PER_SEC / GATEWAYS, alone),
    () => alone.length,
  )
  console.log(`one gateway: ${told(one)}`)
  const looks = { count: 0 }
  const look = await costOf(
    async () => {
      await Promise.all(stores.map((store) => follow(store, looks)))
    },
    () => looks.count,
  )
  console.log(`looks of ${GATEWAYS} gateways: ${told(look)}`)
  const waits: number[] = []
  const all = { count: 0 }
  const together = await costOf(
    async () => {
      await Promise.all(
        stores.flatMap((store, gateway) => [
          work(store, gateway + 1, PER_SEC / GATEWAYS, waits),
          follow(store, all),
        ]),
      )
    },
    () => waits.length,
  )
  console.log(`${GATEWAYS} gateways together: ${told(together)}`)
  console.log(
    `  half within ${percentile(waits, 0.5).toFixed(1)} ms, 99 % within ${percentile(waits, 0.99).toFixed(1)} ms`,
  )
  const reckoned = one.cpuUs + (look.cpuUs * all.count) / waits.length
  console.log(
    `reckoned from one: ${reckoned.toFixed(0)} us each, measured ${together.cpuUs.toFixed(0)} (${(together.cpuUs / reckoned).toFixed(2)} x); WAL ${one.wal.toFixed(0)}, measured ${together.wal.toFixed(0)} (${(together.wal / one.wal).toFixed(2)} x)`,
  )
  console.log(
    `times ${FACTOR}: ${(((together.cpuUs * together.perSec) / 1e6) * FACTOR).toFixed(1)} cores, ${((together.wal * together.perSec * FACTOR) / 2 ** 20).toFixed(1)} MiB of WAL a second, ${(together.perSec * FACTOR).toFixed(0)} dialogues a second`,
  )
  for (const store of stores) await store.close()
} finally {
  await server.remove()
}
