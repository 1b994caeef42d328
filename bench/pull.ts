/**
 * Two gateways without a database server: a full pull of a million entries into an empty database, and 1,000 changes
 * sent in version 3, both by the built programs on one machine; a script replaces ssh.
 *
 *   npx tsx bench/pull.ts [--entries N]
 */
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { stateKeyOf } from '../src/codec/sync-state-message.js'
import { StateGate } from '../src/daemon/sync/state-gate.js'
import { StateReceiver } from '../src/daemon/sync/state-receiver.js'
import { StateSender } from '../src/daemon/sync/state-sender.js'
import { createDatabase, openStore } from '../src/db/open-store.js'
import type { ManualEdit, Store } from '../src/db/store.js'
import { DEFAULT_TUPLE_LIMITS } from '../src/domain/times.js'
import { systemClock } from '../src/platform/clock.js'
import { generateDatabase } from './generate-database.js'

const { values: flags } = parseArgs({ options: { entries: { type: 'string', default: '1000000' } } })
const entries = Number(flags.entries)
const folder = mkdtempSync(join(tmpdir(), 'bench-pull-'))
const SPAMDCTL = fileURLToPath(new URL('../bin/spamdctl.js', import.meta.url))
const CHANGES = 1000

try {
  const [one, other] = [join(folder, 'one'), join(folder, 'other')]
  await generateDatabase(one, { entries, seed: 1, now: systemClock.nowSec() })
  createDatabase(other)
  const ssh = join(folder, 'ssh')
  const log = join(folder, 'bytes')
  writeFileSync(ssh, `#!/bin/sh\n${SPAMDCTL} serve-pull --db ${one} | tee ${log}\n`)
  chmodSync(ssh, 0o755)
  const pull = (...words: string[]): string =>
    execFileSync(SPAMDCTL, ['pull', 'gw', '--json', '--db', other, '--ssh', ssh, ...words], {
      encoding: 'utf8',
    })
  const timed = (what: string, ...words: string[]): void => {
    const startedMs = performance.now()
    const report = JSON.parse(pull(...words)) as { read: number; changed: number }
    const sec = (performance.now() - startedMs) / 1000
    const megabytes = statSync(log).size / 1e6
    console.log(
      `${what}: ${report.read} read, ${report.changed} new, ${sec.toFixed(1)} s, ${megabytes.toFixed(1)} MB`,
    )
  }
  timed('full pull')
  timed('full pull again')
  await change(one)
  timed(`pull of ${CHANGES} changes`, '--since')
  await tell(one, other)
} finally {
  rmSync(folder, { recursive: true, force: true })
}

function edits(network: number): ManualEdit[] {
  return Array.from({ length: CHANGES }, (_, index) => ({
    ...{ operation: 'add' as const, kind: 'WHITE' as const },
    ip: `198.${network}.${index >> 8}.${index & 255}`,
  }))
}

async function change(path: string): Promise<void> {
  const store = await openStore(path, { mode: 'write' })
  await store.edit(edits(18), systemClock.nowSec())
  await store.close()
}

/** The daemons' parts without their sockets: from the change to the merged entry. */
async function tell(one: string, other: string): Promise<void> {
  const stores = [await openStore(one, { mode: 'write' }), await openStore(other, { mode: 'write' })] as const
  const key = stateKeyOf(Buffer.from('the key of the benchmark'))
  const policy = { passSec: 1500, ...DEFAULT_TUPLE_LIMITS }
  const fail = (error: unknown): never => {
    throw error
  }
  const useOf =
    (store: Store) =>
    async <T>(action: (store: Store) => Promise<T>): Promise<T> =>
      action(store)
  let bytes = 0
  const gate = new StateGate({
    ...{ key: () => key, node: () => 0, peers: [], maxSkewSec: 3600, clock: systemClock },
    counters: { received: 0, accepted: 0, refused: {} },
  })
  const receiver = new StateReceiver({
    ...{ useStore: useOf(stores[1]), policy, clock: systemClock, onTrouble: fail },
    onHeard: () => undefined,
    onMissed: () => undefined,
  })
  const sender = new StateSender({
    ...{
      useStore: useOf(stores[0]),
      clock: systemClock,
      key: () => key,
      hasListeners: () => true,
      onTrouble: fail,
    },
    send: (datagram) => {
      bytes += datagram.length
      const message = gate.admit(datagram, '192.0.2.1')
      if (message !== undefined) receiver.take(message, '192.0.2.1')
    },
  })
  await sender.look()
  await receiver.settled()
  const before = bytes
  const startedMs = performance.now()
  await stores[0].edit(edits(19), systemClock.nowSec())
  for (let looks = 0; looks < 3; looks += 1) await sender.look()
  await receiver.settled()
  const ms = performance.now() - startedMs
  const { WHITE } = await stores[1].count({ ip: '198.19.3.231' })
  if (WHITE !== 1) throw new Error('the changes did not arrive')
  console.log(
    `${CHANGES} changes told: ${ms.toFixed(0)} ms and two waits of 200 ms, ${((bytes - before) / 1000).toFixed(0)} kB`,
  )
  for (const store of stores) await store.close()
}
