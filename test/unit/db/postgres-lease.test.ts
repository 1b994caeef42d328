/** Whose turn a scan is, and how often what is done for all is done: by times, against a server that only says yes or no. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { PgHistory } from '../../../src/db/postgres/pg-history.js'
import type { PgJournal } from '../../../src/db/postgres/pg-journal.js'
import { PgLease } from '../../../src/db/postgres/pg-lease.js'
import type { PgLink, Statements } from '../../../src/db/postgres/pg-link.js'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

/** A lease with what it asks for, and a server that grants it or not. */
function leaseOn(server: { isFree: boolean }): { lease: PgLease; calls: string[] } {
  const calls: string[] = []
  const statements = { rows: async () => (server.isFree ? [[1]] : []) } as unknown as Statements
  const link = {
    read: async (call: string, body: (statements: Statements, server: object) => Promise<unknown>) => {
      calls.push(call)
      return body(statements, { skewSec: 0 })
    },
  } as unknown as PgLink
  const history = { keepUp: async () => void calls.push('history') } as unknown as PgHistory
  const journal = { trim: async () => void calls.push('journal') } as unknown as PgJournal
  return { lease: new PgLease(link, history, journal), calls }
}

describe('without the lease', () => {
  test('all addresses are compared first, and again ten minutes after a walk that reached its end began', async () => {
    const { lease } = leaseOn({ isFree: false })
    expect(await lease.beginScan({})).toBe('hosts')
    vi.advanceTimersByTime(60_000)
    expect(await lease.beginScan({})).toBe('hosts')
    vi.advanceTimersByTime(30_000)
    lease.noteCompared()
    expect(await lease.beginScan({})).toBe('nothing')
    expect(await lease.beginScan({ isAsked: true })).toBe('hosts')
    vi.advanceTimersByTime(569_999)
    expect(await lease.beginScan({})).toBe('nothing')
    expect(lease.scope).toBe('nothing')
    vi.advanceTimersByTime(1)
    expect(await lease.beginScan({})).toBe('hosts')
    expect(lease.scope).toBe('hosts')
  })

  test('and at once after changes that nobody told one by one, also those during the walk', async () => {
    const { lease } = leaseOn({ isFree: false })
    await lease.beginScan({})
    lease.noteCompared()
    vi.advanceTimersByTime(1000)
    expect(await lease.beginScan({})).toBe('nothing')
    lease.noteMissed()
    expect(await lease.beginScan({})).toBe('hosts')
    lease.noteMissed()
    lease.noteCompared()
    expect(await lease.beginScan({})).toBe('hosts')
    vi.advanceTimersByTime(1)
    expect(await lease.beginScan({})).toBe('hosts')
    lease.noteCompared()
    expect(await lease.beginScan({})).toBe('nothing')
  })

  test('nothing is kept up for all, and nothing is given back', async () => {
    const { lease, calls } = leaseOn({ isFree: false })
    await lease.beginScan({})
    await lease.giveBack()
    expect(calls).toEqual(['beginScan'])
  })
})

describe('with the lease', () => {
  test('everything is scanned, and history, journal and counters are kept up once a minute', async () => {
    const { lease, calls } = leaseOn({ isFree: true })
    const upkeep = ['history', 'journal', 'dropCounts']
    expect(await lease.beginScan({})).toBe('all')
    await vi.advanceTimersByTimeAsync(60_000)
    expect(calls.splice(0)).toEqual(['beginScan', ...upkeep])
    expect(await lease.beginScan({})).toBe('all')
    await vi.advanceTimersByTimeAsync(1)
    expect(calls.splice(0)).toEqual(['beginScan'])
    await lease.beginScan({})
    await vi.advanceTimersByTimeAsync(0)
    expect(calls).toEqual(['beginScan', ...upkeep])
  })

  test('it is given back once', async () => {
    const { lease, calls } = leaseOn({ isFree: true })
    await lease.beginScan({})
    await vi.advanceTimersByTimeAsync(0)
    calls.length = 0
    await lease.giveBack()
    await lease.giveBack()
    expect(calls).toEqual(['giveBackLease'])
  })

  test('that another one took, the turn is over', async () => {
    const server = { isFree: true }
    const { lease } = leaseOn(server)
    expect(await lease.beginScan({})).toBe('all')
    expect(await lease.renew()).toBe(true)
    server.isFree = false
    expect(await lease.renew()).toBe(false)
    expect(await lease.beginScan({})).toBe('hosts')
  })
})
