import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { outputFailure } from '../../../src/platform/standard-output.js'

const BUILT = join(import.meta.dirname, '../../../dist/src/platform/standard-output.js')

test.each([
  [1, 'cannot write to standard output: No space left on device'],
  [2, 'cannot write to standard error: No space left on device'],
] as const)('descriptor %i is told by its name', (descriptor, message) => {
  const cause = Object.assign(new Error('x'), { code: 'ENOSPC', errno: -28, syscall: 'write' })
  expect(outputFailure(descriptor, cause)).toMatchObject({ code: 'ERR_OUTPUT', message, cause })
})

/** Node makes a pipe non-blocking when its own stream of it is used; tells how long each wait for room was to be. */
const WRITER = `
process.stdout
const { writeSync } = require('node:fs')
const { wait } = Atomics
const waits = []
Atomics.wait = (array, index, value, ms) => {
  waits.push(ms)
  if (ms === 5 && waits.filter((each) => each === 5).length === 1) writeSync(2, 'full\\n')
  return wait(array, index, value, ms)
}
import(${JSON.stringify(BUILT)}).then(({ writeFully }) => {
  writeFully(1, Buffer.alloc(4_000_000, 'lines of a listing\\n'))
  writeSync(2, JSON.stringify(waits))
})`

test('a full pipe gets all bytes, soon after its reader goes on, and a reader that waits is asked seldom', async () => {
  const writer = spawn(process.execPath, ['-e', WRITER], { stdio: ['ignore', 'pipe', 'pipe'] })
  const told: Buffer[] = []
  writer.stderr.on('data', (bytes: Buffer) => told.push(bytes))
  // The pipe is full, and nobody has read from it.
  await once(writer.stderr, 'data')
  const read: Buffer[] = []
  for await (const bytes of writer.stdout) read.push(bytes as Buffer)
  if (writer.exitCode === null) await once(writer, 'close')
  expect(Buffer.concat(read).equals(Buffer.alloc(4_000_000, 'lines of a listing\n'))).toBe(true)
  const waits = JSON.parse(Buffer.concat(told).toString().replaceAll('full\n', '')) as number[]
  const longest = waits.indexOf(5)
  expect(waits.slice(longest - 6, longest + 1)).toEqual([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5])
  expect(Math.max(...waits)).toBe(5)
})
