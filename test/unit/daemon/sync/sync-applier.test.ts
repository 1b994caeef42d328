import { describe, expect, test, vi } from 'vitest'
import type { SyncAddress } from '../../../../src/codec/sync-message.js'
import { SyncApplier, type SyncApplierOptions } from '../../../../src/daemon/sync/sync-applier.js'
import type { Store } from '../../../../src/db/store.js'
import { AppError } from '../../../../src/platform/app-error.js'
import { ManualClock } from '../../../support/manual-clock.js'
import { MemoryLogger } from '../../../support/memory-logger.js'
import { PATIENCE } from '../../../support/patience.js'
import { POLICY } from '../../../support/scratch-database.js'

const NOW = 1_700_000_000

function setUp(options: Partial<SyncApplierOptions> = {}) {
  const clock = new ManualClock(NOW)
  const logger = new MemoryLogger()
  const applied: Parameters<Store['applySync']>[0][number][] = []
  const failures: Error[] = []
  const tuples: unknown[] = []
  const greylister = { waitingCount: 0, receive: async (tuple: unknown) => void tuples.push(tuple) }
  const store: Pick<Store, 'applySync'> = {
    async applySync(changes) {
      const failure = failures.shift()
      if (failure !== undefined) throw failure
      applied.push(...changes)
      return { outcomes: changes.map(() => 'created' as const), changes: [] }
    },
  }
  const applier = new SyncApplier({
    useStore: (action) => action(store as Store),
    databasePath: '/db',
    policy: POLICY,
    greylister: () => greylister,
    clock,
    logger,
    ...options,
  })
  const errors = () => logger.lines.filter(({ level }) => level === 'err').map(({ message }) => message)
  return { applier, applied, failures, greylister, tuples, errors, logger }
}

const address = (index: number, part: Partial<SyncAddress> = {}): SyncAddress => ({
  type: 'WHITE',
  timestamp: NOW,
  ip: `192.0.${index >> 8}.${index & 255}`,
  expire: NOW + 500,
  ...part,
})
const addresses = (count: number) => Array.from({ length: count }, (_, index) => address(index))
const full = () => new AppError('ERR_DB_FULL', 'No space left on device')
const locked = () => new AppError('ERR_DB_BUSY', 'database is locked')

describe('the end', () => {
  test('writes everything that waits, however many batches that takes', async () => {
    const { applier, applied } = setUp()
    applier.take(addresses(2_500), '192.0.2.2')
    await applier.close()
    expect(applied).toHaveLength(2_500)
    expect(applier.counters).toEqual({ applied: 2_500, ignored: 0, dropped: 0 })
  })
  test('waits for a lock', async () => {
    const { applier, applied, failures, errors } = setUp()
    failures.push(locked(), locked(), locked())
    applier.take(addresses(3), '192.0.2.2')
    await applier.close()
    expect(applied).toHaveLength(3)
    expect(errors()).toHaveLength(1)
  })
  test('says what is lost', async () => {
    const { applier, failures, errors } = setUp()
    failures.push(...Array.from({ length: 5 }, full))
    applier.take(addresses(3), '192.0.2.2')
    await applier.close()
    expect(errors().at(-1)).toBe('3 sync entries could not be applied and are lost')
  })
  test('takes nothing more', async () => {
    const { applier, applied } = setUp()
    await applier.close()
    applier.take(addresses(1), '192.0.2.2')
    await applier.close()
    expect([applied.length, applier.counters.dropped]).toEqual([0, 1])
  })
})

describe('limits', () => {
  test('the queue holds so many and no more; the busiest peer pays', async () => {
    const { applier, applied, failures, errors } = setUp({ maxQueuedEntries: 5 })
    failures.push(full())
    applier.take(addresses(20), '192.0.2.2')
    expect(applier.counters.dropped).toBe(15)
    applier.take([address(99)], '192.0.2.3')
    expect(applier.counters.dropped).toBe(16)
    await vi.waitFor(() => expect(errors()).toHaveLength(1), PATIENCE)
    await applier.close()
    expect(applied.map(({ ip, peer }) => `${ip} ${peer}`)).toContain('192.0.0.99 192.0.2.3')
    expect(applied).toHaveLength(5)
  })
  test('a full one is told once', () => {
    const { applier, logger } = setUp({ maxQueuedEntries: 1 })
    applier.take(addresses(9), '192.0.2.2')
    expect(logger.lines.map(({ message }) => message)).toEqual([
      'too many sync entries are waiting for /db: dropping those of the busiest peer',
    ])
  })
  test('tuples are dropped where 20,000 wait in the greylister', () => {
    const { applier, greylister, tuples } = setUp()
    const grey = {
      type: 'GREY',
      timestamp: NOW,
      ip: '192.0.2.9',
      helo: 'h',
      from: '<a@b>',
      to: '<c@d>',
    } as const
    greylister.waitingCount = 19_999
    applier.take([grey], '192.0.2.2')
    greylister.waitingCount = 20_000
    applier.take([grey], '192.0.2.2')
    expect([tuples.length, applier.counters.dropped]).toEqual([1, 1])
  })
})
