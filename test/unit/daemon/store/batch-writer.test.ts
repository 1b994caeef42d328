import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import {
  BatchWriter,
  type BatchWriterOptions,
  type WriteFailure,
  type WriterPace,
} from '../../../../src/daemon/store/batch-writer.js'
import { AppError } from '../../../../src/platform/app-error.js'
import { ManualClock } from '../../../support/manual-clock.js'

/** A writer of numbers whose store can be slow or fail. */
function setUp(pace: Partial<WriterPace> = {}) {
  const clock = new ManualClock()
  const waiting: number[] = []
  const written: number[][] = []
  const failures: WriteFailure[] = []
  const log: string[] = []
  const store = { error: undefined as Error | undefined, attempts: 0, gate: Promise.resolve() }
  const options: BatchWriterOptions<number[], string> = {
    work: {
      get length() {
        return waiting.length
      },
      nextBatch: () => waiting.slice(0, 3),
      remove: (batch) => void waiting.splice(0, batch.length),
    },
    pace: { fullBatch: 3, companyMs: 10, companyFrom: 20, ...pace },
    clock,
    write: async (batch) => {
      store.attempts += 1
      await store.gate
      if (store.error !== undefined) throw store.error
      written.push(batch)
      return 'done'
    },
    onWritten: (_batch, outcome) => log.push(outcome),
    onFailed: (failure) => failures.push(failure),
    onRecovered: () => log.push('recovered'),
  }
  const writer = new BatchWriter(options)
  const add = (...numbers: number[]) => {
    for (const number of numbers) {
      waiting.push(number)
      writer.notify()
    }
  }
  return { clock, waiting, written, failures, log, store, writer, add }
}

const locked = new AppError('ERR_DB_BUSY', 'locked')
const full = new AppError('ERR_DB_FULL', 'No space left on device')

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
})
afterEach(() => {
  vi.useRealTimers()
})
/** Everything that needs no timer has happened. */
const settled = () => new Promise((resolve) => setImmediate(resolve))

describe('company', () => {
  test('a single item is written at once', async () => {
    const { written, add } = setUp()
    add(1)
    await settled()
    expect(written).toEqual([[1]])
  })
  test('what arrives during a write goes together', async () => {
    const { written, add, store } = setUp()
    let open = (): void => undefined
    store.gate = new Promise((resolve) => {
      open = resolve
    })
    add(1)
    await settled()
    add(2, 3)
    open()
    await settled()
    expect(written).toEqual([[1], [2, 3]])
  })
  test('under load a batch waits for company, a full one does not', async () => {
    const { written, add } = setUp({ companyFrom: 2 })
    add(1)
    await settled()
    add(2)
    await settled()
    expect(written).toEqual([[1]])
    await vi.advanceTimersByTimeAsync(10)
    expect(written).toEqual([[1], [2]])
    add(3)
    await settled()
    add(4, 5)
    await settled()
    expect(written).toEqual([[1], [2], [3, 4, 5]])
  })
  test('the load of two windows ago is forgotten', async () => {
    const { written, add, clock } = setUp({ companyFrom: 3 })
    add(1, 2, 3)
    await vi.advanceTimersByTimeAsync(10)
    clock.ms += 60
    add(4)
    await settled()
    // The window before was busy.
    expect(written).toEqual([[1, 2, 3]])
    await vi.advanceTimersByTimeAsync(10)
    clock.ms += 101
    add(5)
    await settled()
    expect(written).toEqual([[1, 2, 3], [4], [5]])
  })
  test('with an endless wait only a drain writes', async () => {
    const { written, add, writer } = setUp({ companyMs: Infinity })
    add(1, 2, 3, 4)
    await settled()
    await vi.advanceTimersByTimeAsync(60_000)
    expect(written).toEqual([])
    expect(await writer.drain(0)).toBe(0)
    expect(written).toEqual([[1, 2, 3], [4]])
  })
})

describe('a store that fails', () => {
  test('is asked again, ever more rarely, until it is well', async () => {
    const { written, add, store, failures, log, writer } = setUp()
    store.error = full
    add(1)
    await settled()
    expect([store.attempts, writer.isFailing, failures[0]!.isFirst]).toEqual([1, true, true])
    const pauses = [100, 200, 400, 800, 1600, 2000, 2000]
    for (const [index, pauseMs] of pauses.entries()) {
      await vi.advanceTimersByTimeAsync(pauseMs - 1)
      expect(store.attempts).toBe(index + 1)
      await vi.advanceTimersByTimeAsync(1)
      expect(store.attempts).toBe(index + 2)
    }
    store.error = undefined
    await vi.advanceTimersByTimeAsync(2000)
    expect([written, log, writer.isFailing]).toEqual([[[1]], ['recovered', 'done'], false])
    expect(writer.counters).toMatchObject({ batches: 1, failures: 8 })
    expect(failures[1]!.isFirst).toBe(false)
  })
  test('a lock is tried at the first pace all the time', async () => {
    const { add, store, failures, clock } = setUp()
    store.error = locked
    add(1)
    await settled()
    for (let count = 2; count < 30; count += 1) {
      clock.ms += 100
      await vi.advanceTimersByTimeAsync(100)
      expect(store.attempts).toBe(count)
    }
    expect(failures.at(-1)).toEqual({ error: locked, code: 'ERR_DB_BUSY', isFirst: false, failingMs: 2800 })
  })
  test('arrivals do not hurry it', async () => {
    const { add, store } = setUp()
    store.error = full
    add(1)
    await settled()
    add(2, 3, 4, 5)
    await settled()
    expect(store.attempts).toBe(1)
  })
})

describe('the end', () => {
  test('writes everything that waits', async () => {
    const { written, add, writer } = setUp({ companyFrom: 0 })
    add(1, 2, 3, 4, 5)
    expect(await writer.close(0)).toBe(0)
    expect(written).toEqual([
      [1, 2, 3],
      [4, 5],
    ])
  })
  test('cuts a pause after a failure short', async () => {
    const { written, add, writer, store } = setUp()
    store.error = full
    add(1)
    await settled()
    store.error = undefined
    expect(await writer.close(0)).toBe(0)
    expect(written).toEqual([[1]])
  })
  test('gives up at once where nothing can be written, and tells how much is left', async () => {
    const { add, writer, store } = setUp()
    store.error = full
    add(1, 2)
    expect(await writer.close(5_000)).toBe(2)
    add(3)
    await settled()
    await vi.advanceTimersByTimeAsync(60_000)
    expect(store.attempts).toBeLessThanOrEqual(2)
  })
  test('waits for a lock as long as it may', async () => {
    vi.useRealTimers()
    const { add, writer, store, clock, failures } = setUp()
    store.error = locked
    add(1)
    const closing = writer.close(5_000)
    await vi.waitFor(() => expect(failures.length).toBeGreaterThan(2))
    clock.ms += 5_000
    expect(await closing).toBe(1)
  })
  test('opens a replaced file once more', async () => {
    const { add, writer, store } = setUp({ companyMs: Infinity })
    store.error = new AppError('ERR_DB_GONE', 'replaced')
    add(1)
    expect(await writer.close(5_000)).toBe(1)
    expect(store.attempts).toBe(2)
  })
  test('after a drain it goes on by itself', async () => {
    const { written, add, writer } = setUp()
    add(1)
    await writer.drain(0)
    add(2)
    await settled()
    expect(written).toEqual([[1], [2]])
  })
})
