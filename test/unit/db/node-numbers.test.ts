import { afterEach, expect, test, vi } from 'vitest'
import { newNode } from '../../../src/db/node-numbers.js'

afterEach(() => vi.restoreAllMocks())

test('the number of a new database fits into 32 bits, and is never 0', () => {
  const random = vi.spyOn(Math, 'random')
  random.mockReturnValue(0)
  expect(newNode()).toBe(1)
  random.mockReturnValue(1 - 2 ** -53)
  expect(newNode()).toBe(2 ** 32 - 1)
})
