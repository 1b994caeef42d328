import fc from 'fast-check'
import { expect, test } from 'vitest'
import { JournalCoverage } from '../../../src/domain/journal-coverage.js'

test('advances over what has arrived, in any order, however often', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(40), { minLength: 1, maxLength: 60 }), (order) => {
      const coverage = new JournalCoverage(0, 0)
      const arrived = new Set<number>()
      for (const upTo of order) {
        if (upTo > 0) arrived.add(upTo)
        coverage.add(Math.max(0, upTo - 1), upTo)
        let position = 0
        while (arrived.has(position + 1)) position += 1
        expect(coverage.position).toBe(position)
        expect(coverage.newest).toBe(Math.max(0, ...arrived))
        expect(coverage.missingCount).toBe(coverage.newest - arrived.size)
      }
    }),
  )
})

test('a heartbeat tells of changes without bringing them, a pull brings them', () => {
  const coverage = new JournalCoverage(5, 5)
  coverage.add(9, 9)
  expect([coverage.position, coverage.missingCount]).toEqual([5, 4])
  coverage.reach(8)
  expect([coverage.position, coverage.missingCount]).toEqual([8, 1])
  coverage.reach(3)
  expect(coverage.position).toBe(8)
})

test('keeps a bounded number of stretches: the rest counts as missing', () => {
  const coverage = new JournalCoverage(0, 0)
  for (let from = 2; from <= 400; from += 2) coverage.add(from, from + 1)
  expect(coverage.newest).toBe(401)
  expect(coverage.missingCount).toBe(401 - 64)
})

test('of too many stretches the lowest are kept, in whatever order they came', () => {
  const coverage = new JournalCoverage(0, 0)
  for (let from = 400; from >= 2; from -= 2) coverage.add(from, from + 1)
  // The first 64 are those from 2 to 128: filling the gaps between them reaches behind the last.
  for (let upTo = 1; upTo <= 128; upTo += 1) coverage.add(upTo - 1, upTo)
  expect(coverage.position).toBe(129)
})
