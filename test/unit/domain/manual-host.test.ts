import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { EntryTimes } from '../../../src/domain/entry.js'
import { hostKindOf } from '../../../src/domain/host-state.js'
import { addHostByHand } from '../../../src/domain/manual-host.js'
import { TRAP_EXPIRE_SEC, WHITE_EXPIRE_SEC } from '../../../src/domain/times.js'

const now = 1_700_000_000
const white: EntryTimes = { first: 5, pass: 6, expire: 7, bcount: 8, pcount: 9 }
const trapped: EntryTimes = { first: 5, pass: 0, expire: 7, bcount: 8, pcount: -1 }
const WHITE_END = now + WHITE_EXPIRE_SEC
const TRAP_END = now + TRAP_EXPIRE_SEC

describe('adding an address by hand (database.md 6.1)', () => {
  test.each<{
    name: string
    existing: EntryTimes | undefined
    kind: 'WHITE' | 'TRAPPED'
    expire?: number
    want: EntryTimes
  }>([
    {
      name: 'WHITE on nothing',
      existing: undefined,
      kind: 'WHITE',
      want: { first: now, pass: now, expire: WHITE_END, bcount: 1, pcount: 0 },
    },
    {
      name: 'TRAPPED on nothing',
      existing: undefined,
      kind: 'TRAPPED',
      want: { first: now, pass: 0, expire: TRAP_END, bcount: 1, pcount: -1 },
    },
    {
      name: 'WHITE on WHITE counts a pass and keeps the creation',
      existing: white,
      kind: 'WHITE',
      want: { first: 5, pass: now, expire: WHITE_END, bcount: 8, pcount: 10 },
    },
    {
      name: 'TRAPPED on WHITE turns it',
      existing: white,
      kind: 'TRAPPED',
      want: { first: 5, pass: 6, expire: TRAP_END, bcount: 8, pcount: -1 },
    },
    {
      name: 'WHITE on TRAPPED turns it, pcount from -1 to 0',
      existing: trapped,
      kind: 'WHITE',
      want: { first: 5, pass: now, expire: WHITE_END, bcount: 8, pcount: 0 },
    },
    {
      name: 'TRAPPED on TRAPPED renews the trap',
      existing: trapped,
      kind: 'TRAPPED',
      want: { ...trapped, expire: TRAP_END },
    },
    {
      name: 'a given removal time wins',
      existing: white,
      kind: 'WHITE',
      expire: now + 5,
      want: { first: 5, pass: now, expire: now + 5, bcount: 8, pcount: 10 },
    },
    {
      name: 'never pins a new entry',
      existing: undefined,
      kind: 'TRAPPED',
      expire: 0,
      want: { first: now, pass: 0, expire: 0, bcount: 1, pcount: -1 },
    },
    {
      name: 'a plain repetition does not take a pin away',
      existing: { ...white, expire: 0 },
      kind: 'WHITE',
      want: { first: 5, pass: now, expire: 0, bcount: 8, pcount: 10 },
    },
    {
      name: 'the other kind does take a pin away',
      existing: { ...white, expire: 0 },
      kind: 'TRAPPED',
      want: { first: 5, pass: 6, expire: TRAP_END, bcount: 8, pcount: -1 },
    },
  ])('$name', ({ existing, kind, expire, want }) => {
    expect(addHostByHand(existing, kind, expire, now)).toEqual(want)
  })

  test('the entry always has the kind that was asked for', () => {
    const times = fc.record({
      first: fc.nat(),
      pass: fc.nat(),
      expire: fc.nat(),
      bcount: fc.nat(),
      pcount: fc.integer({ min: -1, max: 1000 }),
    })
    fc.assert(
      fc.property(
        fc.option(times, { nil: undefined }),
        fc.constantFrom('WHITE', 'TRAPPED'),
        (existing, kind) => {
          expect(hostKindOf(addHostByHand(existing, kind, undefined, now))).toBe(kind)
        },
      ),
    )
  })
})
