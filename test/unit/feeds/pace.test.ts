import { expect, test } from 'vitest'
import type { SourceState } from '../../../src/feeds/list-store.js'
import { notBefore } from '../../../src/feeds/pace.js'

const NOW = 1_700_000_000
const source = { method: 'https', location: 'example.org/list' } as const

const cases: {
  name: string
  state: Partial<SourceState> | undefined
  method?: 'file'
  want: number | undefined
}[] = [
  { name: 'never asked', state: undefined, want: undefined },
  { name: 'asked a second less than an hour ago', state: { lastTrySec: NOW - 3_599 }, want: NOW + 1 },
  { name: 'asked an hour ago', state: { lastTrySec: NOW - 3_600 }, want: undefined },
  { name: 'told to stay away', state: { lastTrySec: NOW - 9_999, notBeforeSec: NOW + 50 }, want: NOW + 50 },
  {
    name: 'the later of both counts',
    state: { lastTrySec: NOW - 10, notBeforeSec: NOW + 50 },
    want: NOW + 3_590,
  },
  { name: 'the clock went back', state: { lastTrySec: NOW + 500 }, want: undefined },
  {
    name: 'told to stay away while the clock was a day ahead',
    state: { lastTrySec: NOW + 86_400, notBeforeSec: NOW + 90_000 },
    want: undefined,
  },
  {
    name: 'told to stay away while the clock was six days ahead',
    state: { lastTrySec: NOW + 6 * 86_400, notBeforeSec: NOW + 6 * 86_400 + 43_200 },
    want: undefined,
  },
  {
    name: 'told to stay away just before the clock went back by minutes',
    state: { lastTrySec: NOW + 500, notBeforeSec: NOW + 43_700 },
    want: NOW + 43_700,
  },
  { name: 'told by a clock gone mad', state: { notBeforeSec: NOW + 9e9 }, want: undefined },
  { name: 'another source', state: { lastTrySec: NOW, location: 'example.org/other' }, want: undefined },
  { name: 'a local file', state: { lastTrySec: NOW, method: 'file' }, method: 'file', want: undefined },
]
test.each(cases)('$name', ({ state, method, want }) => {
  const full = state && { method: 'https' as const, location: source.location, ...state }
  expect(notBefore({ ...source, ...(method && { method }) }, full, NOW)).toBe(want)
})
