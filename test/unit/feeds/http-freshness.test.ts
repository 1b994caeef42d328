import { expect, test } from 'vitest'
import { freshUntil, type HttpHeaders, nextDay, retryAfter } from '../../../src/feeds/http-freshness.js'

const NOW = 1_700_000_000
const httpDate = (sec: number) => new Date(sec * 1000).toUTCString()

const freshCases: { name: string; headers: HttpHeaders; want: number | undefined }[] = [
  { name: 'nothing said', headers: {}, want: undefined },
  { name: 'max-age', headers: { 'cache-control': 'public, max-age=7200' }, want: NOW + 7_200 },
  { name: 'max-age in quotes and capitals', headers: { 'cache-control': 'Max-Age="60"' }, want: NOW + 60 },
  {
    name: 'age in a cache on the way counts',
    headers: { 'cache-control': 'max-age=100', age: '40' },
    want: NOW + 60,
  },
  { name: 'older than its life', headers: { 'cache-control': 'max-age=100', age: '100' }, want: undefined },
  { name: 'no-cache beats max-age', headers: { 'cache-control': 'max-age=100, no-cache' }, want: undefined },
  { name: 'no-store', headers: { 'cache-control': 'no-store' }, want: undefined },
  {
    name: 'max-age beats Expires',
    headers: { 'cache-control': 'max-age=5', expires: httpDate(NOW + 99) },
    want: NOW + 5,
  },
  { name: 'Expires by our clock', headers: { expires: httpDate(NOW + 99) }, want: NOW + 99 },
  {
    name: 'Expires by the clock of the server',
    headers: { expires: httpDate(500), date: httpDate(400) },
    want: NOW + 100,
  },
  { name: 'Expires: 0', headers: { expires: '0', date: httpDate(NOW) }, want: undefined },
  {
    name: 'a hundred years are a week',
    headers: { 'cache-control': 'max-age=3153600000' },
    want: NOW + 604_800,
  },
  { name: 'repeated fields', headers: { 'cache-control': ['public', 'max-age=10'] }, want: NOW + 10 },
  { name: 'nonsense', headers: { 'cache-control': 'max-age=soon', expires: 'never' }, want: undefined },
]
test.each(freshCases)('freshness: $name', ({ headers, want }) => {
  expect(freshUntil(headers, NOW)).toBe(want)
})

test.each([
  ['120', NOW + 120],
  [httpDate(NOW + 3_600), NOW + 3_600],
  ['0', undefined],
  [httpDate(NOW - 5), undefined],
  ['99999999999', undefined],
  ['9999999999', NOW + 604_800],
  ['later', undefined],
  [undefined, undefined],
])('Retry-After %s', (text, want) => {
  expect(retryAfter({ 'retry-after': text }, NOW)).toBe(want)
})

test('the next day is the next one, and never nearer than twelve hours', () => {
  const noon = new Date(2026, 10, 22, 12, 0, 0).getTime() / 1000
  expect(nextDay(noon - 3_600)).toBe(noon + 12 * 3_600)
  const late = noon + 11 * 3_600
  expect(nextDay(late)).toBe(late + 12 * 3_600)
  const early = noon - 12 * 3_600
  expect(nextDay(early)).toBe(noon + 12 * 3_600)
})
