/** The times of `spamd-setup --json` and `spamdctl lists` are of one form. */
import { expect, test } from 'vitest'
import type { ListState } from '../../../src/app/lists/list-states.js'
import type { RefreshReport } from '../../../src/app/lists/refresh-report.js'
import { listStatesJson, listStatesTable } from '../../../src/cli/setup/list-states-table.js'
import { jsonReport } from '../../../src/cli/setup/setup-table.js'

const NOW_SEC = 1_795_348_800
const STATE: ListState = {
  name: 'a',
  colour: 'black',
  source: { name: 'a', method: 'https', location: 'example.org/a' } as ListState['source'],
  entries: 1,
  lastSuccessSec: NOW_SEC,
  lastTrySec: NOW_SEC + 1,
  lastError: undefined,
  nextFetchSec: NOW_SEC + 3600,
}

test('JSON has ISO 8601 to the second, from both programs', () => {
  expect(JSON.parse(listStatesJson([STATE]))).toMatchObject([
    {
      lastSuccess: '2026-11-22T12:00:00Z',
      lastTry: '2026-11-22T12:00:01Z',
      nextFetch: '2026-11-22T13:00:00Z',
    },
  ])
  const list = { ...STATE, status: 'new', problems: [], currentSec: NOW_SEC, notes: [] }
  const report = {
    lists: [list, { ...list, currentSec: undefined }],
    combined: [],
    cleared: [],
    toClear: [],
    problems: [],
  }
  const json = jsonReport({ ...report, startedSec: NOW_SEC + 5, exitCode: 0 } as unknown as RefreshReport)
  expect(JSON.parse(json)).toMatchObject({
    started: '2026-11-22T12:00:05Z',
    lists: [{ current: '2026-11-22T12:00:00Z' }, { current: null }],
  })
})

test('what was never asked has no times', () => {
  const state = { ...STATE, lastSuccessSec: undefined, lastTrySec: undefined, nextFetchSec: undefined }
  expect(JSON.parse(listStatesJson([state]))).toMatchObject([
    { lastSuccess: null, lastTry: null, nextFetch: null },
  ])
  expect(listStatesTable([state], NOW_SEC)).toMatch(/ {2}never {2}.* {2}now /)
})

test('the table has a blank in place of the T', () => {
  const [, row] = listStatesTable([STATE], NOW_SEC).split('\n')
  expect(row).toContain('2026-11-22 12:00:00Z  2026-11-22 13:00:00Z')
})
