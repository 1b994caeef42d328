/** The thread in which the daemons keep their database, as built: threads run no TypeScript. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { createDatabase, openStore } from '../../src/db/open-store.js'
import { openSqlite } from '../../src/db/sqlite-driver.js'
import { QUICK_POLICY } from '../support/scratch-database.js'

const builtThread = new URL('../../dist/src/daemon/store/store-in-worker.js', import.meta.url).href
const { openStoreInWorker } = (await import(
  builtThread
)) as typeof import('../../src/daemon/store/store-in-worker.js')

const NOW = 1_700_000_000
const OPTIONS = { mode: 'write', durability: 'normal', busyTimeoutMs: 200 } as const
const attempt = {
  tuple: { ip: '192.0.2.1', helo: 'h\xff', from: '<a@b>', to: '<c@d>' },
  clientIp: '192.0.2.1',
  trapKey: 'c@d',
  isDomainTrap: false,
  isLowPriorityMx: false,
  mayPromote: true,
}

let folder: string
let path: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'store-thread-'))
  path = join(folder, 'db')
})
afterEach(() => rmSync(folder, { recursive: true }))

test('of a gateway names the file of its own that cannot be opened, not the server', async () => {
  const gateway = { localPath: join(folder, 'none', 'local'), policy: QUICK_POLICY, name: 'spamd' }
  const opening = openStoreInWorker('postgres://gw@127.0.0.1:1/spamd', { ...OPTIONS, gateway })
  await expect(opening).rejects.toMatchObject({
    code: 'ERR_DB_OPEN',
    message: `${join(folder, 'none', 'local')}, used while the server is unreachable: No such file or directory`,
    hint: expect.stringContaining('SPAMD_LOCAL_DB') as string,
    errno: undefined,
  })
})

test('of a gateway whose server is away tells of it, and goes on in the file of its own', async () => {
  const gateway = { localPath: join(folder, 'local'), policy: QUICK_POLICY, name: 'spamd' }
  const notices: string[] = []
  const alone: (number | undefined)[] = []
  const thread = await openStoreInWorker('postgres://gw@127.0.0.1:1/spamd', {
    ...{ ...OPTIONS, gateway },
    onNotice: (text) => void notices.push(text),
    onAlone: (sinceSec) => void alone.push(sinceSec),
  })
  await thread.recordAttempts([attempt], QUICK_POLICY, NOW)
  expect(notices).toEqual([
    expect.stringMatching(/^the database server is unreachable \(.+\): using .+\/local$/) as string,
  ])
  expect(alone).toEqual([expect.any(Number) as number])
  await thread.close()
})

test('answers with the outcomes of a batch alone: its changes are in the journal, and are not copied', async () => {
  createDatabase(path)
  const thread = await openStoreInWorker(path, OPTIONS)
  const sighting = { ip: '192.0.2.7', count: 1 }
  const white = { type: 'WHITE', ip: '192.0.2.8', expire: NOW + 60 } as const
  const options = { whiteExpireSec: 60, untrap: false }
  expect(await thread.recordSightings([sighting], options, NOW)).toEqual({
    outcomes: [{ result: 'added', expire: NOW + 60 }],
  })
  expect(await thread.applySync([white], QUICK_POLICY, NOW)).toEqual({ outcomes: ['created'] })
  expect(Object.keys(await thread.recordAttempts([attempt], QUICK_POLICY, NOW))).toEqual(['outcomes'])
  const { rows } = await thread.readJournal(0, 10)
  expect(rows.map(({ key }) => key?.kind)).toEqual(['host', 'host', 'tuple'])
  await thread.close()
})

test('of a gateway that has no server needs no other file', async () => {
  createDatabase(path)
  const gateway = { localPath: join(folder, 'local'), policy: QUICK_POLICY, name: 'spamd' }
  const thread = await openStoreInWorker(path, { ...OPTIONS, gateway })
  await thread.recordAttempts([attempt], QUICK_POLICY, NOW)
  await thread.close()
  expect(existsSync(gateway.localPath)).toBe(false)
  const plain = await openStore(path, { mode: 'read' })
  expect(await plain.count()).toMatchObject({ GREY: 1 })
  await plain.close()
})

test('answers every call as the store itself does, in order', async () => {
  createDatabase(path)
  const thread = await openStoreInWorker(path, OPTIONS)
  const outcomes = await Promise.all([
    thread.recordAttempts([attempt], QUICK_POLICY, NOW),
    thread.recordAttempts([attempt], QUICK_POLICY, NOW + 1),
    thread.recordSightings([{ ip: '192.0.2.9', count: 1 }], { whiteExpireSec: 9, untrap: false }, NOW),
    thread.applySync([{ type: 'TRAPPED', ip: '2001:db8::1', expire: NOW + 5 }], QUICK_POLICY, NOW),
    thread.applySync([{ type: 'WHITE', ip: '192.0.2.8', expire: NOW + 5 }], QUICK_POLICY, NOW),
    thread.applyScan(
      { expired: [], promoted: [], blocked: ['192.0.2.8'], blockedTuples: [] },
      QUICK_POLICY,
      NOW,
    ),
  ])
  expect(outcomes.map((answer) => JSON.stringify('outcomes' in answer ? answer.outcomes : answer))).toEqual([
    '[{"result":"new","isNewHost":false,"evictedCount":0}]',
    '[{"result":"repeated","isNewHost":false,"evictedCount":0}]',
    `[{"result":"added","expire":${NOW + 9}}]`,
    '["created"]',
    '["created"]',
    '{"deletedCount":1,"promoted":[]}',
  ])
  const slice = await thread.readScanSlice(undefined, 100)
  await thread.close()
  const plain = await openStore(path, { mode: 'read' })
  expect(slice).toEqual(await plain.readScanSlice(undefined, 100))
  expect(slice.entries).toHaveLength(2)
  await plain.close()
})

test('tells of changes by others and of its own, and of a file that is gone', async () => {
  createDatabase(path)
  let alarmCount = 0
  const thread = await openStoreInWorker(path, {
    ...OPTIONS,
    tellsChanges: true,
    onAlarm: () => {
      alarmCount += 1
    },
  })
  const see = (ip: string) =>
    thread.recordSightings([{ ip, count: 1 }], { whiteExpireSec: 60, untrap: false }, NOW)
  const told = async (change: () => Promise<unknown>): Promise<void> => {
    const before = alarmCount
    await change()
    await expect.poll(() => alarmCount, { timeout: 30_000 }).toBe(before + 1)
  }
  // The position that it compares with is of its first look.
  await expect
    .poll(
      async () => {
        await see('192.0.2.1')
        return alarmCount
      },
      { timeout: 30_000 },
    )
    .toBeGreaterThan(0)
  const other = await openStore(path, { mode: 'write', busyTimeoutMs: 5000 })
  // What came before may be told by one more look.
  await expect.poll(async () => (await thread.readJournal(0, 0)).newest).toBeGreaterThan(0)
  await told(() => other.edit([{ operation: 'add', kind: 'WHITE', ip: '192.0.2.2' }], NOW))
  await told(() => see('192.0.2.3'))
  await other.close()
  const before = alarmCount
  rmSync(path)
  await expect.poll(() => alarmCount, { timeout: 30_000 }).toBeGreaterThan(before)
  await thread.close().catch(() => undefined)
})

test('what cannot be sent to the thread is refused, and takes no answer of another call', async () => {
  createDatabase(path)
  const thread = await openStoreInWorker(path, OPTIONS)
  const unsendable = { ...attempt, mayPromote: (() => true) as unknown as boolean }
  await expect(thread.recordAttempts([unsendable], QUICK_POLICY, NOW)).rejects.toThrow(/could not be cloned/)
  const [count, clock] = await Promise.all([thread.tupleCount(), thread.readJournal(0, 0)])
  expect(count).toBe(0)
  expect(clock).toMatchObject({ newest: expect.any(Number) as number })
  await thread.close()
})

test('an answer that cannot be read ends the thread, and every call is told', async () => {
  createDatabase(path)
  const sent = vi.spyOn(Worker.prototype, 'postMessage')
  const thread = await openStoreInWorker(path, OPTIONS)
  const asked = thread.tupleCount()
  const worker = sent.mock.contexts.at(-1) as Worker
  worker.emit('messageerror', new Error('broken'))
  sent.mockRestore()
  await expect(asked).rejects.toMatchObject({ code: 'ERR_DB_IO', message: 'broken' })
  await expect(thread.tupleCount()).rejects.toMatchObject({ code: 'ERR_DB_IO' })
  await expect(thread.close()).rejects.toMatchObject({ code: 'ERR_DB_IO' })
})

test('a lock is waited for in the thread alone, then told with code, reason and time', async () => {
  createDatabase(path)
  const slow: string[] = []
  const thread = await openStoreInWorker(path, { ...OPTIONS, onSlowCall: ({ call }) => slow.push(call) })
  const other = openSqlite(path, { fileMustExist: true })
  other.exec('BEGIN IMMEDIATE')
  let turns = 0
  let isWaiting = true
  const count = (): void => {
    turns += 1
    if (isWaiting) setImmediate(count)
  }
  count()
  await expect(thread.recordAttempts([attempt], QUICK_POLICY, NOW)).rejects.toMatchObject({
    code: 'ERR_DB_BUSY',
  })
  isWaiting = false
  expect(turns).toBeGreaterThan(10)
  expect(slow).toEqual(['recordAttempts'])
  other.exec('ROLLBACK')
  other.close()
  await expect(thread.recordAttempts([attempt], QUICK_POLICY, NOW)).resolves.toMatchObject({ outcomes: [{}] })
  await thread.close()
})

test('a database that cannot be opened is told as the store tells it; a closed one is refused', async () => {
  await expect(openStoreInWorker(path, OPTIONS)).rejects.toMatchObject({
    code: 'ERR_DB_OPEN',
    message: 'No such file or directory',
  })
  const thread = await openStoreInWorker(path, { ...OPTIONS, create: true })
  await thread.close()
  await expect(thread.recordAttempts([attempt], QUICK_POLICY, NOW)).rejects.toMatchObject({
    code: 'ERR_DB_IO',
  })
})
