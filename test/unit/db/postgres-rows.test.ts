/** Each column of a row on the server holds what it is named after: rows come back as what was stored. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  columnsOf,
  heldHostOfRow,
  heldPoolOfRow,
  heldSpamtrapOfRow,
  heldTupleOfRow,
  hostCells,
  poolCells,
  spamtrapCells,
  tupleCells,
} from '../../../src/db/postgres/pg-rows.js'
import {
  type Columns,
  HOST_COLUMNS,
  POOL_COLUMNS,
  SPAMTRAP_COLUMNS,
  TUPLE_COLUMNS,
} from '../../../src/db/postgres/pg-schema.js'
import type { Stamp } from '../../../src/domain/stamp.js'

const number = fc.integer({ min: 0, max: 2 ** 40 })
const maybe = <Value>(value: fc.Arbitrary<Value>) => fc.option(value, { nil: undefined, freq: 2 })
const stamp: fc.Arbitrary<Stamp> = fc.record({
  time: fc.integer({ min: 0, max: 2 ** 41 }),
  counter: fc.nat(2047),
  node: fc.integer({ min: 1, max: 2 ** 32 - 1 }),
})
const times = { first: number, pass: number, expire: number, bcount: number }
/** As a comment of an entry: the field is there or not. */
const noted = fc.oneof(fc.constant({}), fc.record({ comment: fc.string({ minLength: 1 }) }))
const TUPLE = { ip: '192.0.2.1', helo: 'h', from: '<a@b>', to: '<c@d>' }

/** Leaves out what is undefined, as what is read does. */
function given<Value extends object>(value: Value): Value {
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined)) as Value
}

/** A row as the driver gives it, behind a key of two columns. */
function answered(cells: readonly unknown[], columns: Columns): unknown[] {
  expect(cells).toHaveLength(columns.length)
  const texts = cells.map((cell) => (typeof cell === 'boolean' ? (cell ? 't' : 'f') : cell))
  return ['a key', 'of two', ...texts]
}

const hostMarks = fc
  .record({
    reset: maybe(stamp),
    white: maybe(fc.record({ grant: maybe(stamp), stamp })),
    trap: maybe(stamp),
    hand: maybe(
      fc.record({
        stamp,
        pinned: fc.boolean(),
        kind: fc.constantFrom('WHITE' as const, 'TRAPPED' as const),
        expire: maybe(number),
      }),
    ),
    hiddenWhite: maybe(fc.record({ first: number, pass: number, expire: number })),
    hiddenTrap: maybe(fc.record({ first: number, expire: number })),
  })
  .map(given)
  .map((marks) => (Object.keys(marks).length === 0 ? undefined : marks))

describe('rows are read as they were written', () => {
  test('addresses', () => {
    const entry = fc
      .record({ ...times, isTrapped: fc.boolean(), pcount: number, noted })
      .map(({ isTrapped, pcount, noted: more, ...rest }) => ({
        ...{ kind: isTrapped ? ('TRAPPED' as const) : ('WHITE' as const), ip: '192.0.2.1' },
        ...{ ...rest, ...more, pcount: isTrapped ? -1 : pcount },
      }))
    fc.assert(
      fc.property(maybe(entry), hostMarks, (held, marks) => {
        const row = answered(hostCells({ entry: held, marks }), HOST_COLUMNS)
        expect(heldHostOfRow('192.0.2.1', row, 2)).toEqual({ entry: held, marks })
      }),
    )
  })

  test('tuples', () => {
    const entry = fc
      .record({ ...times, pcount: number })
      .map((rest) => ({ kind: 'GREY' as const, ...TUPLE, ...rest }))
    const marks = fc
      .record({ epoch: maybe(stamp), last: maybe(number), firstNode: maybe(number), lastNode: maybe(number) })
      .map((each) => (Object.values(each).every((mark) => mark === undefined) ? undefined : each))
    fc.assert(
      fc.property(maybe(entry), marks, (held, mark) => {
        const row = answered(tupleCells({ entry: held, marks: mark }), TUPLE_COLUMNS)
        expect(heldTupleOfRow(TUPLE, row, 2)).toEqual({ entry: held, marks: mark })
      }),
    )
  })

  test('spamtraps', () => {
    const entry = fc
      .record({ first: number, noted })
      .map(({ first, noted: more }) => ({ kind: 'SPAMTRAP' as const, address: 'a@b', first, ...more }))
    fc.assert(
      fc.property(maybe(entry), maybe(stamp), (held, at) => {
        const row = answered(spamtrapCells({ entry: held, stamp: at }), SPAMTRAP_COLUMNS)
        expect(heldSpamtrapOfRow('a@b', row, 2)).toEqual({ entry: held, stamp: at })
      }),
    )
  })

  test('networks of pools', () => {
    const entry = fc
      .record({ ...times, pcount: number, pool: fc.constantFrom('learn', 'spf:example.org') })
      .map((rest) => ({ kind: 'POOL' as const, ip: '192.0.2.0/24', ...rest }))
    fc.assert(
      fc.property(maybe(entry), maybe(stamp), (held, reset) => {
        const row = answered(poolCells({ entry: held, reset }), POOL_COLUMNS)
        expect(heldPoolOfRow('192.0.2.0/24', row, 2)).toEqual({ entry: held, reset })
      }),
    )
  })
})

test('what has no entry has 0 where the table wants a number', () => {
  expect(hostCells({ entry: undefined, marks: undefined }).slice(0, 7)).toEqual(['-', 0, 0, 0, 0, 0, null])
  expect(tupleCells({ entry: undefined, marks: undefined }).slice(0, 6)).toEqual([true, 0, 0, 0, 0, 0])
  expect(poolCells({ entry: undefined, reset: undefined }).slice(0, 7)).toEqual([true, null, 0, 0, 0, 0, 0])
  expect(spamtrapCells({ entry: undefined, stamp: undefined })).toEqual([true, 0, null, null, null])
})

test('a column of nothing but NULL is sent as an empty one', () => {
  expect(
    columnsOf(
      [
        [1, null, null],
        [2, null, 'a'],
      ],
      3,
    ),
  ).toEqual([[1, 2], [], [null, 'a']])
})
