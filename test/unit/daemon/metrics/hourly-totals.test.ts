/** What spamd counts in memory, added to the counters of the hours. */
import { expect, test, vi } from 'vitest'
import { HourlyTotals, type HourlyTotalsParts } from '../../../../src/daemon/metrics/hourly-totals.js'
import { AppError } from '../../../../src/platform/app-error.js'
import { ManualClock } from '../../../support/manual-clock.js'

type Added = Parameters<Parameters<Parameters<HourlyTotalsParts['keeper']['use']>[0]>[0]['addCounts']>[0]

function partsOf() {
  const added: Added[] = []
  const smtp = {
    counters: { refusedFull: 0, refusedPerIp: 0, refusedPerNetwork: 0, refusedProxy: 0 },
    dialogues: { stutterMsByList: new Map<string, number>(), unlistedStutterMs: 0 },
    listHits: new Map<string, number>(),
  }
  const state = { isFailing: false }
  const store = {
    addCounts: async (counts: Added) => {
      if (state.isFailing) throw new AppError('ERR_DB_BUSY', 'locked')
      added.push(counts)
    },
  }
  const totals = new HourlyTotals({
    smtp: smtp as unknown as HourlyTotalsParts['smtp'],
    greylister: { counters: { refused: 0 } } as HourlyTotalsParts['greylister'],
    keeper: { use: (action: (opened: never) => unknown) => action(store as never) } as never,
    clock: new ManualClock(),
  })
  return { added, smtp, state, totals }
}

test('each piece is stored once, and parts of a second with the next', async () => {
  const { added, smtp, totals } = partsOf()
  smtp.listHits.set('bl', 2)
  smtp.dialogues.stutterMsByList.set('bl', 1_700)
  await totals.flush()
  smtp.dialogues.stutterMsByList.set('bl', 3_400)
  smtp.dialogues.unlistedStutterMs = 5_000
  smtp.counters.refusedFull = 4
  await totals.flush()
  await totals.stop()
  expect(added).toEqual([
    [
      { name: 'listed', label: 'bl', count: 2 },
      { name: 'tarpit-seconds', label: 'bl', count: 1 },
    ],
    [
      { name: 'tarpit-seconds', label: 'bl', count: 2 },
      { name: 'tarpit-seconds', label: '', count: 5 },
      { name: 'refused', label: 'full', count: 4 },
    ],
  ])
})

test('what a failing database did not take comes with the next', async () => {
  const { added, smtp, state, totals } = partsOf()
  smtp.listHits.set('bl', 2)
  state.isFailing = true
  await totals.flush()
  state.isFailing = false
  smtp.listHits.set('bl', 3)
  await totals.flush()
  expect(added).toEqual([[{ name: 'listed', label: 'bl', count: 3 }]])
})

test('they are stored once a minute, up to the end and not after it', async () => {
  vi.useFakeTimers()
  try {
    const { added, smtp, totals } = partsOf()
    totals.start()
    for (const [hits, afterMs] of [
      [1, 59_999],
      [2, 1],
      [3, 60_000],
    ] as const) {
      smtp.listHits.set('bl', hits)
      await vi.advanceTimersByTimeAsync(afterMs)
    }
    expect(added.flat().map(({ count }) => count)).toEqual([2, 1])
    smtp.listHits.set('bl', 7)
    await totals.stop()
    smtp.listHits.set('bl', 8)
    await vi.advanceTimersByTimeAsync(600_000)
    expect(added.flat().map(({ count }) => count)).toEqual([2, 1, 4])
    expect(vi.getTimerCount()).toBe(0)
  } finally {
    vi.useRealTimers()
  }
})
