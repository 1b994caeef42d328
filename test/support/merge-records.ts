/** Records of addresses with any registers, as databases exchange them: for properties. */
import fc from 'fast-check'
import type { MergeRecord } from '../../src/domain/decide-merge.js'

/** The time of these records. */
export const NOW = 1_700_000_000
/** Seconds and other whole numbers. */
export const number = fc.nat(2_000_000_000)
/** Stamps of any time. */
export const stamp = fc.record({
  time: number.map((sec) => sec * 1000 + 7),
  counter: fc.nat(2047),
  node: fc.nat(9999),
})
/** Also around now, where what shows begins and ends. */
const expiry = fc.oneof(number, fc.constantFrom(NOW - 1, NOW, NOW + 1, NOW + 1000))
/** A value or nothing. */
export const optional = <Value>(arbitrary: fc.Arbitrary<Value>) =>
  fc.option(arbitrary, { nil: undefined, freq: 2 })
/** Texts with what has to be escaped. */
export const word = fc.string({ unit: fc.constantFrom('a', '"', '\\', '\xe9', '\x01', '|'), maxLength: 5 })
const kind = fc.constantFrom('WHITE' as const, 'TRAPPED' as const)

const anyHost: fc.Arbitrary<MergeRecord> = fc.record({
  kind: fc.constant('host' as const),
  ip: fc.constantFrom('192.0.2.1', '2001:db8::1'),
  registers: fc.record({
    reset: fc.option(stamp, { nil: undefined, freq: 2 }),
    white: optional(fc.record({ grant: stamp, stamp, first: number, pass: number, expire: expiry })),
    trap: fc.option(fc.record({ stamp, first: number, expire: expiry }), { nil: undefined, freq: 2 }),
    hand: fc.option(
      fc.record({ stamp, pinned: fc.boolean(), kind, expire: optional(number), comment: optional(word) }),
      { nil: undefined, freq: 2 },
    ),
    bcount: fc.integer({ min: -1, max: 99 }),
    pcount: fc.integer({ min: -3, max: 99 }),
  }),
})

/** Nothing but WHITE unless it was reset since. */
const whiteHost: fc.Arbitrary<MergeRecord> = fc.record({
  kind: fc.constant('host' as const),
  ip: fc.constantFrom('192.0.2.1', '2001:db8::1'),
  registers: fc.record({
    reset: optional(stamp),
    white: fc.record({
      grant: stamp,
      stamp,
      first: number,
      pass: number,
      expire: fc.constant(NOW + 1000),
    }),
    bcount: fc.integer({ min: -1, max: 99 }),
    pcount: fc.integer({ min: -3, max: 99 }),
  }),
})

/** Any address, often one that is WHITE. */
export const host: fc.Arbitrary<MergeRecord> = fc.oneof(anyHost, whiteHost)
