/** Notifications: at once, then a few times a second at most, and the last wish is not lost. */
import { EventEmitter } from 'node:events'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { PgAlarm } from '../../../src/db/postgres/pg-alarm.js'
import type { PgClient } from '../../../src/db/postgres/pg-driver.js'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

test('rings at once, and of all within a quarter of a second once more', () => {
  let rung = 0
  const alarm = new PgAlarm(() => (rung += 1))
  alarm.ring()
  expect(rung).toBe(1)
  vi.advanceTimersByTime(100)
  for (let n = 0; n < 10; n += 1) alarm.ring()
  vi.advanceTimersByTime(149)
  expect(rung).toBe(1)
  vi.advanceTimersByTime(1)
  expect(rung).toBe(2)
  vi.advanceTimersByTime(10_000)
  expect(rung).toBe(2)
  alarm.ring()
  expect(rung).toBe(3)
  vi.advanceTimersByTime(250)
  alarm.ring()
  expect(rung).toBe(4)
})

test('does not ring any more when it was stopped, and can be used again', () => {
  let rung = 0
  const alarm = new PgAlarm(() => (rung += 1))
  alarm.ring()
  alarm.ring()
  alarm.stop()
  vi.advanceTimersByTime(1000)
  expect(rung).toBe(1)
  alarm.ring()
  expect(rung).toBe(2)
})

test('listens on a connection, and hears every one but itself', async () => {
  let rung = 0
  const sent: string[] = []
  const client = Object.assign(new EventEmitter(), {
    processID: 7,
    query: (sql: string) => Promise.resolve(sent.push(sql)),
  })
  await new PgAlarm(() => (rung += 1)).listenOn(client as unknown as PgClient)
  expect(sent).toEqual(['LISTEN spamd'])
  client.emit('notification', { processId: 7 })
  expect(rung).toBe(0)
  client.emit('notification', { processId: 8 })
  expect(rung).toBe(1)
})
