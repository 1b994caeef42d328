import { describe, expect, test } from 'vitest'
import { tupleText } from '../../../src/domain/change.js'
import { Draft } from '../../../src/domain/draft.js'
import type { GreyEntry } from '../../../src/domain/entry.js'
import { HybridClock } from '../../../src/domain/stamp.js'
import { NOW } from '../../support/scratch-database.js'

const IP = '192.0.2.0/24'

function tuple(number: number, first = NOW): GreyEntry {
  const name = String(number).padStart(6, '0')
  const times = { first, pass: first, expire: first + 60, bcount: 1, pcount: 0 }
  return { kind: 'GREY', ip: IP, helo: '', from: `<a${name}@example.org>`, to: '<b@example.net>', ...times }
}

function put(draft: Draft, entry: GreyEntry): void {
  draft.putTuple(tupleText(entry), entry, { entry, marks: undefined }, { rule: 'attempt' })
}

describe('tuples of one address', () => {
  const open = (held: GreyEntry[] = []): Draft => {
    const draft = new Draft(new HybridClock(1, { time: 0, counter: 0 }), NOW)
    draft.holdAddressTuples(
      IP,
      held.length,
      held.map((entry) => ({ entry, marks: undefined })),
    )
    return draft
  }
  const next = (draft: Draft): string | undefined =>
    draft.takeFirstTuple(IP, { rule: 'limit' })?.entry?.from.slice(2, 8)

  test('made in one batch go in the order of time and key, between those on record', () => {
    const draft = open([tuple(5, NOW - 10), tuple(1, NOW)])
    put(draft, tuple(3))
    expect(next(draft)).toBe('000005')
    for (const number of [4, 0, 2]) put(draft, tuple(number))
    put(draft, tuple(9, NOW - 1))
    expect(draft.tupleCount(IP)).toBe(6)
    expect(Array.from({ length: 7 }, () => next(draft))).toEqual([
      '000009',
      '000000',
      '000001',
      '000002',
      '000003',
      '000004',
      undefined,
    ])
  })

  test.each(['on record', 'made now'])('of equal time go by HELO, sender and recipient: %s', (when) => {
    const named = (helo: string, from: string, to: string): GreyEntry => ({ ...tuple(0), helo, from, to })
    const ordered = [
      named('a', 'y', 'y'),
      named('b', 'a', 'y'),
      named('b', 'b', 'a'),
      named('b', 'b', 'b'),
      named('b', 'c', 'a'),
    ]
    const mixed = [3, 0, 4, 2, 1].map((index) => ordered[index]!)
    const draft = open(when === 'on record' ? ordered : [])
    if (when !== 'on record') for (const entry of mixed) put(draft, entry)
    const taken = ordered.map(() => draft.takeFirstTuple(IP, { rule: 'limit' })!.entry!)
    expect(taken.map(({ helo, from, to }) => helo + from + to)).toEqual(
      ordered.map(({ helo, from, to }) => helo + from + to),
    )
  })

  test.each([
    ['HELO', { helo: 'a' }, { helo: 'b' }],
    ['sender', { from: 'a' }, { from: 'b' }],
    ['recipient', { to: 'a' }, { to: 'b' }],
  ])('one that is made alone goes before or behind one on record, by its %s', (_, less, more) => {
    for (const [held, made] of [
      [less, more],
      [more, less],
    ]) {
      const draft = open([{ ...tuple(0), ...held }])
      put(draft, { ...tuple(0), ...made })
      const taken = [1, 2].map(() => draft.takeFirstTuple(IP, { rule: 'limit' })!.entry!)
      expect(taken).toMatchObject([less, more])
    }
  })

  test('a flood of them costs no more for each than a few', () => {
    const draft = open()
    const startedMs = performance.now()
    for (let number = 100_000; number > 0; number -= 1) put(draft, tuple(number))
    // With each put in its place at once these took minutes.
    expect(performance.now() - startedMs).toBeLessThan(20_000)
    expect(next(draft)).toBe('000001')
  })
})
