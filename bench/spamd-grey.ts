/**
 * The parts of spamd other than SMTP, in one process: receiving a list of a million CIDRs over the configuration
 * port, looking up clients in it, and a scan of a database of a million entries of which a tenth is due; each with
 * the longest pause of the event loop.
 *
 * The database is in its own thread, as in the daemon; threads run the code that `npm run build` made.
 *
 *   npx tsx bench/spamd-grey.ts [--entries N] [--cidrs N]
 */
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { type AddressInfo, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { parseArgs } from 'node:util'
import { PoolNetworks } from '../src/daemon/grey/pool-networks.js'
import { Scanner } from '../src/daemon/grey/scanner.js'
import { WhiteTable } from '../src/daemon/grey/white-table.js'
import { BlockLists } from '../src/daemon/lists/block-lists.js'
import { createConfigServer } from '../src/daemon/lists/config-server.js'
import { StoreKeeper } from '../src/daemon/store/store-keeper.js'

import type { Firewall } from '../src/firewall/backend.js'
import { formatIpv4 } from '../src/ip/address.js'
import { systemClock } from '../src/platform/clock.js'
import { MemoryLogger } from '../test/support/memory-logger.js'
import { GENERATED_NOW, generateDatabase } from './generate-database.js'

const { values: flags } = parseArgs({
  options: {
    entries: { type: 'string', default: '1000000' },
    cidrs: { type: 'string', default: '1000000' },
  },
})
const GREY_LIFE_SEC = 4 * 3600
const MIB = 1024 * 1024

/**
 * Runs `body` and prints its duration, the longest pause of the event loop meanwhile, and the processor time of the
 * longest turn: on a busy machine, the difference is time used by other programs.
 */
async function measured(name: string, body: () => Promise<void>): Promise<void> {
  const delay = monitorEventLoopDelay({ resolution: 1 })
  let longestCpuMs = 0
  let turn = process.cpuUsage()
  let isRunning = true
  const watchTurn = (): void => {
    const { user, system } = process.cpuUsage(turn)
    longestCpuMs = Math.max(longestCpuMs, (user + system) / 1000)
    turn = process.cpuUsage()
    if (isRunning) setImmediate(watchTurn)
  }
  delay.enable()
  setImmediate(watchTurn)
  const start = performance.now()
  await body()
  const seconds = (performance.now() - start) / 1000
  delay.disable()
  isRunning = false
  console.log(
    `${name}: ${seconds.toFixed(2)} s, longest pause ${(delay.max / 1e6).toFixed(0)} ms, longest turn ${longestCpuMs.toFixed(0)} ms of CPU`,
  )
}

/** The same numbers for the same seed (xorshift). */
function* numbers(seed: number): Generator<number, never> {
  let state = seed
  for (;;) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    yield state >>> 0
  }
}

function configLine(count: number, isSorted: boolean): Buffer {
  const random = numbers(7)
  const addresses = Uint32Array.from({ length: count }, () => (random.next().value & ~0xff) >>> 0)
  if (isSorted) addresses.sort()
  const items = Array.from(addresses, (address, index) => `${formatIpv4(address)}/${24 + (index % 9)}`)
  return Buffer.from(`bench;"Your address %A is listed";inet;${count};${items.join(';')}\n`)
}

async function benchConfig(): Promise<void> {
  for (const isSorted of [true, false]) {
    const line = configLine(Number(flags.cidrs), isSorted)
    globalThis.gc?.()
    const before = process.memoryUsage()
    const logger = new MemoryLogger()
    const blockLists = new BlockLists({ logger })
    const server = createConfigServer({ blockLists, logger, needsReservedPort: false })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    await measured(`config of ${flags.cidrs} CIDRs, ${isSorted ? 'ascending' : 'in any order'}`, async () => {
      const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
      socket.resume().end(line)
      await once(socket, 'close')
    })
    server.close()
    globalThis.gc?.()
    const after = process.memoryUsage()
    const used = after.arrayBuffers + after.heapUsed - before.arrayBuffers - before.heapUsed
    console.log(`  memory of the list: ${(used / MIB).toFixed(1)} MiB`)
    const random = numbers(99)
    const clients = Array.from({ length: 1_000_000 }, () => formatIpv4(random.next().value))
    const start = performance.now()
    let listed = 0
    for (const client of clients) listed += blockLists.match(client).length
    const micros = ((performance.now() - start) * 1000) / clients.length
    console.log(`  lookup: ${micros.toFixed(2)} microseconds (${listed} of ${clients.length} listed)`)
  }
}

async function benchScan(): Promise<void> {
  const builtThread = new URL('../dist/src/daemon/store/store-in-worker.js', import.meta.url)
  const { openStoreInWorker } = (await import(
    builtThread.href
  )) as typeof import('../src/daemon/store/store-in-worker.js')
  const folder = mkdtempSync(join(tmpdir(), 'spamdctl-bench-'))
  const path = join(folder, 'db')
  try {
    await generateDatabase(path, { entries: Number(flags.entries), seed: 1 })
    const logger = { log: () => undefined, flush: async () => undefined }
    let skippedMs = 0
    const clock = {
      nowSec: () => GENERATED_NOW + Math.floor(skippedMs / 1000),
      monotonicMs: () => systemClock.monotonicMs() + skippedMs,
    }
    const keeper = new StoreKeeper({
      logger,
      open: async () => ({
        store: await openStoreInWorker(path, { mode: 'write', durability: 'normal' }),
        isCreated: false,
      }),
    })
    const firewall: Firewall = {
      name: 'none',
      replaceTable: async () => undefined,
      readTable: async () => [],
      changeTable: async () => undefined,
      countTable: async () => undefined,
      watchLoss: () => () => undefined,
      limits: async () => ({ maxEntries: undefined, maxRequest: undefined }),
      describe: () => 'none',
    }
    const scanner = new Scanner({
      keeper,
      databasePath: path,
      policy: {
        passSec: 1500,
        greyExpireSec: GREY_LIFE_SEC,
        whiteExpireSec: 3_110_400,
        trapExpireSec: 86_400,
        maxTuplesPerAddress: 1000,
        maxTuples: 2_000_000,
      },
      clock,
      logger,
      blockLists: new BlockLists({ logger }),
      whiteTable: new WhiteTable({ firewall, clock, logger }),
      pools: new PoolNetworks({ firewall, clock, logger }),
      poolKinds: new Set(),
    })
    await measured(`scan of ${flags.entries} entries, nothing due`, async () => {
      await scanner.scan()
    })
    // Tuples are 70 % of the entries, spread over four hours: a seventh of them is a tenth of all.
    skippedMs = (GREY_LIFE_SEC / 7) * 1000
    await measured(`scan of ${flags.entries} entries, a tenth due`, async () => {
      await scanner.scan()
    })
    console.log(`  ${JSON.stringify(scanner.lastReport)}`)
    await keeper.close()
  } finally {
    rmSync(folder, { recursive: true })
  }
}

await benchConfig()
await benchScan()
