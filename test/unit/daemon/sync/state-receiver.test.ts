import { describe, expect, test, vi } from 'vitest'
import type { StateMessage } from '../../../../src/codec/sync-state-message.js'
import { StateReceiver } from '../../../../src/daemon/sync/state-receiver.js'
import type { Store, SyncPeer } from '../../../../src/db/store.js'
import type { MergeRecord } from '../../../../src/domain/decide-merge.js'
import { AppError } from '../../../../src/platform/app-error.js'
import { ManualClock } from '../../../support/manual-clock.js'
import { PATIENCE } from '../../../support/patience.js'
import { POLICY } from '../../../support/scratch-database.js'

const NOW = 1_700_000_000
const MAX_WAITING = 5000
const FLOODER = 1
const QUIET = 2

function setUp() {
  const merged: { node: number; records: number; position: number }[] = []
  const failures: Error[] = []
  const troubles: unknown[] = []
  const missed: number[] = []
  const clock = new ManualClock(NOW)
  /** Writes wait for it. */
  const gate = { open: Promise.resolve() }
  const store: Pick<Store, 'merge'> = {
    async merge(records, { peer }) {
      await gate.open
      const failure = failures.shift()
      if (failure !== undefined) throw failure
      const { node, position } = peer as SyncPeer
      merged.push({ node, records: records.length, position })
      return { outcomes: records.map(() => 'applied' as const), changes: [] }
    },
  }
  const receiver = new StateReceiver({
    useStore: (action) => action(store as Store),
    policy: POLICY,
    clock,
    onHeard: () => undefined,
    onMissed: ({ node }) => void missed.push(node),
    onTrouble: (error) => void troubles.push(error),
  })
  /** The change `upTo` of a gateway, told by `count` records. */
  const tell = (node: number, upTo: number, count = 1, stampMs = NOW * 1000): void => {
    const record: MergeRecord = {
      kind: 'host',
      ip: '192.0.2.1',
      registers: { bcount: 0, pcount: 0, reset: { time: stampMs, counter: 0, node } },
    }
    const message: StateMessage = {
      ...{ node, number: upTo, clockMs: NOW * 1000, from: upTo - 1, upTo, isTellingAll: true },
      ...{ records: Array.from({ length: count }, () => record), unknownCount: 0 },
    }
    receiver.take(message, `198.51.100.${node}`)
  }
  /** Keeps writes waiting until the function that it returns is called. */
  const hold = (): (() => void) => {
    let release = (): void => undefined
    gate.open = new Promise((resolve) => {
      release = resolve
    })
    return () => release()
  }
  return { receiver, merged, failures, troubles, missed, clock, tell, hold }
}

const full = () => new AppError('ERR_DB_FULL', 'No space left on device')
const locked = () => new AppError('ERR_DB_BUSY', 'database is locked')

describe('a flood of one gateway', () => {
  test('displaces nothing of another one: its own newest messages go, and count as missed', async () => {
    const { receiver, merged, missed, clock, tell, hold } = setUp()
    const release = hold()
    for (let upTo = 1; upTo <= MAX_WAITING + 100; upTo += 1) tell(FLOODER, upTo)
    for (let upTo = 1; upTo <= 50; upTo += 1) tell(QUIET, upTo)
    expect(receiver.counters.dropped).toBe(150)
    release()
    await receiver.settled()
    expect(receiver.counters.applied).toBe(MAX_WAITING)
    expect(merged.filter(({ node }) => node === QUIET).reduce((sum, { records }) => sum + records, 0)).toBe(
      50,
    )
    expect(receiver.peers.find(({ node }) => node === QUIET)).toMatchObject({ missingCount: 0 })
    // What was dropped shows with the next message that is stored.
    tell(FLOODER, MAX_WAITING + 101)
    await receiver.settled()
    receiver.check()
    clock.advance(4)
    receiver.check()
    expect(missed).toEqual([FLOODER])
    expect(receiver.peers.find(({ node }) => node === FLOODER)).toMatchObject({ missingCount: 150 })
  })

  test('does not make another one wait for more than the batch that is being written', async () => {
    const { receiver, merged, tell, hold } = setUp()
    const release = hold()
    for (let upTo = 1; upTo <= 400; upTo += 1) tell(FLOODER, upTo, 20)
    tell(QUIET, 1)
    release()
    await receiver.settled()
    expect(merged.findIndex(({ node }) => node === QUIET)).toBeLessThanOrEqual(1)
    expect(Math.max(...merged.map(({ records }) => records))).toBeLessThan(1100)
  })

  test('under one address but many numbers takes the turns of that address', async () => {
    const { receiver, merged, tell, hold } = setUp()
    const release = hold()
    for (let node = 10; node < 60; node += 1) {
      for (let upTo = 1; upTo <= 20; upTo += 1) {
        receiver.take(
          {
            ...{ node, number: upTo, clockMs: NOW * 1000, from: upTo - 1, upTo, isTellingAll: true },
            ...{ records: [], unknownCount: 0 },
          },
          '203.0.113.1',
        )
      }
    }
    tell(QUIET, 1)
    release()
    await receiver.settled()
    expect(merged.findIndex(({ node }) => node === QUIET)).toBeLessThanOrEqual(1)
  })
})

describe('a database that refuses', () => {
  test('keeps what waits, in order and told once as trouble; what is ahead counts once', async () => {
    const { receiver, merged, failures, troubles, tell } = setUp()
    failures.push(locked(), locked(), full())
    tell(QUIET, 1)
    tell(QUIET, 2, 1, (NOW + 400) * 1000)
    tell(QUIET, 3)
    await vi.waitFor(() => expect(merged.at(-1)?.position).toBe(1), PATIENCE)
    await receiver.settled()
    expect(troubles).toHaveLength(1)
    expect(receiver.counters).toMatchObject({ applied: 2, ahead: 1, dropped: 0 })
    failures.push(full())
    tell(QUIET, 4)
    await vi.waitFor(() => expect(receiver.counters.applied).toBe(3), PATIENCE)
    expect(troubles).toHaveLength(2)
  })

  test('is tried once more at the end, which writes all that waits', async () => {
    const { receiver, merged, failures, troubles, tell } = setUp()
    failures.push(full())
    for (let upTo = 1; upTo <= 60; upTo += 1) tell(QUIET, upTo, 50)
    await vi.waitFor(() => expect(troubles).toHaveLength(1), PATIENCE)
    await receiver.stop()
    expect(merged.at(-1)?.position).toBe(60)
    expect(receiver.counters.applied).toBe(3000)
  })

  test('does not hold up the end: what was not stored is missed, and a pull brings it', async () => {
    const { receiver, merged, failures, tell } = setUp()
    failures.push(full())
    tell(QUIET, 1)
    await receiver.stop()
    tell(QUIET, 2)
    expect([merged, failures]).toEqual([[], []])
    expect(receiver.counters).toMatchObject({ applied: 0, dropped: 0 })
  })
})
