/** What the history and the counters of the hours keep, whatever the clock does. */
import { expect, test } from 'vitest'
import type { TupleAttempt } from '../../../src/db/store.js'
import { isOnServer, NOW, POLICY, Scratch, sqliteTest } from '../../support/scratch-database.js'

const scratch = new Scratch()
const DAY = 86_400
const YEAR = 365 * DAY

const attempt = (n: number): TupleAttempt => {
  const ip = `192.0.2.${n % 250}`
  const tuple = { ip, helo: 'mail.example.org', from: `<${n}@example.org>`, to: '<b@example.net>' }
  return {
    tuple,
    clientIp: ip,
    trapKey: 'b@example.net',
    isDomainTrap: false,
    isLowPriorityMx: false,
    mayPromote: true,
  }
}
const attempts = (from: number, count: number): TupleAttempt[] =>
  Array.from({ length: count }, (_, index) => attempt(from + index))

sqliteTest('a quiet gateway loses only the rows that are too old', async () => {
  const store = await scratch.store()
  for (let day = 0; day < 50; day += 1) {
    await store.recordAttempts(attempts(day * 30, 30), POLICY, NOW + day * DAY)
  }
  const rows = await store.readHistory({ after: 0, limit: 10_000 })
  const young = rows.filter(({ at }) => at >= NOW + 20 * DAY)
  expect(young).toHaveLength(30 * 30)
  expect(rows.length).toBeLessThan(50 * 30)
})

sqliteTest('beyond the limit of rows the oldest go, and no more than are over', async () => {
  const store = await scratch.store()
  await store.saveHistorySettings({ mode: 'full', keepSec: 30 * DAY, keepRows: 1500 })
  for (let batch = 0; batch < 4; batch += 1)
    await store.recordAttempts(attempts(batch * 500, 500), POLICY, NOW)
  const rows = await store.readHistory({ after: 0, limit: 10_000 })
  expect(rows.at(0)?.seq).toBe(501)
  expect(rows).toHaveLength(1500)
})

test('what is recorded after the clock stood a year ahead has its own time again', async () => {
  const store = await scratch.store()
  await store.recordAttempts([attempt(1)], POLICY, NOW)
  await store.recordAttempts([attempt(2)], POLICY, NOW + YEAR)
  await store.recordAttempts([attempt(3)], POLICY, NOW + 2 * DAY)
  await store.recordAttempts([attempt(3)], POLICY, NOW + 2 * DAY + 1800)
  const rows = await store.readHistory({ after: 0, limit: 100 })
  const times = rows.filter(({ rule }) => rule === 'attempt').map(({ at }) => at - NOW)
  expect(times).toEqual([0, YEAR, 2 * DAY])
  const counts = await store.readCounts(0)
  const found = (name: string): number[] =>
    counts.filter((count) => count.name === name).map(({ hour }) => Math.floor((hour - NOW) / DAY + 0.5))
  expect(found('new')).toEqual([0, 2, 365])
  expect(counts.filter(({ name }) => name === 'delay').map(({ label }) => label)).toEqual(['30'])
})

test('a clock that stands years ahead for an hour leaves the counters of the past', async () => {
  const store = await scratch.store()
  for (let hour = 0; hour < 48; hour += 1) {
    await store.addCounts([{ name: 'refused', label: 'busy', count: 1 }], NOW + hour * 3600)
  }
  await store.addCounts([{ name: 'refused', label: 'busy', count: 1 }], NOW + 5 * YEAR)
  const kept = (await store.readCounts(0)).filter(({ hour }) => hour < NOW + YEAR)
  expect(kept.length).toBeGreaterThanOrEqual(isOnServer() ? 48 : 45)
})

sqliteTest('counters of more than 13 months ago go', async () => {
  const store = await scratch.store()
  const count = { name: 'refused', label: 'busy', count: 1 }
  for (const day of [0, 1, 395, 397]) await store.addCounts([count], NOW + day * DAY)
  expect((await store.readCounts(0)).map(({ hour }) => Math.round((hour - NOW) / DAY))).toEqual([1, 395, 397])
})

test('an import of a few entries is undone exactly, and what it replaced is back', async () => {
  const first = await scratch.store()
  await first.edit([{ operation: 'add', kind: 'TRAPPED', ip: '192.0.2.1' }], NOW)
  // What one command changes is one event: the import is another command.
  const store = await scratch.open(first.location)
  const before = await store.get({ kind: 'host', ip: '192.0.2.1' })
  const imported = { kind: 'WHITE', first: 1, pass: 1, expire: NOW + DAY, bcount: 0, pcount: 0 } as const
  const batches = [[{ ...imported, ip: '192.0.2.1' }], [{ ...imported, ip: '192.0.2.2' }]]
  expect(await store.upsertAll(batches, { ifMissing: false, now: NOW + 1 })).toMatchObject({
    added: 1,
    updated: 1,
  })
  expect(await store.get({ kind: 'host', ip: '192.0.2.1' })).toMatchObject({ kind: 'WHITE' })
  const undone = await store.undo('last', { force: false, isDryRun: false, actor: 'anna' }, NOW + 2)
  expect(undone.restored).toHaveLength(2)
  expect(await store.get({ kind: 'host', ip: '192.0.2.1' })).toEqual(before)
  expect(await store.count({ kinds: ['WHITE'] })).toMatchObject({ WHITE: 0 })
})
