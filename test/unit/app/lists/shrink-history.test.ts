import { expect, test } from 'vitest'
import { addDay, readHistory, shrunkFrom } from '../../../../src/app/lists/shrink-history.js'

const DAY = 86_400
const TODAY = 20_000
const at = (day: number, entries: number) => ({ day, entries })

test('a day keeps the most, and a new day begins with what there is', () => {
  const first = addDay([], TODAY * DAY, 50)
  expect(first).toEqual([at(TODAY, 50)])
  expect(addDay(first, TODAY * DAY + DAY - 1, 70)).toEqual([at(TODAY, 70)])
  expect(addDay(first, TODAY * DAY + DAY - 1, 40)).toEqual([at(TODAY, 50)])
  expect(addDay(first, (TODAY + 1) * DAY, 40)).toEqual([at(TODAY, 50), at(TODAY + 1, 40)])
})

test('thirty days count, and none that lies ahead', () => {
  const days = [TODAY - 30, TODAY - 29, TODAY - 1, TODAY, TODAY + 1].map((day) => at(day, day))
  expect(addDay(days, TODAY * DAY, 1).map(({ day }) => day)).toEqual([TODAY - 29, TODAY - 1, TODAY])
})

test.each([
  [[], 0, undefined],
  [[at(1, 100)], 50, undefined],
  [[at(1, 100)], 49, 100],
  [[at(1, 10), at(2, 100), at(3, 60)], 49, 100],
  [[at(1, 10)], 100, undefined],
])('%j, now %i: %s', (history, entries, largest) => {
  expect(shrunkFrom(history, entries)).toBe(largest)
})

test.each([undefined, null, 5, 'text', {}])('%j is no history', (value) => {
  expect(readHistory(value)).toEqual([])
})

test('of what stands in a state file only days are taken', () => {
  const bad = [
    null,
    5,
    'x',
    {},
    { day: 1 },
    { entries: 1 },
    { day: 1.5, entries: 2 },
    { day: 1, entries: '2' },
  ]
  expect(readHistory([...bad, at(1, 2)])).toEqual([at(1, 2)])
})
