/** The file of a gateway follows what another gateway changes on the server, whatever the order in which it hears of it. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { GatewayStore } from '../../../../src/daemon/store/gateway-store.js'
import { openStore } from '../../../../src/db/open-store.js'
import type { Store } from '../../../../src/db/store.js'
import { AppError } from '../../../../src/platform/app-error.js'
import { intercepted, Latch } from '../../../support/intercepted-store.js'
import { entriesOf, POLICY, Scratch } from '../../../support/scratch-database.js'

const scratch = new Scratch()
const LOCKED = new AppError('ERR_DB_BUSY', 'database is locked')
const NOW = Math.floor(Date.now() / 1000)

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
})
afterEach(() => {
  vi.useRealTimers()
})

/** A gateway of which the "server" is a file as well: the rule does not ask what kind it is. */
async function openGateway(server: (store: Store) => Store, file: (store: Store) => Store) {
  const location = scratch.create()
  const other = await scratch.open(location)
  const local = file(await openStore(scratch.create(), { mode: 'write', durability: 'normal' }))
  const gateway = await GatewayStore.open({
    openServer: async () => server(await openStore(location, { mode: 'write' })),
    local,
    policy: POLICY,
    name: 'spamd',
    nowSec: () => NOW,
    onNotice: () => {},
    onAlone: () => {},
  })
  const addOnServer = (ip: string) => other.edit([{ operation: 'add', kind: 'WHITE', ip }], NOW)
  const ownHosts = async () =>
    (await entriesOf(local, { kinds: ['WHITE'] })).map((entry) => 'ip' in entry && entry.ip)
  const pass = async (ms: number) => {
    await vi.advanceTimersByTimeAsync(ms)
    await gateway.settled()
  }
  return { gateway, addOnServer, ownHosts, pass }
}

const asItIs = (store: Store): Store => store

test('what changed while the file was being compared is found by the comparison after it', async () => {
  const isRead = new Latch()
  const isLetGo = new Latch()
  const slowly = (store: Store): Store =>
    intercepted(
      store,
      async (call) => {
        const page = await call()
        isRead.open()
        await isLetGo.opened
        return page
      },
      ['listRecords'],
    )
  const { gateway, addOnServer, ownHosts, pass } = await openGateway(slowly, asItIs)
  await vi.advanceTimersByTimeAsync(1)
  await isRead.opened
  await addOnServer('192.0.2.1')
  await gateway.call('readJournal', [0, 0])
  isLetGo.open()
  await gateway.settled()
  expect(await ownHosts()).toEqual([])
  await pass(1)
  expect(await ownHosts()).toEqual(['192.0.2.1'])
  await gateway.close()
})

test('a change that the file could not take is found by a comparison soon after it', async () => {
  let isRefusing = false
  const refusing = (store: Store): Store =>
    intercepted(store, (call) => (isRefusing ? Promise.reject(LOCKED) : call()), ['merge'])
  const { gateway, addOnServer, ownHosts, pass } = await openGateway(asItIs, refusing)
  await pass(1)
  const { newest } = (await gateway.call('readJournal', [0, 0])) as { newest: number }
  await pass(1)
  await addOnServer('192.0.2.1')
  isRefusing = true
  await gateway.call('readJournal', [newest, 10])
  await gateway.settled()
  isRefusing = false
  expect(await ownHosts()).toEqual([])
  await pass(2000)
  expect(await ownHosts()).toEqual(['192.0.2.1'])
  await gateway.close()
})

test('a comparison that failed is made again soon, not at the next time it is due', async () => {
  let isRefusing = true
  const refusing = (store: Store): Store =>
    intercepted(store, (call) => (isRefusing ? Promise.reject(LOCKED) : call()), ['merge'])
  const { gateway, addOnServer, ownHosts, pass } = await openGateway(asItIs, refusing)
  await addOnServer('192.0.2.1')
  await pass(1)
  isRefusing = false
  expect(await ownHosts()).toEqual([])
  await pass(2000)
  expect(await ownHosts()).toEqual(['192.0.2.1'])
  await gateway.close()
})

test('changes that cannot be taken one after the other do not put off the comparison that finds them', async () => {
  let isRefusing = false
  const refusing = (store: Store): Store =>
    intercepted(store, (call) => (isRefusing ? Promise.reject(LOCKED) : call()), ['merge'])
  const { gateway, addOnServer, ownHosts, pass } = await openGateway(asItIs, refusing)
  await pass(1)
  let { newest: position } = (await gateway.call('readJournal', [0, 0])) as { newest: number }
  await pass(1)
  isRefusing = true
  const ips = ['192.0.2.1', '192.0.2.2']
  for (const ip of ips) {
    await addOnServer(ip)
    const { newest } = (await gateway.call('readJournal', [position, 10])) as { newest: number }
    position = newest
    await gateway.settled()
    if (ip === ips[0]) await pass(1900)
  }
  isRefusing = false
  await pass(100)
  expect(await ownHosts()).toEqual(ips)
  await gateway.close()
})

test('a change that is told without its key is found by comparing at once; one with its key needs no comparison', async () => {
  let hidesKeys = false
  let comparisons = 0
  const telling = (store: Store): Store =>
    intercepted(
      store,
      async (call, name) => {
        if (name === 'listRecords') comparisons += 1
        const result = await call()
        if (name !== 'readJournal' || !hidesKeys) return result
        const slice = result as { rows: { key: unknown }[] }
        return { ...slice, rows: slice.rows.map((row) => ({ ...row, key: undefined })) }
      },
      ['listRecords', 'readJournal'],
    )
  const { gateway, addOnServer, ownHosts, pass } = await openGateway(telling, asItIs)
  await pass(1)
  let { newest } = (await gateway.call('readJournal', [0, 0])) as { newest: number }
  await pass(1)
  const before = comparisons
  await addOnServer('192.0.2.1')
  ;({ newest } = (await gateway.call('readJournal', [newest, 10])) as { newest: number })
  await pass(1)
  expect([await ownHosts(), comparisons > before]).toEqual([['192.0.2.1'], false])
  hidesKeys = true
  await addOnServer('192.0.2.2')
  await gateway.call('readJournal', [newest, 10])
  await pass(1)
  expect([await ownHosts(), comparisons > before]).toEqual([['192.0.2.1', '192.0.2.2'], true])
  await gateway.close()
})
