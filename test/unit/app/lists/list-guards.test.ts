/** When what a source gave is refused; refresh-guards.test.ts has what a run makes of it. */
import { describe, expect, test } from 'vitest'
import { findRefusal } from '../../../../src/app/lists/list-guards.js'
import type { ListSource } from '../../../../src/app/lists/list-source.js'
import type { ListSummary } from '../../../../src/codec/lists/list-lines.js'

const CAN_SHRINK = 'run once with --accept-shrink if that is right'

function refusalOf(
  accepted: number,
  {
    source = {},
    previous,
    canShrink = false,
    failure,
  }: {
    source?: Partial<ListSource>
    previous?: number
    canShrink?: boolean
    failure?: ListSummary['failure']
  } = {},
) {
  return findRefusal(
    { name: 'a', method: 'https', ...source } as ListSource,
    { accepted, failure } as ListSummary,
    previous,
    { canShrink },
  )
}

describe('an empty list', () => {
  const refusal = { reason: 'the list has no entry', hint: 'add :empty_ok: to a if that can be right' }
  test.each(['http', 'https', 'ftp', 'exec'] as const)('by %s is refused, also once', (method) => {
    expect(refusalOf(0, { source: { method } })).toEqual(refusal)
    expect(refusalOf(0, { source: { method }, canShrink: true })).toEqual(refusal)
    expect(refusalOf(1, { source: { method } })).toBeUndefined()
  })

  test('of this machine, or one that may be empty, is not', () => {
    expect(refusalOf(0, { source: { method: 'file' }, previous: 100 })).toBeUndefined()
    expect(refusalOf(0, { source: { isEmptyOk: true }, previous: 100 })).toBeUndefined()
  })
})

describe('a list that shrinks', () => {
  test.each([
    [50, 100, undefined],
    [49, 100, 'the list has shrunk from 100 to 49 entries'],
    [1, 3, 'the list has shrunk from 3 to 1 entry'],
    [1, 2, undefined],
    [200, 100, undefined],
    [1, undefined, undefined],
  ])('to %i of %s entries', (accepted, previous, reason) => {
    const found = refusalOf(accepted, previous === undefined ? {} : { previous })
    expect(found).toEqual(reason === undefined ? undefined : { reason, hint: CAN_SHRINK })
    expect(refusalOf(accepted, { previous: previous ?? 1000, canShrink: true })).toBeUndefined()
  })

  test.each([
    [10, undefined],
    [9, 'the list has 9 entries, fewer than min#10'],
    [1, 'the list has 1 entry, fewer than min#10'],
  ])('to %i, with at least ten wanted', (accepted, reason) => {
    const source = { minEntries: 10 }
    expect(refusalOf(accepted, { source })).toEqual(
      reason === undefined ? undefined : { reason, hint: CAN_SHRINK },
    )
    expect(refusalOf(accepted, { source, canShrink: true })).toBeUndefined()
  })
})

test('damage is refused in any list', () => {
  const failure = { message: 'line 3 is too long' } as NonNullable<ListSummary['failure']>
  for (const source of [{ method: 'file' as const }, { isEmptyOk: true }, {}])
    expect(refusalOf(5, { source, canShrink: true, failure })).toEqual({ reason: 'line 3 is too long' })
})
