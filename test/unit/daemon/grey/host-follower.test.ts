import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { HostFollower } from '../../../../src/daemon/grey/host-follower.js'
import type { StoreAccess } from '../../../../src/daemon/store/store-keeper.js'
import type { DaemonStore } from '../../../../src/daemon/store/store-worker-messages.js'
import type { JournalSlice } from '../../../../src/db/store.js'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

/** A follower of a journal that is read as `readJournal` says, and what it did. */
function followed(tellsChanges: boolean) {
  const state = { readCount: 0, everythingCount: 0, intervalCount: 0 }
  const readJournal = vi.fn(async (): Promise<JournalSlice> => ({ rows: [], newest: 5, isBehind: false }))
  const use: StoreAccess = async (action) => {
    state.readCount += 1
    return action({ readJournal } as unknown as DaemonStore)
  }
  const follower = new HostFollower({
    keeper: { use, tellsChanges },
    clock: { nowSec: () => 1, monotonicMs: () => performance.now() },
    onHost: () => undefined,
    onEverything: () => {
      state.everythingCount += 1
    },
    onInterval: () => {
      state.intervalCount += 1
    },
  })
  const readsWithin = async (ms: number): Promise<number> => {
    const before = state.readCount
    await vi.advanceTimersByTimeAsync(ms)
    return state.readCount - before
  }
  return { follower, state, readJournal, readsWithin }
}

test('looks twice a second where nobody tells of changes', async () => {
  const { follower, state, readsWithin } = followed(false)
  await follower.start()
  expect([await readsWithin(10_000), state.intervalCount]).toEqual([20, 1])
  await follower.stop()
  expect(await readsWithin(10_000)).toBe(0)
})

test('looks when it is told, else every ten seconds, and twice a second after a failure', async () => {
  const { follower, state, readJournal, readsWithin } = followed(true)
  await follower.start()
  expect(await readsWithin(9_900)).toBe(0)
  await follower.poll()
  expect([await readsWithin(99), await readsWithin(1), state.intervalCount]).toEqual([0, 1, 1])
  expect([await readsWithin(9_999), await readsWithin(20_001), state.intervalCount]).toEqual([0, 3, 4])
  readJournal.mockRejectedValueOnce(new Error('gone'))
  await follower.poll()
  expect([await readsWithin(500), await readsWithin(9_000)]).toEqual([1, 0])
  await follower.stop()
})

test('looks again when it is told during a look', async () => {
  const { follower, state, readJournal } = followed(true)
  await follower.start()
  let finish: (slice: JournalSlice) => void = () => undefined
  readJournal.mockImplementationOnce(() => new Promise((resolve) => (finish = resolve)))
  const first = follower.poll()
  const again = [follower.poll(), follower.poll()]
  readJournal.mockResolvedValueOnce({ rows: [], newest: 9, isBehind: true })
  finish({ rows: [], newest: 5, isBehind: false })
  await Promise.all([first, ...again])
  expect([readJournal.mock.calls.length, state.everythingCount]).toEqual([3, 1])
  await follower.stop()
})
