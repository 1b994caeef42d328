/** Addresses that are moved without the rules become what the rules make of them. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decideMerge, outcomesOfMoved, splitMoved } from '../../../src/domain/decide-merge.js'
import { Draft } from '../../../src/domain/draft.js'
import { HybridClock } from '../../../src/domain/stamp.js'
import { host, NOW } from '../../support/merge-records.js'

const POLICY = { passSec: 0, maxTuplesPerAddress: 2 ** 40 }
const draftAt = (): Draft => new Draft(new HybridClock(5, { time: 0, counter: 0 }), NOW)

test('where nothing is on record, by splitMoved as by decideMerge', () => {
  const counts = { plain: 0, other: 0 }
  fc.assert(
    fc.property(fc.array(host, { maxLength: 3 }), (made) => {
      // Each address once, as a database lists them; many from before now.
      const records = made.map((record, index) => ({ ...record, ip: `192.0.2.${index}` }))
      const draft = draftAt()
      const outcomes = decideMerge(draft, records, POLICY, { rule: 'merge' })
      const { hosts, others, isOther, newest } = splitMoved(records, NOW)
      for (const { entry, marks } of hosts) expect(draft.host(entry.ip)).toEqual({ entry, marks })
      const otherDraft = draftAt()
      const decided = decideMerge(otherDraft, others, POLICY, { rule: 'merge' })
      expect(outcomesOfMoved(isOther, decided)).toEqual(outcomes)
      // The clock gets ahead of every stamp that was stored.
      if (newest !== undefined) otherDraft.observe(newest)
      if (others.length === 0) expect(otherDraft.nextStamp().time).toBeGreaterThanOrEqual(newest?.time ?? 0)
      for (const { marks } of hosts)
        for (const each of [marks.reset, marks.white!.grant!, marks.white!.stamp])
          if (each !== undefined) expect(newest!.time).toBeGreaterThanOrEqual(each.time)
      counts.plain += hosts.length
      counts.other += others.length
    }),
    { numRuns: 1000 },
  )
  expect(counts.plain).toBeGreaterThan(100)
  expect(counts.other).toBeGreaterThan(100)
})
