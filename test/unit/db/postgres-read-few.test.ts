/** An input is short up to a number of items; a longer one comes whole, and is not read to its end first. */
import { expect, test } from 'vitest'
import { readFew } from '../../../src/db/postgres/read-few.js'

test.each([[[]], [[[1, 2, 3]]], [[[1], [], [2, 3]]]])('%j is short', async (batches: number[][]) => {
  expect(await readFew(batches, 3)).toEqual({ few: batches.flat() })
})

test('of a longer one each item comes once, in order, the rest when it is wanted', async () => {
  let readCount = 0
  function* batches() {
    for (const batch of [[1, 2], [3, 4], [5], [6]]) {
      readCount += 1
      yield batch
    }
  }
  const { few, all } = await readFew(batches(), 3)
  expect({ few, readCount }).toEqual({ few: undefined, readCount: 2 })
  const items: number[] = []
  for await (const batch of all!) items.push(...batch)
  expect(items).toEqual([1, 2, 3, 4, 5, 6])
})
