/** How many mails of the history are put together: those from the most addresses, as many as memory allows. */
import { expect, test } from 'vitest'
import { leastCount } from '../../../src/db/deferred-history.js'

const counters = (...counts: number[]) => Uint8Array.from(counts)

test.each<[string, Uint8Array, number, number, number]>([
  ['all fit', counters(1, 2, 3, 3, 9), 3, 100, 3],
  ['just', counters(3, 3, 9), 3, 15, 3],
  ['the wanted ones do not', counters(3, 3, 9), 3, 14, 4],
  ['those above neither', counters(3, 5, 5, 9), 3, 18, 6],
  ['nothing fits', counters(255, 255), 3, 100, 255],
  ['nothing is there', counters(0, 0), 3, 100, 3],
  ['more is wanted than is counted', counters(255, 4), 1000, 1000, 255],
])('%s', (_name, counts, minAddresses, maxRows, least) => {
  expect(leastCount(counts, minAddresses, maxRows)).toBe(least)
})
