import { expect, test } from 'vitest'
import { readAhead } from '../../../src/db/read-ahead.js'

/** Numbers from 1, with a note of each that was asked for; `failing` is thrown in the place of one. */
async function* numbers(asked: number[], failing?: number): AsyncGenerator<number> {
  try {
    for (let n = 1; n <= 4; n += 1) {
      asked.push(n)
      if (n === failing) throw new Error(`no ${n}`)
      yield n
    }
  } finally {
    asked.push(0)
  }
}

test('gives all items in order and asks for one more than is in use', async () => {
  const asked: number[] = []
  const seen: number[] = []
  for await (const n of readAhead(numbers(asked))) {
    expect(Math.max(...asked)).toBe(Math.min(n + 1, 4))
    seen.push(n)
  }
  expect(seen).toEqual([1, 2, 3, 4])
})

test('fails after the items that came before', async () => {
  const seen: number[] = []
  const reading = (async () => {
    for await (const n of readAhead(numbers([], 3))) seen.push(n)
  })()
  await expect(reading).rejects.toThrow('no 3')
  expect(seen).toEqual([1, 2])
})

test('ends its source when the reader stops early, even where the next item fails', async () => {
  for (const failing of [undefined, 2]) {
    const asked: number[] = []
    for await (const n of readAhead(numbers(asked, failing))) if (n === 1) break
    expect(asked).toEqual([1, 2, 0])
  }
})
