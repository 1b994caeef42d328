/** What a scan decides about what is due, on drafts alone: which go, which stay, and what is counted. */
import { expect, test } from 'vitest'
import { tupleText } from '../../../src/domain/change.js'
import { decideScan } from '../../../src/domain/decide-scan.js'
import { Draft } from '../../../src/domain/draft.js'
import type { GreyEntry, HostEntry } from '../../../src/domain/entry.js'
import { HybridClock } from '../../../src/domain/stamp.js'
import { NOW } from '../../support/scratch-database.js'

const POLICY = { whiteExpireSec: 1000 }
const draftAt = () => new Draft(new HybridClock(1, { time: 0, counter: 0 }), NOW)
const host = (ip: string, more: Partial<HostEntry> = {}): HostEntry => ({
  kind: 'WHITE',
  ip,
  first: 1,
  pass: 2,
  expire: NOW + 50,
  bcount: 0,
  pcount: 0,
  ...more,
})
const tuple = (ip: string, more: Partial<GreyEntry> = {}): GreyEntry => ({
  kind: 'GREY',
  ip,
  helo: 'h',
  from: '<a@b>',
  to: '<c@d>',
  first: NOW - 100,
  pass: NOW + 50,
  expire: NOW + 50,
  bcount: 2,
  pcount: 0,
  ...more,
})
const hold = (draft: Draft, ...entries: (HostEntry | GreyEntry)[]) => {
  for (const entry of entries) {
    if (entry.kind === 'GREY') draft.holdTuple(tupleText(entry), { entry, marks: undefined } as never)
    else draft.holdHost(entry.ip, { entry, marks: undefined } as never)
  }
}
const none = { expired: [], promoted: [], blocked: [], blockedTuples: [] }

test('what has expired goes and is counted; what was extended meanwhile, or is not there, stays', () => {
  const draft = draftAt()
  hold(
    draft,
    host('192.0.2.1', { expire: NOW }),
    host('192.0.2.2', { expire: NOW + 1 }),
    host('192.0.2.3', { expire: 0 }),
  )
  const [gone, kept] = [tuple('192.0.2.4', { expire: NOW }), tuple('192.0.2.5', { expire: NOW + 1 })]
  hold(draft, gone, kept)
  const hosts = [1, 2, 3, 9].map((last) => ({ kind: 'host', ip: `192.0.2.${last}` }) as const)
  const expired = [...hosts, { ...gone, kind: 'tuple' } as const, { ...kept, kind: 'tuple' } as const]
  expect(
    decideScan(draft, { ...none, expired: [...expired, { kind: 'spamtrap', address: 'a@b' }] }, POLICY),
  ).toEqual({
    deletedCount: 2,
    promoted: [],
  })
  expect(draft.changes.map(({ key, cause }) => ['ip' in key ? key.ip : '', cause.rule])).toEqual([
    ['192.0.2.1', 'expiry'],
    ['192.0.2.4', 'expiry'],
  ])
})

test('a block list takes WHITE addresses, but none that is pinned or TRAPPED', () => {
  const draft = draftAt()
  hold(
    draft,
    host('192.0.2.1'),
    host('192.0.2.2', { expire: 0 }),
    host('192.0.2.3', { kind: 'TRAPPED', pcount: -1 }),
  )
  const blocked = ['192.0.2.1', '192.0.2.2', '192.0.2.3', '192.0.2.9']
  expect(decideScan(draft, { ...none, blocked }, POLICY)).toEqual({ deletedCount: 1, promoted: [] })
  expect(draft.host('192.0.2.1').entry).toBeUndefined()
  // So that a gateway that still has it does not bring it back.
  expect(draft.host('192.0.2.1').marks?.reset).toBeDefined()
  expect(draft.changes.map(({ cause }) => cause.rule)).toEqual(['block-list'])
})

test('a block list takes tuples that passed, without a mark: no other gateway is told that somebody deleted them', () => {
  const draft = draftAt()
  const passed = tuple('192.0.2.1', { pass: NOW })
  const early = tuple('192.0.2.2', { pass: NOW + 1 })
  const over = tuple('192.0.2.3', { pass: NOW, expire: NOW })
  hold(draft, passed, early, over)
  const blockedTuples = [passed, early, over, tuple('192.0.2.9')]
  expect(decideScan(draft, { ...none, blockedTuples }, POLICY)).toEqual({ deletedCount: 1, promoted: [] })
  expect(draft.tuple(tupleText(passed))).toEqual({ entry: undefined, marks: undefined })
  expect([early, over].map((one) => draft.tuple(tupleText(one)).entry)).toEqual([early, over])
  expect(draft.changes.map(({ cause }) => cause)).toEqual([{ rule: 'block-list' }])
})

test('a tuple that passed makes its address WHITE and goes; one that did not, or of a pool, stays', () => {
  const draft = draftAt()
  const passed = tuple('192.0.2.1', { pass: NOW })
  const early = tuple('192.0.2.2', { pass: NOW + 1 })
  const pool = tuple('192.0.2.0/24', { pass: NOW })
  const trapped = tuple('192.0.2.3', { pass: NOW })
  const known = tuple('192.0.2.4', { pass: NOW })
  hold(draft, passed, early, pool, trapped, known)
  hold(draft, host('192.0.2.3', { kind: 'TRAPPED', pcount: -1 }), host('192.0.2.4'))
  const missing = tuple('192.0.2.9')
  const promoted = [passed, early, pool, trapped, known, missing]
  expect(decideScan(draft, { ...none, promoted }, POLICY)).toEqual({
    deletedCount: 0,
    promoted: ['192.0.2.1'],
  })
  expect(draft.host('192.0.2.1').entry).toMatchObject({ kind: 'WHITE', expire: NOW + 1000 })
  expect([early, pool, trapped].map((one) => draft.tuple(tupleText(one)).entry !== undefined)).toEqual([
    true,
    true,
    true,
  ])
  expect([passed, known].map((one) => draft.tuple(tupleText(one)).entry)).toEqual([undefined, undefined])
  expect(draft.host('192.0.2.4').entry).toEqual(host('192.0.2.4'))
})
