import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { freeMemory } from '../../../src/platform/free-memory.js'

const BYTES = 8 * 1024 * 1024

/** So much short-lived that what is held becomes old, which V8 frees only when it looks at everything. */
function makeOld(): number {
  let count = 0
  for (let round = 0; round < 200; round += 1) {
    count += Array.from({ length: 50_000 }, (_, index) => ({ index })).length
  }
  return count
}

test('old arrays that nobody holds any more are given back at once', async () => {
  const held: { array?: Uint8Array | undefined } = { array: new Uint8Array(BYTES) }
  expect(makeOld()).toBeGreaterThan(0)
  const before = process.memoryUsage().arrayBuffers
  held.array = undefined
  await nextTurn()
  freeMemory()
  // The memory itself goes in another thread.
  await expect
    .poll(() => before - process.memoryUsage().arrayBuffers, { timeout: 3000 })
    .toBeGreaterThan(BYTES / 2)
})
