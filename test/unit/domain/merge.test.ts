import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type HostRegisters,
  hasWaited,
  heldHostOf,
  heldTupleOf,
  mergeHosts,
  mergeTuples,
  oldStamp,
  registersOf,
  type TupleState,
  tupleStateOf,
  visibleHost,
} from '../../../src/domain/merge.js'
import type { Stamp } from '../../../src/domain/stamp.js'
import { makeRandom } from '../../support/random.js'

/** Enough triples that the first idea for a merge, of which 8 % depended on the grouping, fails at once. */
const TRIPLES = 200_000

type Random = (below: number) => number
const stampOf = (random: Random): Stamp => ({ time: random(8) * 1000, counter: random(2), node: random(3) })
const maybe = <Value>(random: Random, make: () => Value): Value | undefined =>
  random(3) === 0 ? undefined : make()

function registers(random: Random): HostRegisters {
  const grant = stampOf(random)
  const later = stampOf(random)
  return mergeHosts(
    { bcount: random(3), pcount: random(3) },
    {
      reset: maybe(random, () => stampOf(random)),
      white: maybe(random, () => ({
        grant,
        stamp: later.time > grant.time ? later : grant,
        first: random(5),
        pass: random(5),
        expire: random(12),
      })),
      trap: maybe(random, () => ({ stamp: stampOf(random), first: random(5), expire: random(12) })),
      hand: maybe(random, () => ({
        stamp: stampOf(random),
        pinned: random(2) === 0,
        kind: random(2) === 0 ? ('WHITE' as const) : ('TRAPPED' as const),
        comment: random(2) === 0 ? undefined : `c${random(3)}`,
      })),
      bcount: random(5),
      pcount: random(5),
    },
  )
}

const seen = (random: Random) => ({ time: random(9), node: random(3) })
function tuple(random: Random): TupleState {
  const one = seen(random)
  const other = seen(random)
  const [first, last] = one.time <= other.time ? [one, other] : [other, one]
  const state = { first, last, expire: random(20), count: 1 + random(5) }
  const epoch = maybe(random, () => stampOf(random))
  return epoch === undefined ? state : { epoch, ...state }
}

/** A plain loop: the machinery of fast-check would take longer than what it checks. */
function checkLaws<State>(make: (random: Random) => State, merge: (one: State, other: State) => State): void {
  const show = (state: State): string => JSON.stringify(state)
  const random = makeRandom(Date.now() | 1)
  for (let n = 0; n < TRIPLES; n += 1) {
    const [a, b, c] = [make(random), make(random), make(random)]
    const ab = merge(a, b)
    const isAssociative = show(merge(ab, c)) === show(merge(a, merge(b, c)))
    if (isAssociative && show(ab) === show(merge(b, a)) && show(merge(a, a)) === show(a)) continue
    throw new Error(`fails for ${[a, b, c].map(show).join('\n')}`)
  }
}

describe('merge', () => {
  test('of addresses is commutative, associative and idempotent', () => checkLaws(registers, mergeHosts))

  test('of tuples is commutative, associative and idempotent', () => checkLaws(tuple, mergeTuples))

  test('of tuples: the one after the later reset wins as a whole; within one epoch what was seen again', () => {
    const at = (time: number): Stamp => ({ time, counter: 0, node: 1 })
    const state = (epoch: Stamp | undefined, from: number): TupleState => ({
      ...(epoch === undefined ? {} : { epoch }),
      first: { time: from, node: 1 },
      last: { time: from + 5, node: 1 },
      expire: from + 50,
      count: 2,
    })
    const [older, newer] = [state(undefined, 1), state(at(9), 20)]
    expect(mergeTuples(older, newer)).toBe(newer)
    expect(mergeTuples(newer, older)).toBe(newer)
    expect(mergeTuples({ epoch: at(10) }, newer)).toEqual({ epoch: at(10) })
    expect(mergeTuples({ epoch: at(9) }, newer)).toBe(newer)
    expect(mergeTuples({ epoch: at(8) }, newer)).toBe(newer)
    // The first of both with its lifetime, the last of both, and the larger count.
    const other = { ...state(at(9), 10), last: { time: 90, node: 2 }, count: 7 }
    expect(mergeTuples(newer, other)).toEqual({ ...other, epoch: at(9) })
    expect(mergeTuples({ ...newer, count: 8 }, { ...other, last: { time: 11, node: 2 } })).toEqual({
      epoch: at(9),
      first: { time: 10, node: 1 },
      last: { time: 25, node: 1 },
      expire: 60,
      count: 8,
    })
  })

  test('a tuple goes on record and back unchanged, whichever node saw it', () => {
    const random = makeRandom(9)
    for (let n = 0; n < 1000; n += 1) {
      const state = tuple(random)
      const key = { ip: '192.0.2.1', helo: 'h', from: '<a@b>', to: '<c@d>' }
      const held = heldTupleOf(key, state, { node: 1, reset: state.epoch, passSec: 3 })
      expect(tupleStateOf({ entry: held.entry!, marks: held.marks }, 1)).toEqual(state)
      expect(held.entry!.pass === held.entry!.expire || hasWaited(state, state.epoch, 3)).toBe(true)
    }
  })

  test('going on record and back loses nothing that can show again', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 31 - 1 }), (seed) => {
        const random = makeRandom(seed | 1)
        const state = registers(random)
        const now = random(12)
        const again = registersOf(heldHostOf('192.0.2.1', state, now))
        for (const time of [now, now + 1, now + 5]) {
          const [was, is] = [state, again].map((each) => visibleHost('192.0.2.1', each, time))
          expect([is?.kind, is?.expire]).toEqual([was?.kind, was?.expire])
        }
      }),
      { numRuns: 2000 },
    )
  })
})

describe('what an address is', () => {
  const at = (time: number): Stamp => ({ time: time * 1000, counter: 0, node: 1 })
  const none = { bcount: 0, pcount: 0 }
  const white = (grant: number, stamp = grant, expire = 100) => ({
    white: { grant: at(grant), stamp: at(stamp), first: grant, pass: grant, expire },
    ...none,
  })
  const trapped = (stamp: number, expire = 100) => ({
    trap: { stamp: at(stamp), first: stamp, expire },
    ...none,
  })
  const kindOf = (state: HostRegisters, now = 50): string | undefined => visibleHost('::1', state, now)?.kind

  test.each([
    [
      'a deletion beats a refresh that had not seen it',
      mergeHosts(white(1, 9), { reset: at(5), ...none }),
      undefined,
    ],
    [
      'a WHITE that was earned again later survives it',
      mergeHosts(white(6), { reset: at(5), ...none }),
      'WHITE',
    ],
    ['a trap beats a WHITE of before', mergeHosts(white(1, 9), trapped(5)), 'TRAPPED'],
    ['TRAPPED shows while it lasts, also beside a later WHITE', mergeHosts(white(7), trapped(5)), 'TRAPPED'],
    ['a later WHITE shows when the trap is over', mergeHosts(white(7), trapped(5, 40)), 'WHITE'],
    [
      'a WHITE of before a trap does not come back when it is over',
      mergeHosts(white(3), trapped(5, 40)),
      undefined,
    ],
    [
      'a manual add releases a trapped address',
      mergeHosts({ ...white(8), reset: at(8) }, trapped(5)),
      'WHITE',
    ],
    [
      'a pin beats both',
      mergeHosts({ hand: { stamp: at(2), pinned: true, kind: 'WHITE' }, ...none }, trapped(9)),
      'WHITE',
    ],
    [
      'a reset takes the pin away',
      mergeHosts({ hand: { stamp: at(2), pinned: true, kind: 'WHITE' }, ...none }, { reset: at(3), ...none }),
      undefined,
    ],
  ])('%s', (_name, state, kind) => {
    expect(kindOf(state)).toBe(kind)
  })

  test('a WHITE granted at the very moment of a trap does not outlive it', () => {
    expect(kindOf(mergeHosts(white(5), trapped(5, 40)))).toBeUndefined()
  })

  test('a pinned entry begins when the register of its kind did', () => {
    const both = { ...white(3), ...trapped(2) }
    const pinned = (kind: 'WHITE' | 'TRAPPED') =>
      visibleHost('::1', { ...both, hand: { stamp: at(9), pinned: true, kind } }, 50)?.first
    expect([pinned('WHITE'), pinned('TRAPPED')]).toEqual([3, 2])
  })

  test.each([
    [-1, 0],
    [0, 0],
    [1, 1000],
    [1_700_000_000, 1_700_000_000_000],
  ])('the stamp of an entry from before there were stamps, first %d', (first, time) => {
    expect(oldStamp(first)).toEqual({ time, counter: 0, node: 0 })
  })

  test('a tuple of before a deletion never passes, one seen by two gateways waits for their clocks too', () => {
    const state = (last: number, node: number, epoch?: Stamp): TupleState => ({
      first: { time: 0, node: 1 },
      last: { time: last, node },
      expire: 9999,
      count: 2,
      ...(epoch === undefined ? {} : { epoch }),
    })
    expect(hasWaited(state(1501, 1), undefined, 1500)).toBe(true)
    expect(hasWaited(state(1500, 1), undefined, 1500)).toBe(false)
    expect(hasWaited(state(1620, 2), undefined, 1500)).toBe(false)
    expect(hasWaited(state(1621, 2), undefined, 1500)).toBe(true)
    expect(hasWaited(state(1501, 1, at(3)), at(4), 1500)).toBe(false)
    expect(hasWaited(state(1501, 1, at(4)), at(4), 1500)).toBe(true)
  })
})
