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

test.each([
  [[], 0, undefined],
  [[at(1, 100)], 50, undefined],
  [[at(1, 100)], 49, 100],
  [[at(1, 10), at(2, 100), at(3, 60)], 49, 100],
  [[at(1, 10)], 100, undefined],
])('%j, now %i: %s', (history, entries, largest) => {
  expect(shrunkFrom(history, 3 * DAY, entries)).toBe(largest)
})

test.each([
  [TODAY - 30, undefined],
  [TODAY - 29, 100],
  [TODAY, 100],
  [TODAY + 1, undefined],
])('thirty days count, and none that lies ahead: day %i', (day, largest) => {
  expect(shrunkFrom([at(day, 100)], TODAY * DAY, 1)).toBe(largest)
})

test.each([365, -365, 40, -3])(
  'a clock that is %i days wrong for a while costs nothing of the history',
  (wrong) => {
    let history = Array.from({ length: 30 }, (_, n) => at(TODAY - 29 + n, n === 0 ? 100 : 10))
    for (const day of [0, 1]) history = addDay(history, (TODAY + wrong + day) * DAY, 1)
    expect(shrunkFrom(history, TODAY * DAY, 10)).toBe(100)
  },
)

test('a history has an end', () => {
  let history: ReturnType<typeof at>[] = []
  for (let day = 0; day < 100; day += 1) history = addDay(history, (TODAY + day) * DAY, day)
  expect(history.map(({ day }) => day - TODAY)).toEqual(Array.from({ length: 60 }, (_, n) => n + 40))
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
