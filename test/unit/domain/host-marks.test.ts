/** What each event leaves of the registers of an address; merge.test.ts has what two gateways make of them. */
import { describe, expect, test } from 'vitest'
import {
  expiredMarks,
  grantedMarks,
  manualMarks,
  refreshedMarks,
  resetMarks,
  trappedMarks,
} from '../../../src/domain/host-marks.js'

const at = (time: number) => ({ time, counter: 0, node: 7 })
const NOW = at(9_000)
const hand = (time: number) => ({ stamp: at(time), kind: 'WHITE' as const, pinned: true })
const white = { grant: at(2_000), stamp: at(3_000) }

test.each([
  ['granted, for the first time', grantedMarks(undefined, NOW), { white: { grant: NOW, stamp: NOW } }],
  [
    'granted: what was trapped goes, what reset it stays',
    grantedMarks({ reset: at(1_000), trap: at(2_000) }, NOW),
    { reset: at(1_000), white: { grant: NOW, stamp: NOW } },
  ],
  ['seen again, without registers', refreshedMarks(undefined, NOW), { white: { stamp: NOW } }],
  [
    'seen again: its grant stays',
    refreshedMarks({ reset: at(1_000), white, hand: hand(1_500) }, NOW),
    { reset: at(1_000), white: { grant: at(2_000), stamp: NOW }, hand: hand(1_500) },
  ],
  ['trapped, for the first time', trappedMarks(undefined, NOW), { reset: undefined, trap: NOW }],
  [
    'trapped: what was granted goes',
    trappedMarks({ reset: at(1_000), white }, NOW),
    { reset: at(1_000), trap: NOW },
  ],
  ['deleted', resetMarks(NOW), { reset: NOW }],
  ['WHITE by hand', manualMarks('WHITE', NOW, undefined), { reset: NOW, white: { grant: NOW, stamp: NOW } }],
  [
    'TRAPPED by hand, pinned',
    manualMarks('TRAPPED', NOW, { pinned: true, expire: 5 }),
    { reset: NOW, trap: NOW, hand: { stamp: NOW, kind: 'TRAPPED', pinned: true, expire: 5 } },
  ],
])('%s', (_name, marks, want) => {
  expect(marks).toEqual(want)
})

describe('what a hand fixed survives a change of kind, as long as nothing reset it since', () => {
  test.each([
    [0, true],
    [4_999, true],
    [5_000, true],
    [5_001, false],
  ])('a reset at %i, a hand at 5000', (resetTime, isKept) => {
    const marks = { reset: at(resetTime), white, hand: hand(5_000) }
    const kept = isKept ? hand(5_000) : undefined
    expect(grantedMarks(marks, NOW).hand).toEqual(kept)
    expect(trappedMarks(marks, NOW).hand).toEqual(kept)
  })

  test('without any reset', () => {
    expect(grantedMarks({ hand: hand(5_000) }, NOW).hand).toEqual(hand(5_000))
  })
})

describe('an entry that expired leaves its reset alone, for as long as others may have older entries', () => {
  // Stamps count milliseconds, the clock seconds.
  test.each([
    [1_099, true],
    [1_100, false],
    [1_101, false],
  ])('at second %i, reset at second 1000 and kept for 100', (now, isKept) => {
    const marks = { reset: at(1_000_000), white, trap: at(1), hand: hand(1) }
    expect(expiredMarks(marks, now, 100)).toEqual(isKept ? { reset: at(1_000_000) } : undefined)
  })

  test('nothing without one', () => {
    expect(expiredMarks({ white }, 0, 100)).toBeUndefined()
    expect(expiredMarks(undefined, 0, 100)).toBeUndefined()
  })
})
