/** The texts that are written down field by field are those that the rule for all gives. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { canonicalText, digestText, RecordDigest } from '../../../../src/app/database/record-digest.js'
import type { MergeRecord } from '../../../../src/domain/decide-merge.js'
import { heldHostOf, mergeHosts, registersOf } from '../../../../src/domain/merge.js'

const NOW = 1_700_000_000
const number = fc.nat(2_000_000_000)
const stamp = fc.record({
  time: number.map((sec) => sec * 1000 + 7),
  counter: fc.nat(2047),
  node: fc.nat(9999),
})
/** Also around now, where what shows begins and ends. */
const expiry = fc.oneof(number, fc.constantFrom(NOW - 1, NOW, NOW + 1, NOW + 1000))
const optional = <Value>(arbitrary: fc.Arbitrary<Value>) => fc.option(arbitrary, { nil: undefined, freq: 2 })
const word = fc.string({ unit: fc.constantFrom('a', '"', '\\', '\xe9', '\x01', '|'), maxLength: 5 })
const kind = fc.constantFrom('WHITE' as const, 'TRAPPED' as const)

const host: fc.Arbitrary<MergeRecord> = fc.record({
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
const seen = fc.record({ time: number, node: fc.nat(9999) })
const tuple: fc.Arbitrary<MergeRecord> = fc.record({
  kind: fc.constant('tuple' as const),
  tuple: fc.record({ ip: fc.constant('192.0.2.1'), helo: word, from: word, to: word }),
  state: fc.oneof(
    fc.record({
      epoch: optional(stamp),
      first: seen,
      last: seen,
      expire: number,
      count: fc.nat(99),
    }),
    fc.record({ epoch: stamp }),
  ),
})

const stampAt = (time: number) => ({ time, counter: 0, node: 1 })

/** By the rule for all records. */
function reference(record: MergeRecord): string | undefined {
  if (record.kind !== 'host') return canonicalText(record)
  const { ip, registers } = record
  const held = heldHostOf(ip, mergeHosts(registers, { bcount: 0, pcount: 0 }), NOW)
  if (held.entry === undefined) return undefined
  return canonicalText({ kind: 'host', ip, registers: registersOf(held) })
}

test('of addresses and tuples of any kind', () => {
  let plainCount = 0
  fc.assert(
    fc.property(fc.oneof(host, tuple), (record) => {
      if (record.kind === 'host' && Object.values(record.registers).filter(Boolean).length <= 3)
        plainCount += 1
      expect(digestText(record, NOW)).toBe(reference(record))
    }),
    { numRuns: 2000 },
  )
  expect(plainCount).toBeGreaterThan(0)
})

test('the digest is the same in whatever order records come, and another for other records', () => {
  const records = fc
    .sample(fc.oneof(host, tuple), { numRuns: 50, seed: 5 })
    .filter((record) => digestText(record, NOW) !== undefined)
  const digestOf = (list: readonly MergeRecord[]): [string, number] => {
    const digest = new RecordDigest(NOW)
    for (const record of list) digest.add(record)
    return [digest.text, digest.count]
  }
  const [text, count] = digestOf(records)
  expect(text).toMatch(/^[0-9a-f]{32}$/)
  expect(digestOf(records.toReversed())).toEqual([text, count])
  expect(digestOf(records.slice(1))).not.toEqual([text, count])
  // As many, one of them another: each of the eight sums is another.
  const [other] = digestOf([...records.slice(1), records[1]!])
  for (let at = 0; at < 32; at += 4) expect(other.slice(at, at + 4)).not.toBe(text.slice(at, at + 4))
})

test('the digest of nothing is zero, and a record that does not show is not counted', () => {
  const digest = new RecordDigest(NOW)
  expect([digest.text, digest.count]).toEqual(['0'.repeat(32), 0])
  const white = { grant: stampAt(1), stamp: stampAt(1), first: 1, pass: 1, expire: NOW }
  const record = (expire: number): MergeRecord => ({
    kind: 'host',
    ip: '192.0.2.1',
    registers: { white: { ...white, expire }, bcount: 0, pcount: 0 },
  })
  expect(digest.add(record(NOW))).toBe(false)
  expect(digest.count).toBe(0)
  expect(digest.add(record(NOW + 1))).toBe(true)
  expect(digest.count).toBe(1)
})
