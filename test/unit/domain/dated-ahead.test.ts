/** Records that were dated by a clock that was ahead, as other gateways are told them. */
import { expect, test } from 'vitest'
import { datedNow } from '../../../src/domain/dated-ahead.js'
import type { MergeRecord } from '../../../src/domain/decide-merge.js'

const NOW = 1_700_000_000
const YEAR = 365 * 86_400
const at = (sec: number, counter = 0) => ({ time: (NOW + sec) * 1000, counter, node: 7 })
const now = (counter: number) => ({ time: NOW * 1000, counter, node: 9 })
const times = { first: NOW, pass: NOW, expire: NOW + 900 }
const host = (registers: object): MergeRecord =>
  ({ kind: 'host', ip: '192.0.2.1', registers: { bcount: 1, pcount: 0, ...registers } }) as MergeRecord

test('a record that is not ahead stays as it is', () => {
  const record = host({ reset: at(300), white: { grant: at(-5), stamp: at(300), ...times } })
  expect(datedNow(record, NOW, 9)).toBe(record)
})

test('stamps keep their order, and the same stay the same', () => {
  const record = host({
    reset: at(YEAR, 3),
    white: { grant: at(YEAR, 3), stamp: at(YEAR + 9), ...times },
    trap: { stamp: at(-50), first: NOW, expire: NOW + 900 },
    hand: { stamp: at(YEAR, 4), pinned: false, kind: 'WHITE' },
  })
  expect(datedNow(record, NOW, 9)).toEqual(
    host({
      reset: now(0),
      white: { grant: now(0), stamp: now(2), ...times },
      trap: { stamp: at(-50), first: NOW, expire: NOW + 900 },
      hand: { stamp: now(1), pinned: false, kind: 'WHITE' },
    }),
  )
})

test('spamtraps and networks that were closed are dated, a tuple that was seen ahead is not told', () => {
  const trap = { kind: 'spamtrap', address: 'a@b', stamp: at(YEAR), entry: undefined } as const
  expect(datedNow(trap, NOW, 9)).toEqual({ ...trap, stamp: now(0) })
  const pool = { kind: 'pool', network: '192.0.2.0/24', reset: at(YEAR), entry: undefined } as const
  expect(datedNow(pool, NOW, 9)).toEqual({ ...pool, reset: now(0) })
  const tuple = { ip: '192.0.2.1', helo: 'h', from: '<a@b>', to: '<c@d>' }
  const seen = (sec: number) => ({ time: NOW + sec, node: 7 })
  const state = { epoch: at(YEAR), first: seen(0), last: seen(0), expire: NOW + 900, count: 1 }
  expect(datedNow({ kind: 'tuple', tuple, state }, NOW, 9)).toMatchObject({ state: { epoch: now(0) } })
  const ahead = { ...state, last: seen(YEAR) }
  expect(datedNow({ kind: 'tuple', tuple, state: ahead }, NOW, 9)).toBeUndefined()
})
