import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { EntryTimes } from '../../../src/domain/entry.js'
import { applySighting } from '../../../src/domain/sighting.js'

const now = 1_700_000_000
const options = { whiteExpireSec: 1000, untrap: false }
const white: EntryTimes = { first: 5, pass: 6, expire: 7, bcount: 8, pcount: 9 }
const trapped: EntryTimes = { first: 5, pass: now + 99, expire: now + 99, bcount: 8, pcount: -1 }

describe('an address seen by the log watcher (spamlogd.md 3)', () => {
  test.each([
    {
      name: 'unknown: new WHITE',
      existing: undefined,
      count: 1,
      want: { outcome: 'added', host: { first: now, pass: now, expire: now + 1000, bcount: 1, pcount: 0 } },
    },
    {
      name: 'unknown, seen three times: the first makes it, two count',
      existing: undefined,
      count: 3,
      want: { outcome: 'added', host: { first: now, pass: now, expire: now + 1000, bcount: 1, pcount: 2 } },
    },
    {
      name: 'WHITE: counted and renewed, nothing else',
      existing: white,
      count: 2,
      want: { outcome: 'refreshed', host: { ...white, expire: now + 1000, pcount: 11 } },
    },
    {
      name: 'pinned WHITE: stays pinned',
      existing: { ...white, expire: 0 },
      count: 1,
      want: { outcome: 'refreshed', host: { ...white, expire: 0, pcount: 10 } },
    },
    { name: 'TRAPPED: left alone', existing: trapped, count: 5, want: { outcome: 'left-trapped' } },
  ])('$name', ({ existing, count, want }) => {
    expect(applySighting(existing, count, options, now)).toEqual(want)
  })

  test.each([
    [true, now + 5000, now + 5000],
    [true, now + 5, now + 1000],
    [true, 0, 0],
    [false, now + 5000, now + 1000],
  ])('a clock that is behind (%s) shortens no entry: %i', (isClockBehind, expire, want) => {
    const { host } = applySighting({ ...white, expire }, 1, { ...options, isClockBehind }, now)
    expect(host?.expire).toBe(want)
  })

  test('TRAPPED with --untrap becomes WHITE that the next scan lets through', () => {
    expect(applySighting(trapped, 2, { ...options, untrap: true }, now)).toEqual({
      outcome: 'untrapped',
      host: { first: 5, pass: now, expire: now + 1000, bcount: 8, pcount: 1 },
    })
  })

  test('n sightings at once leave what n single ones do', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 50 }),
        fc.constantFrom(undefined, white, trapped),
        (count, start) => {
          const atOnce = applySighting(start, count, { ...options, untrap: true }, now).host
          let single: EntryTimes | undefined = start
          for (let n = 0; n < count; n += 1) {
            single = applySighting(single, 1, { ...options, untrap: true }, now).host
          }
          expect(single).toEqual(atOnce)
        },
      ),
    )
  })
})
