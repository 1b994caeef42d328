import { expect, test } from 'vitest'
import { encodePullStart, PullDecoder } from '../../../src/codec/pull-stream.js'

test.each([
  [{ node: 0 }, true],
  [{ node: 2 ** 32 - 1, newest: 2 ** 48 - 1 }, true],
  [{ node: null }, true],
  [{ node: -1 }, false],
  [{ node: 2 ** 32 }, false],
  [{ node: 1.5 }, false],
  [{ newest: -1 }, false],
  [{ newest: 2 ** 48 }, false],
])('a header with %j: %s', (fields, isTaken) => {
  const header = { node: 5, newest: 9, nowSec: 1_800_000_000, isWhole: true, ...fields }
  expect(new PullDecoder().take(encodePullStart(header)).ok).toBe(isTaken)
})
