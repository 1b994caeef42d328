/** A gateway that leaves its server and comes back: nothing is lost, whatever happens at the same moment. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { GatewayStore } from '../../../../src/daemon/store/gateway-store.js'
import type { DaemonStoreCall } from '../../../../src/daemon/store/store-worker-messages.js'
import { openStore } from '../../../../src/db/open-store.js'
import type { Store } from '../../../../src/db/store.js'
import { AppError } from '../../../../src/platform/app-error.js'
import { type Instead, intercepted, Latch } from '../../../support/intercepted-store.js'
import { attemptOf, entriesOf, POLICY, Scratch } from '../../../support/scratch-database.js'

const scratch = new Scratch()
const NOW = Math.floor(Date.now() / 1000)
const AWAY = new AppError('ERR_DB_AWAY', 'the cable is out')
const LOCKED = new AppError('ERR_DB_BUSY', 'database is locked')

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
})
afterEach(() => {
  vi.useRealTimers()
})

/** A gateway with a cable to its "server", which is a file as well: the rule does not ask what kind it is. */
class Scene {
  readonly location = scratch.create()
  readonly localPath = scratch.create()
  isCut = false
  /** What the gateway last said of being alone. */
  aloneSince: number | undefined
  readonly notices: string[] = []
  onServer: Instead = (call) => call()
  onFile: Instead = (call) => call()
  gateway: GatewayStore | undefined

  async open(): Promise<GatewayStore> {
    const reach: Instead = (...call) => (this.isCut ? Promise.reject(AWAY) : this.onServer(...call))
    const local = await openStore(this.localPath, { mode: 'write', durability: 'normal' })
    this.gateway = await GatewayStore.open({
      openServer: async () => {
        if (this.isCut) throw AWAY
        return intercepted(await openStore(this.location, { mode: 'write' }), reach)
      },
      local: intercepted(local, (...call) => this.onFile(...call)),
      policy: POLICY,
      name: 'spamd',
      nowSec: () => NOW,
      onNotice: (text) => this.notices.push(text),
      onAlone: (sinceSec) => {
        this.aloneSince = sinceSec
      },
    })
    return this.gateway
  }

  async attempt(...ips: string[]): Promise<unknown> {
    const parameters = [ips.map((ip) => attemptOf(ip)), POLICY, NOW]
    return this.gateway!.call('recordAttempts' satisfies DaemonStoreCall, parameters)
  }

  /** Plugs the cable in again and lets the gateway find its server. */
  async heal(): Promise<void> {
    this.isCut = false
    await vi.advanceTimersByTimeAsync(2000)
    await this.gateway!.settled()
  }

  async waiting(): Promise<string[]> {
    const server = await scratch.open(this.location)
    return (await entriesOf(server, { kinds: ['GREY'] })).map((entry) => (entry as { ip: string }).ip)
  }
}

/** Lets the next call of one name wait: `begun` when it was made, `goOn` for it to be carried out. */
function holdNext(
  scene: Scene,
  where: 'onFile' | 'onServer',
  wanted: keyof Store,
  when: (parameters: readonly unknown[]) => boolean = () => true,
) {
  const [begun, goOn] = [new Latch(), new Latch()]
  let isHeld = false
  scene[where] = async (call, name, parameters) => {
    if (name === wanted && !isHeld && when(parameters)) {
      isHeld = true
      begun.open()
      await goOn.opened
    }
    return call()
  }
  return { begun: begun.opened, goOn: () => goOn.open() }
}

test('a call that comes while another one is about to go alone is handed over as well', async () => {
  const scene = new Scene()
  const gateway = await scene.open()
  // Loads what is loaded with the first call.
  await scene.attempt('192.0.2.3')
  const held = holdNext(scene, 'onFile', 'journalPosition')
  scene.isCut = true
  const first = scene.attempt('192.0.2.1')
  await held.begun
  const second = scene.attempt('192.0.2.2')
  // As many turns as a call that did not wait would need.
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve))
  held.goOn()
  await Promise.all([first, second])
  await scene.heal()
  expect(await scene.waiting()).toEqual(['192.0.2.1', '192.0.2.2', '192.0.2.3'])
  await gateway.close()
})

test('a file that is locked when the server goes keeps nobody from going alone with the next call', async () => {
  const scene = new Scene()
  const gateway = await scene.open()
  scene.isCut = true
  scene.onFile = (call, name) => (name === 'saveJournalPosition' ? Promise.reject(LOCKED) : call())
  await expect(scene.attempt('192.0.2.1')).rejects.toBe(LOCKED)
  expect(gateway.aloneSinceSec).toBeUndefined()
  scene.onFile = (call) => call()
  await scene.attempt('192.0.2.1')
  expect(scene.aloneSince).toBe(NOW)
  await scene.heal()
  expect([scene.aloneSince, await scene.waiting()]).toEqual([undefined, ['192.0.2.1']])
  await gateway.close()
})

test('a server that goes in the last moment of the hand-over leaves the gateway alone, and says so', async () => {
  const scene = new Scene()
  const gateway = await scene.open()
  scene.isCut = true
  await scene.attempt('192.0.2.1')
  const isDropped = ([, position]: readonly unknown[]): boolean => position === undefined
  const held = holdNext(scene, 'onFile', 'saveJournalPosition', isDropped)
  scene.isCut = false
  await vi.advanceTimersByTimeAsync(2000)
  await held.begun
  scene.isCut = true
  const second = scene.attempt('192.0.2.2')
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve))
  held.goOn()
  await second
  await gateway.settled()
  expect([gateway.aloneSinceSec, scene.aloneSince]).toEqual([NOW, NOW])
  await scene.heal()
  expect(await scene.waiting()).toEqual(['192.0.2.1', '192.0.2.2'])
  expect([gateway.aloneSinceSec, scene.aloneSince]).toEqual([undefined, undefined])
  await gateway.close()
})

test('a position that cannot be dropped leaves the gateway alone until it can', async () => {
  const scene = new Scene()
  const gateway = await scene.open()
  scene.isCut = true
  await scene.attempt('192.0.2.1')
  scene.onFile = (call, name, [, position]) =>
    name === 'saveJournalPosition' && position === undefined ? Promise.reject(LOCKED) : call()
  await scene.heal()
  expect([gateway.aloneSinceSec, scene.aloneSince]).toEqual([NOW, NOW])
  scene.onFile = (call) => call()
  await scene.heal()
  expect([gateway.aloneSinceSec, scene.aloneSince]).toEqual([undefined, undefined])
  await gateway.close()
})

test('a start whose server goes in the middle of the hand-over goes alone', async () => {
  const scene = new Scene()
  const first = await scene.open()
  scene.isCut = true
  await scene.attempt('192.0.2.1')
  await first.close()
  scene.isCut = false
  scene.onServer = (call, name) => (name === 'merge' ? Promise.reject(AWAY) : call())
  const second = await scene.open()
  expect(second.aloneSinceSec).toBe(NOW)
  await scene.attempt('192.0.2.2')
  scene.onServer = (call) => call()
  await scene.heal()
  expect(await scene.waiting()).toEqual(['192.0.2.1', '192.0.2.2'])
  await second.close()
})

test('a gateway that is closed in the middle of the hand-over stops there, and the next start goes on', async () => {
  const scene = new Scene()
  const first = await scene.open()
  scene.isCut = true
  const ips = Array.from({ length: 600 }, (_, n) => `10.0.${n >> 8}.${n & 255}`)
  await scene.attempt(...ips)
  const held = holdNext(scene, 'onServer', 'merge')
  scene.isCut = false
  await vi.advanceTimersByTimeAsync(2000)
  await held.begun
  const closed = first.close()
  held.goOn()
  await closed
  const handedOver = (await scene.waiting()).length
  expect(handedOver).toBeGreaterThan(0)
  expect(handedOver).toBeLessThan(ips.length)
  const second = await scene.open()
  expect(await scene.waiting()).toHaveLength(ips.length)
  await second.close()
})

test('no address ends in the file once the gateway is alone, also where a comparison was under way', async () => {
  const scene = new Scene()
  const local = await openStore(scene.localPath, { mode: 'write' })
  const times = { first: 1, pass: 1, expire: NOW - 1, bcount: 1, pcount: 0 }
  await local.upsert([{ kind: 'WHITE', ip: '192.0.2.1', ...times }], { ifMissing: false })
  await local.close()
  const held = holdNext(scene, 'onFile', 'readScanSlice')
  const gateway = await scene.open()
  await vi.advanceTimersByTimeAsync(1)
  await held.begun
  scene.isCut = true
  await gateway.call('tupleCount', [])
  held.goOn()
  await gateway.settled()
  expect(await gateway.call('get', [{ kind: 'host', ip: '192.0.2.1' }])).toMatchObject({ kind: 'WHITE' })
  await gateway.close()
})

test('a call that was begun on the file before the hand-over is waited for and brought as well', async () => {
  const scene = new Scene()
  const gateway = await scene.open()
  scene.isCut = true
  await scene.attempt('192.0.2.1')
  const held = holdNext(scene, 'onFile', 'recordAttempts')
  const late = scene.attempt('192.0.2.2')
  await held.begun
  scene.isCut = false
  await vi.advanceTimersByTimeAsync(2000)
  // As many turns as a hand-over that did not wait would need.
  for (let turn = 0; turn < 200; turn += 1) await new Promise((resolve) => setImmediate(resolve))
  held.goOn()
  await late
  await gateway.settled()
  expect(await scene.waiting()).toEqual(['192.0.2.1', '192.0.2.2'])
  await gateway.close()
})

test('what was handed over is told by its kinds', async () => {
  const scene = new Scene()
  const gateway = await scene.open()
  scene.isCut = true
  await scene.attempt('192.0.2.1', '192.0.2.2')
  await gateway.call('applySync', [[{ type: 'WHITE', ip: '198.51.100.1', expire: NOW + 60 }], POLICY, NOW])
  await scene.heal()
  expect(scene.notices.at(-1)).toMatch(
    /^the database server is reachable again after 0 s alone: handed over 1 address, 2 tuples, 0 spamtraps$/,
  )
  await gateway.close()
})
