import { describe, expect, test, vi } from 'vitest'
import {
  BATCH_DELAY_MS,
  MAX_BATCH_ADDRESSES,
  SightingRecorder,
  type SightingRecorderOptions,
} from '../../../../src/daemon/spamlogd/sighting-recorder.js'
import type { Sighting, SightingOptions, SightingOutcome, Store } from '../../../../src/db/store.js'
import { AppError } from '../../../../src/platform/app-error.js'
import { ManualClock } from '../../../support/manual-clock.js'
import { MemoryLogger } from '../../../support/memory-logger.js'

const DB = '/var/db/spamd.sqlite'

interface Call {
  sightings: Sighting[]
  nowSec: number
}

/** A database that can be taken away; remembers every stored batch. */
class FakeDatabase {
  readonly calls: Call[] = []
  failure: AppError | undefined
  attempts = 0
  readonly trapped = new Set<string>()
  readonly pinned = new Set<string>()
  #known = new Set<string>()
  #changed: (() => void)[] = []

  readonly use: SightingRecorderOptions['use'] = (action) => {
    this.attempts += 1
    queueMicrotask(() => {
      for (const wake of this.#changed.splice(0)) wake()
    })
    if (this.failure !== undefined) return Promise.reject(this.failure)
    return action({ recordSightings: (...args) => this.#record(...args) } as Partial<Store> as Store)
  }

  /** Resolves after the next attempt to write. */
  nextAttempt(): Promise<void> {
    return new Promise((resolve) => this.#changed.push(resolve))
  }

  /** Resolves when so many sightings are stored. */
  async until(count: number): Promise<void> {
    while (this.total() < count) await this.nextAttempt()
  }

  total(): number {
    return this.calls.reduce(
      (sum, call) => sum + call.sightings.reduce((part, { count }) => part + count, 0),
      0,
    )
  }

  async #record(
    sightings: readonly Sighting[],
    options: SightingOptions,
    nowSec: number,
  ): Promise<{ outcomes: SightingOutcome[]; changes: [] }> {
    this.calls.push({ sightings: [...sightings], nowSec })
    const outcomes = sightings.map(({ ip }): SightingOutcome => {
      if (this.trapped.has(ip) && !options.untrap) return { result: 'left-trapped' }
      const isNew = !this.#known.has(ip)
      this.#known.add(ip)
      const result = this.trapped.has(ip) ? 'untrapped' : isNew ? 'added' : 'refreshed'
      return { result, expire: this.pinned.has(ip) ? 0 : nowSec + options.whiteExpireSec }
    })
    return { outcomes, changes: [] }
  }
}

function setUp(options: Partial<SightingRecorderOptions> = {}) {
  const database = new FakeDatabase()
  const logger = new MemoryLogger()
  const clock = new ManualClock()
  const recorder = new SightingRecorder({
    use: database.use,
    location: DB,
    logger,
    clock,
    whiteExpireSec: 3_600,
    untrap: false,
    ...options,
  })
  return { database, logger, clock, recorder, lines: () => logger.lines.map((line) => line.message) }
}

const address = (number: number) => `10.${number >> 16}.${(number >> 8) & 255}.${number & 255}`
const missing = new AppError('ERR_DB_OPEN', 'No such file or directory')
const locked = new AppError('ERR_DB_BUSY', 'database is locked')

test('counts from nothing', () => {
  expect(setUp().recorder.counts).toEqual({
    ...{ added: 0, refreshed: 0, untrapped: 0, leftTrapped: 0, dropped: 0 },
  })
})

describe('batches', () => {
  test('sightings of a tenth of a second become one transaction, the same address counted', async () => {
    const { database, recorder } = setUp()
    for (const ip of ['192.0.2.1', '192.0.2.2', '192.0.2.1']) recorder.add(ip)
    expect(database.attempts).toBe(0)
    await database.until(3)
    expect(database.calls).toEqual([
      {
        sightings: [
          { ip: '192.0.2.1', count: 2 },
          { ip: '192.0.2.2', count: 1 },
        ],
        nowSec: 1_700_000_000,
      },
    ])
    await recorder.stop(0)
    expect([recorder.pendingCount, recorder.counts.added]).toEqual([0, 2])
  })

  test('a full batch does not wait for the delay, and none is larger', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    try {
      const { database, recorder } = setUp()
      for (let number = 0; number < 2 * MAX_BATCH_ADDRESSES + 1; number += 1) recorder.add(address(number))
      // The timers stand still: only the size can have caused these.
      await database.until(2 * MAX_BATCH_ADDRESSES)
      expect(database.calls.map((call) => call.sightings.length).slice(0, 2)).toEqual([1_000, 1_000])
      await recorder.stop(0)
    } finally {
      vi.useRealTimers()
    }
  })

  test('the delay is that of the first address', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    try {
      const { database, recorder } = setUp()
      recorder.add('192.0.2.1')
      vi.advanceTimersByTime(BATCH_DELAY_MS - 1)
      recorder.add('192.0.2.2')
      expect(database.attempts).toBe(0)
      vi.advanceTimersByTime(1)
      await database.until(2)
      expect(database.calls).toHaveLength(1)
      await recorder.stop(0)
    } finally {
      vi.useRealTimers()
    }
  })

  test('with times of their own, sightings of different seconds are different transactions', async () => {
    const { database, recorder } = setUp()
    recorder.add('192.0.2.1', 100)
    recorder.add('192.0.2.2', 100)
    recorder.add('192.0.2.1', 101)
    expect(await recorder.stop(0)).toBe(0)
    expect(database.calls.map((call) => [call.nowSec, call.sightings.length])).toEqual([
      [100, 2],
      [101, 1],
    ])
  })

  test('a savefile is written when asked only', async () => {
    const { database, recorder } = setUp({ batchDelayMs: Infinity, maxPendingAddresses: 2_500 })
    for (let number = 0; number < 2_500; number += 1) recorder.add(address(number))
    expect([recorder.isFull, database.attempts]).toEqual([true, 0])
    expect(await recorder.drain(0)).toBe(0)
    expect([recorder.isFull, database.total()]).toEqual([false, 2_500])
    await recorder.stop(0)
  })
})

describe('a database that is away', () => {
  test('nothing is lost and one error is logged, until it is back', async () => {
    const { database, recorder, lines } = setUp()
    database.failure = missing
    for (let number = 0; number < 1_500; number += 1) recorder.add(address(number))
    recorder.add(address(0))
    for (let attempt = 0; attempt < 3; attempt += 1) await database.nextAttempt()
    expect(lines()).toEqual([`Can not open db ${DB}: No such file or directory`])
    expect(recorder.pendingCount).toBe(1_500)
    database.failure = undefined
    await database.until(1_501)
    expect(await recorder.stop(0)).toBe(0)
    expect(database.total()).toBe(1_501)
    expect(lines()).toEqual([
      `Can not open db ${DB}: No such file or directory`,
      `${DB} can be written again`,
    ])
  })

  test('another error comes after a minute, not before', async () => {
    const { database, recorder, clock, logger } = setUp()
    database.failure = missing
    recorder.add('192.0.2.1')
    await recorder.drain(0)
    clock.advance(59)
    await recorder.drain(0)
    expect(logger.lines).toHaveLength(1)
    clock.advance(1)
    await recorder.drain(0)
    expect(logger.lines).toHaveLength(2)
    expect(await recorder.stop(0)).toBe(1)
  })

  test('a short lock makes no line, a long one does', async () => {
    const { database, recorder, clock, lines } = setUp()
    database.failure = locked
    recorder.add('192.0.2.1')
    await recorder.drain(0)
    expect(lines()).toEqual([])
    clock.advance(5)
    await recorder.drain(0)
    expect(lines()).toEqual([`Can not open db ${DB}: database is locked`])
    database.failure = undefined
    expect(await recorder.stop(0)).toBe(0)
  })

  test('a failing disk is told in the words of the original', async () => {
    const { database, recorder, logger } = setUp()
    database.failure = new AppError('ERR_DB_FULL', 'No space left on device')
    recorder.add('192.0.2.1')
    await recorder.drain(0)
    expect(logger.lines[0]).toMatchObject({
      level: 'notice',
      message: 'db->put failed (No space left on device)',
    })
    await recorder.stop(0)
  })

  test('what waits is bounded: the oldest go, are counted and told once', async () => {
    const { database, recorder, lines } = setUp({ maxPendingAddresses: 3 })
    database.failure = missing
    recorder.add(address(0))
    recorder.add(address(0))
    for (let number = 1; number < 5; number += 1) recorder.add(address(number))
    expect([recorder.pendingCount, recorder.counts.dropped]).toEqual([3, 3])
    database.failure = undefined
    await recorder.stop(0)
    expect(database.calls[0]?.sightings.map(({ ip }) => ip)).toEqual([address(2), address(3), address(4)])
    expect(lines()).toEqual(['more than 3 addresses are waiting for the database: dropping the oldest'])
  })

  test('the end waits for a lock as long as it may, and says what is lost then', async () => {
    const { database, recorder, lines } = setUp()
    database.failure = locked
    recorder.add('192.0.2.1')
    const stopping = recorder.stop(5_000)
    await database.nextAttempt()
    await database.nextAttempt()
    database.failure = undefined
    expect(await stopping).toBe(0)

    const second = setUp()
    second.database.failure = missing
    second.recorder.add('192.0.2.1')
    expect(await second.recorder.stop(5_000)).toBe(1)
    expect(second.lines().at(-1)).toBe(`1 addresses could not be recorded in ${DB}`)
    expect(lines()).toEqual([`${DB} can be written again`])
  })

  test('an address that is seen again during a write is written again', async () => {
    const { database, recorder } = setUp({ batchDelayMs: Infinity })
    recorder.add('192.0.2.1')
    const draining = recorder.drain(0)
    const use = database.use
    await database.nextAttempt().then(() => recorder.add('192.0.2.1'))
    expect(use).toBe(database.use)
    await draining
    expect(await recorder.stop(0)).toBe(0)
    expect(database.total()).toBe(2)
  })
})

describe('announcing white entries', () => {
  test('each stored sighting, in order of arrival, with what the store says; TRAPPED ones not', async () => {
    const announced: unknown[] = []
    const { database, recorder } = setUp({ onWhitelisted: (...args) => void announced.push(args) })
    database.trapped.add('192.0.2.9')
    database.pinned.add('192.0.2.2')
    database.failure = missing
    for (const ip of ['192.0.2.1', '192.0.2.9', '192.0.2.2', '192.0.2.1']) recorder.add(ip)
    await recorder.drain(0)
    expect(announced).toEqual([])
    database.failure = undefined
    await recorder.stop(0)
    const expire = 1_700_003_600
    expect(announced).toEqual([
      ['192.0.2.1', expire],
      ['192.0.2.2', 0],
      ['192.0.2.1', expire],
    ])
    expect(recorder.counts.leftTrapped).toBe(1)
  })

  test('across batches none is forgotten', async () => {
    const announced: string[] = []
    const { recorder } = setUp({ onWhitelisted: (ip) => void announced.push(ip), batchDelayMs: Infinity })
    const order: string[] = []
    for (let number = 0; number < 2_500; number += 1) order.push(address(number % 2_100))
    for (const ip of order) recorder.add(ip)
    await recorder.stop(0)
    expect(announced.toSorted()).toEqual(order.toSorted())
  })
})
