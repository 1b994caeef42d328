import { expect, test } from 'vitest'
import { outputFailure } from '../../../src/platform/standard-output.js'

test.each([
  [1, 'cannot write to standard output: No space left on device'],
  [2, 'cannot write to standard error: No space left on device'],
] as const)('descriptor %i is told by its name', (descriptor, message) => {
  const cause = Object.assign(new Error('x'), { code: 'ENOSPC', errno: -28, syscall: 'write' })
  expect(outputFailure(descriptor, cause)).toMatchObject({ code: 'ERR_OUTPUT', message, cause })
})
