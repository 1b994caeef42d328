import { describe, expect, test } from 'vitest'
import type { EntryTimes } from '../../../src/domain/entry.js'
import { applyPeerHost, canPeerDelete } from '../../../src/domain/sync-rules.js'

const now = 1_700_000_000
const white: EntryTimes = { first: 5, pass: 6, expire: now + 50, bcount: 8, pcount: 9 }
const trapped: EntryTimes = { first: 5, pass: 6, expire: now + 50, bcount: 8, pcount: -1 }

describe('entries of a peer (greylisting.md 9, recommended receiver)', () => {
  test.each<{
    name: string
    existing: EntryTimes | undefined
    kind: 'WHITE' | 'TRAPPED'
    expire: number
    want: EntryTimes | undefined
  }>([
    {
      name: 'WHITE, unknown',
      existing: undefined,
      kind: 'WHITE',
      expire: now + 9,
      want: { first: now, pass: 0, expire: now + 9, bcount: 0, pcount: 0 },
    },
    {
      name: 'TRAPPED, unknown',
      existing: undefined,
      kind: 'TRAPPED',
      expire: now + 9,
      want: { first: now, pass: 0, expire: now + 9, bcount: 0, pcount: -1 },
    },
    { name: 'past its time', existing: undefined, kind: 'WHITE', expire: now - 1, want: undefined },
    {
      name: 'at its time',
      existing: undefined,
      kind: 'WHITE',
      expire: now,
      want: { first: now, pass: 0, expire: now, bcount: 0, pcount: 0 },
    },
    {
      name: 'WHITE on WHITE extends',
      existing: white,
      kind: 'WHITE',
      expire: now + 99,
      want: { ...white, expire: now + 99, pcount: 10 },
    },
    {
      name: 'WHITE on WHITE never shortens',
      existing: white,
      kind: 'WHITE',
      expire: now + 9,
      want: { ...white, pcount: 10 },
    },
    {
      name: 'WHITE on TRAPPED is ignored',
      existing: trapped,
      kind: 'WHITE',
      expire: now + 99,
      want: undefined,
    },
    {
      name: 'TRAPPED on WHITE takes the received time',
      existing: white,
      kind: 'TRAPPED',
      expire: now + 9,
      want: { ...white, expire: now + 9, bcount: 9, pcount: -1 },
    },
    {
      name: 'TRAPPED on TRAPPED never shortens',
      existing: trapped,
      kind: 'TRAPPED',
      expire: now + 9,
      want: { ...trapped, bcount: 9 },
    },
    {
      name: 'TRAPPED on pinned WHITE is ignored',
      existing: { ...white, expire: 0 },
      kind: 'TRAPPED',
      expire: now + 9,
      want: undefined,
    },
    {
      name: 'WHITE on pinned WHITE stays pinned',
      existing: { ...white, expire: 0 },
      kind: 'WHITE',
      expire: now + 9,
      want: { ...white, expire: 0, pcount: 10 },
    },
  ])('$name', ({ existing, kind, expire, want }) => {
    expect(applyPeerHost(existing, kind, expire, now)).toEqual(want)
  })

  test('a deletion takes any kind but a pinned one', () => {
    expect(canPeerDelete(undefined)).toBe(false)
    expect(canPeerDelete(white)).toBe(true)
    expect(canPeerDelete(trapped)).toBe(true)
    expect(canPeerDelete({ ...trapped, expire: 0 })).toBe(false)
  })
})
