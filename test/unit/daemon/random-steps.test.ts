/** A piece of the stateful fuzzer (`npm run test:fuzz -- daemon`) on every run: a daemon under random clients and edits. */
import { test } from 'vitest'
import { fuzzDaemon } from '../../fuzz/fuzz-daemon.js'

test.each([11, 12])('a whole daemon keeps its rules through 400 random steps, seed %i', async (seed) => {
  // Throws for the first broken rule.
  await fuzzDaemon({ seed, endMs: Number.POSITIVE_INFINITY, steps: 400 })
})
