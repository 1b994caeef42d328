/**
 * Synchronisation on one core: signing and sending, then verifying, decoding and applying to a database of a million
 * entries. Half of the messages are tuples, half addresses; everything is sent twice, like a retry and a refresh.
 *
 *   npx tsx bench/sync.ts [--entries N] [--messages N]
 */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { SyncSender } from '../src/app/sync/sync-sender.js'
import { decodeSyncMessage, encodeSyncMessage, type SyncEntry, syncKeyOf } from '../src/codec/sync-message.js'
import { Greylister } from '../src/daemon/grey/greylister.js'
import { BlockLists } from '../src/daemon/lists/block-lists.js'
import { StoreKeeper } from '../src/daemon/store/store-keeper.js'
import { SyncApplier } from '../src/daemon/sync/sync-applier.js'
import { SyncGate } from '../src/daemon/sync/sync-gate.js'
import { formatIpv4 } from '../src/ip/address.js'
import { systemClock } from '../src/platform/clock.js'
import { GENERATED_NOW, generateDatabase } from './generate-database.js'

/** The thread that has spamd's database, from the build: a worker does not start from the sources. */
const { openStoreInWorker } = (await import(
  new URL('../dist/src/daemon/store/store-in-worker.js', import.meta.url).href
)) as typeof import('../src/daemon/store/store-in-worker.js')

const { values: flags } = parseArgs({
  options: {
    entries: { type: 'string', default: '1000000' },
    messages: { type: 'string', default: '200000' },
  },
})
const messageCount = Number(flags.messages)
const key = syncKeyOf(Buffer.from('the key of the benchmark\n'))
const clock = { nowSec: () => GENERATED_NOW, monotonicMs: systemClock.monotonicMs }
const logger = { log: () => undefined, flush: async () => undefined }
const policy = {
  passSec: 1500,
  greyExpireSec: 14_400,
  whiteExpireSec: 3_110_400,
  trapExpireSec: 86_400,
  maxTuplesPerAddress: 1000,
  maxTuples: 5_000_000,
}

function print(name: string, count: number, startMs: number, cpu: NodeJS.CpuUsage): void {
  const seconds = (performance.now() - startMs) / 1000
  const { user, system } = process.cpuUsage(cpu)
  const cpuSeconds = (user + system) / 1e6
  console.log(
    `${name}: ${Math.round(count / seconds)} messages/s, ${Math.round(count / cpuSeconds)} for each second of CPU`,
  )
}

function entryOf(messageIndex: number): SyncEntry {
  const index = messageIndex % (messageCount / 2)
  const ip = formatIpv4((Math.imul(index, 2_654_435_761) >>> 0) | 0x01000000)
  if (index % 2 === 0) return { type: 'WHITE', timestamp: GENERATED_NOW, ip, expire: GENERATED_NOW + 86_400 }
  const from = `<sender${index}@mail.example.org>`
  return {
    type: 'GREY',
    timestamp: GENERATED_NOW,
    ip,
    from,
    to: '<someone@example.net>',
    helo: 'mx.example.org',
  }
}

async function benchSend(): Promise<void> {
  const sink = createSocket('udp4')
  sink.bind(0, '127.0.0.1')
  await once(sink, 'listening')
  const socket = createSocket('udp4')
  const sender = new SyncSender({
    socket,
    plan: {
      peers: [{ name: '127.0.0.1', address: '127.0.0.1' }],
      listenAddress: undefined,
      multicast: undefined,
    },
    port: sink.address().port,
    key: () => key,
    planParts: { resolve: async () => undefined, interfaceAddress: async () => undefined },
    clock,
    logger,
  })
  const cpu = process.cpuUsage()
  const start = performance.now()
  for (let index = 0; index < messageCount; index += 1) {
    const entry = entryOf(index)
    if (entry.type === 'GREY') sender.announceGrey(entry)
    else sender.announceHost(entry.ip, { kind: 'WHITE', expire: GENERATED_NOW + 86_400 })
    if (index % 100 === 99) await sender.drained()
  }
  await sender.drained()
  print('sign and send', messageCount, start, cpu)
  socket.close()
  sink.close()
}

async function benchReceive(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'spamdctl-bench-'))
  const path = join(folder, 'db')
  try {
    await generateDatabase(path, { entries: Number(flags.entries), seed: 1 })
    const datagrams = Array.from(
      { length: messageCount },
      (_, index) => encodeSyncMessage(index, entryOf(index), key)!,
    )
    let cpu = process.cpuUsage()
    let start = performance.now()
    for (const datagram of datagrams) decodeSyncMessage(datagram, key)
    print('verify and decode', messageCount, start, cpu)
    const keeper = new StoreKeeper({
      logger,
      open: async () => ({
        store: await openStoreInWorker(path, { mode: 'write', durability: 'normal' }),
        isCreated: false,
      }),
    })
    const common = { databasePath: path, policy, clock, logger, useStore: keeper.use }
    const greylister = new Greylister({ ...common, blockLists: new BlockLists({ logger }) })
    const applier = new SyncApplier({ ...common, greylister: () => greylister })
    const gate = new SyncGate({
      key: () => key,
      ownAddress: undefined,
      peers: [],
      maxSkewSec: 3600,
      checksReplay: true,
      clock,
    })
    await keeper.use(async () => undefined)
    cpu = process.cpuUsage()
    start = performance.now()
    const settled = (): number => {
      const { applied, ignored, dropped } = applier.counters
      return applied + ignored + dropped
    }
    for (const [index, datagram] of datagrams.entries()) {
      const entries = gate.admit(datagram, '192.0.2.2')
      if (entries !== undefined) applier.take(entries, '192.0.2.2')
      // As from a socket: some datagrams per turn, and no more than the queues accept.
      if (index % 50 === 49) await nextTurn()
      while (greylister.waitingCount > 5000 || index - settled() > 5000) await pause(1)
    }
    while (settled() < messageCount || greylister.waitingCount > 0) await pause(1)
    if (applier.counters.dropped > 0) throw new Error(`${applier.counters.dropped} messages were dropped`)
    print(`verify, decode and apply into ${flags.entries} entries`, messageCount, start, cpu)
    console.log(
      `  ${JSON.stringify({ ...gate.counters, ...applier.counters, recorded: greylister.counters.recorded })}`,
    )
    await greylister.close()
    await keeper.close()
  } finally {
    rmSync(folder, { recursive: true })
  }
}

await benchSend()
await benchReceive()
