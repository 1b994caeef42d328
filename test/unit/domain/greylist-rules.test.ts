import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Entry, EntryTimes } from '../../../src/domain/entry.js'
import {
  hasPassed,
  isExpired,
  isHostExpired,
  newTuple,
  promoteTuple,
  repeatTuple,
  trapHost,
} from '../../../src/domain/greylist-rules.js'
import { EXPIRE_NEVER } from '../../../src/domain/times.js'

const now = 1_700_000_000
const policy = { passSec: 1500, trapExpireSec: 86_400 }

describe('tuples (greylisting.md 4)', () => {
  test('a new one has not passed until it expires', () => {
    expect(newTuple(14_400, now)).toEqual({
      first: now,
      pass: now + 14_400,
      expire: now + 14_400,
      bcount: 1,
      pcount: 0,
    })
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 20_000 }), (laterSec) => {
        expect(hasPassed(newTuple(14_400, now), now + laterSec)).toBe(false)
      }),
    )
  })

  test.each([
    { name: 'before passtime', laterSec: 1499, hasPass: false },
    { name: 'exactly at passtime', laterSec: 1500, hasPass: false },
    { name: 'one second after passtime', laterSec: 1501, hasPass: true },
    { name: 'at its end', laterSec: 14_400, hasPass: false },
  ])('a retry $name', ({ laterSec, hasPass }) => {
    const repeated = repeatTuple(newTuple(14_400, now), policy.passSec, now + laterSec)
    expect(repeated.bcount).toBe(2)
    expect(repeated.expire).toBe(now + 14_400)
    expect(hasPassed(repeated, now + laterSec)).toBe(hasPass)
  })

  test('promotion keeps creation, pass and count of blocks', () => {
    const tuple: EntryTimes = { first: 1, pass: 2, expire: 3, bcount: 4, pcount: 5 }
    expect(promoteTuple(tuple, 100, now)).toEqual({
      first: 1,
      pass: 2,
      expire: now + 100,
      bcount: 4,
      pcount: 0,
    })
  })
})

describe('traps (greylisting.md 4)', () => {
  const white: EntryTimes = { first: 5, pass: 6, expire: now + 3_000_000, bcount: 8, pcount: 9 }
  const trapped: EntryTimes = { first: now - 10, pass: 6, expire: now + 100, bcount: 8, pcount: -1 }
  const end = now + 86_400

  test.each<{ name: string; existing: EntryTimes | undefined; want: EntryTimes | undefined }>([
    {
      name: 'unknown address',
      existing: undefined,
      want: { first: now, pass: end, expire: end, bcount: 1, pcount: -1 },
    },
    {
      name: 'WHITE: the life time is the trap one, not the rest of the white one',
      existing: white,
      want: { first: 5, pass: now, expire: end, bcount: 9, pcount: -1 },
    },
    {
      name: 'TRAPPED: extended from this hit',
      existing: trapped,
      want: { first: now - 10, pass: 6, expire: end, bcount: 9, pcount: -1 },
    },
    {
      name: 'TRAPPED for longer by hand: not shortened',
      existing: { ...trapped, expire: end + 5 },
      want: { first: now - 10, pass: 6, expire: end + 5, bcount: 9, pcount: -1 },
    },
    {
      name: 'TRAPPED for good: stays so',
      existing: { ...trapped, expire: 0 },
      want: { first: now - 10, pass: 6, expire: 0, bcount: 9, pcount: -1 },
    },
    { name: 'WHITE for good: exempt', existing: { ...white, expire: 0 }, want: undefined },
  ])('$name', ({ existing, want }) => {
    expect(trapHost(existing, policy, now)).toEqual(want)
  })
})

test('a pinned address never expires', () => {
  const host: EntryTimes = { first: 0, pass: 0, expire: now, bcount: 0, pcount: 0 }
  expect(isHostExpired(host, now - 1)).toBe(false)
  expect(isHostExpired(host, now)).toBe(true)
  expect(isHostExpired({ ...host, expire: 0 }, now)).toBe(false)
})

test.each<[Entry['kind'], number, boolean]>([
  ['WHITE', now, true],
  ['WHITE', now + 1, false],
  ['TRAPPED', EXPIRE_NEVER, false],
  ['WHITE', EXPIRE_NEVER, false],
  ['GREY', EXPIRE_NEVER, true],
  ['POOL', now, true],
  ['SPAMTRAP', EXPIRE_NEVER, false],
])('the scan removes %s with expire %i: %s', (kind, expire, isRemoved) => {
  expect(isExpired({ kind, expire } as Entry, now)).toBe(isRemoved)
})
