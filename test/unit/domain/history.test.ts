import { describe, expect, test } from 'vitest'
import type { Change } from '../../../src/domain/change.js'
import { CHANGE_RULES } from '../../../src/domain/change.js'
import type { Entry } from '../../../src/domain/entry.js'
import {
  DEFAULT_HISTORY,
  type HistoryRow,
  isByHand,
  isKept,
  isUndoable,
  refuseUndo,
  stepsOfRows,
} from '../../../src/domain/history.js'

const NOW = 1_700_000_000
const host = (kind: 'WHITE' | 'TRAPPED'): Entry =>
  ({ kind, ip: '192.0.2.1', first: NOW, pass: NOW, expire: NOW + 99, bcount: 0, pcount: 0 }) as Entry
const row = (part: Partial<HistoryRow>): HistoryRow => ({
  ...{ seq: 1, event: 1, at: NOW, rule: 'manual', actor: undefined, summary: undefined },
  ...{ key: { kind: 'host', ip: '192.0.2.1' }, before: undefined, after: host('WHITE') },
  ...part,
})

describe('which events can be undone', () => {
  test('those by people, and no others', () => {
    expect(CHANGE_RULES.filter(isUndoable).sort()).toEqual(['import', 'manual', 'undo'])
  })
  test('each key goes from its first state before to its last one after', () => {
    const rows = [
      row({}),
      row({ seq: 2, before: host('WHITE'), after: host('TRAPPED') }),
      row({ seq: 3, key: { kind: 'spamtrap', address: 'a@b' }, after: undefined }),
    ]
    const { steps, isWhole, rule } = stepsOfRows(rows)
    expect({ steps, isWhole, rule }).toMatchObject({ isWhole: true, rule: 'manual' })
    expect(steps).toEqual([
      { key: { kind: 'host', ip: '192.0.2.1' }, before: undefined, after: host('TRAPPED') },
      { key: { kind: 'spamtrap', address: 'a@b' }, before: undefined, after: undefined },
    ])
    expect(refuseUndo(7, { rule, isWhole })).toBeUndefined()
  })
  test.each<[string, HistoryRow[], string, string]>([
    ['none', [], 'no such event: 7', 'list what can be undone with'],
    [
      'of a daemon',
      [row({ rule: 'trap' })],
      'event 7 was made by a daemon (trap)',
      'list what can be undone',
    ],
    [
      'too large',
      [row({ rule: 'import', key: undefined, summary: '30000 entries' })],
      'event 7 was too large to be kept entry by entry',
      'restore a file made by "spamdctl backup"',
    ],
    [
      'a release',
      [row({ rule: 'release', key: { kind: 'release', id: 'r1' }, after: {} as HistoryRow['after'] })],
      'event 7 is a release (r1), which undo does not revert',
      'use spamdctl release cancel r1; to undo an earlier change',
    ],
    [
      'an exception',
      ['a.example', 'b.example'].map((name) =>
        row({
          rule: 'allow',
          key: undefined,
          summary: `added ${name}`,
          decision: { what: 'added', name },
        }),
      ),
      'event 7 is an exception (added a.example), which undo does not revert',
      'use spamdctl allow remove a.example, and 1 more like it; to undo an earlier change',
    ],
  ])('refused: %s', (_, rows, message, hint) => {
    const refusal = refuseUndo(7, stepsOfRows(rows))
    expect(refusal?.message).toContain(message)
    expect(refusal?.hint).toContain(hint)
  })
  test('an exception counts as by hand when somebody decided it, not when its time was over', () => {
    const summary = (what: 'removed' | 'ended') => [{ text: '', decision: { what, name: 'a.example' } }]
    expect([isByHand('allow', summary('removed')), isByHand('allow', summary('ended'))]).toEqual([
      true,
      false,
    ])
    expect([isByHand('import'), isByHand('scan' as never)]).toEqual([true, false])
  })
})

describe('what is kept', () => {
  const change = (part: object): Change =>
    ({
      ...{ key: { kind: 'host', ip: '192.0.2.1' }, cause: { rule: 'sighting' } },
      ...{ before: { entry: undefined }, after: { entry: host('WHITE') } },
      ...part,
    }) as Change
  const tuple = { kind: 'tuple', ip: '192.0.2.1', helo: 'h', from: '<a@b>', to: '<c@d>' }
  const full = DEFAULT_HISTORY
  const hosts = { ...DEFAULT_HISTORY, mode: 'hosts' } as const
  test.each<[string, boolean, object, typeof full | typeof hosts]>([
    ['a new address', true, {}, hosts],
    ['the same again', false, { before: { entry: host('WHITE') } }, full],
    ['one that became another', true, { before: { entry: host('TRAPPED') } }, full],
    ['the same by hand', true, { before: { entry: host('WHITE') }, cause: { rule: 'manual' } }, full],
    ['an address that expired', true, { cause: { rule: 'expiry' }, after: { entry: undefined } }, full],
    ['a tuple by hand', true, { key: tuple, cause: { rule: 'manual' } }, full],
    ['a tuple where only addresses are', false, { key: tuple, cause: { rule: 'manual' } }, hosts],
    ['a tuple that expired', false, { key: tuple, cause: { rule: 'expiry' } }, full],
    ['a tuple that was evicted', false, { key: tuple, cause: { rule: 'limit' } }, full],
    [
      'a tuple of a pool',
      false,
      { key: { ...tuple, ip: '192.0.2.0/24', helo: '' }, cause: { rule: 'manual' } },
      full,
    ],
  ])('%s: %s', (_, expected, part, settings) => {
    expect(isKept(change(part), settings)).toBe(expected)
  })
})
