/** The texts that are written down field by field are those that the rule for all gives. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { digestText, RecordDigest } from '../../../../src/app/database/record-digest.js'
import type { MergeRecord } from '../../../../src/domain/decide-merge.js'
import { heldHostOf, mergeHosts, registersOf } from '../../../../src/domain/merge.js'
import { host, NOW, number, optional, stamp, word } from '../../../support/merge-records.js'

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

/** JSON with the fields in order. */
const textOf = (record: object): string =>
  JSON.stringify(record, (_, value: unknown) =>
    typeof value === 'object' && value !== null
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  )

/** By the rule for all records. */
function reference(record: MergeRecord): string | undefined {
  if (record.kind !== 'host') return textOf(record)
  const { ip, registers } = record
  const held = heldHostOf(ip, mergeHosts(registers, { bcount: 0, pcount: 0 }), NOW)
  if (held.entry === undefined) return undefined
  return textOf({ kind: 'host', ip, registers: registersOf(held) })
}

/** Up to one change of a field, or the same with what can never show again. */
function changed(record: MergeRecord, choice: number): MergeRecord {
  const copy = structuredClone(record)
  if (copy.kind === 'tuple') {
    const { tuple: key, state } = copy
    if (choice === 0) return { ...copy, tuple: { ...key, helo: `${key.helo}${key.from}`, from: '' } }
    if (choice === 1 && state.epoch !== undefined) return { ...copy, state: { ...state, epoch: stampAt(5) } }
    if (choice === 2 && state.first !== undefined)
      return { ...copy, state: { ...state, first: state.last, last: state.first } }
    return copy
  }
  if (copy.kind !== 'host') return copy
  const { registers } = copy
  const { white, reset } = registers
  if (choice === 0 && white !== undefined) registers.white = { ...white, grant: white.stamp }
  if (choice === 1) registers.bcount += 1
  if (choice === 2 && reset !== undefined)
    registers.trap = { stamp: { ...reset, time: 1 }, first: 1, expire: NOW + 1 }
  if (choice === 3 && white !== undefined)
    registers.white = { ...white, stamp: { ...white.stamp, counter: 9 } }
  return copy
}

test('two records have the same text only when they are the same by the rule for all', () => {
  const counts = { same: 0, other: 0, plain: 0 }
  fc.assert(
    fc.property(fc.oneof(host, tuple), fc.nat(4), (record, choice) => {
      const other = changed(record, choice)
      const isSame = reference(record) === reference(other)
      expect(digestText(record, NOW) === digestText(other, NOW)).toBe(isSame)
      expect(digestText(record, NOW) === undefined).toBe(reference(record) === undefined)
      counts[isSame ? 'same' : 'other'] += 1
      if (digestText(record, NOW)?.startsWith('W') === true) counts.plain += 1
    }),
    { numRuns: 2000 },
  )
  for (const count of Object.values(counts)) expect(count).toBeGreaterThan(50)
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
