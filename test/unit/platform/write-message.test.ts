import { expect, test, vi } from 'vitest'
import { writeMessage } from '../../../src/platform/standard-output.js'

const written = vi.hoisted(() => ({
  texts: [] as [number, string][],
  failure: undefined as Error | undefined,
}))
vi.mock('node:fs', async (importOriginal) => ({
  ...(await importOriginal<typeof import('node:fs')>()),
  writeSync: (descriptor: number, bytes: Uint8Array, offset = 0, length = bytes.length - offset) => {
    if (written.failure !== undefined) throw written.failure
    // As a pipe that is nearly full: a few bytes at a time.
    const taken = Math.min(length, 4)
    written.texts.push([descriptor, Buffer.from(bytes.subarray(offset, offset + taken)).toString()])
    return taken
  },
}))

test('a message goes to standard error, whole', () => {
  writeMessage('spamdb: hint\n')
  expect(written.texts.map(([, text]) => text).join('')).toBe('spamdb: hint\n')
  expect(new Set(written.texts.map(([descriptor]) => descriptor))).toEqual(new Set([2]))
})

test('what standard error does not take is lost, and no failure', () => {
  written.failure = Object.assign(new Error('x'), { code: 'ENOSPC', errno: -28, syscall: 'write' })
  expect(() => writeMessage('spamdb: hint\n')).not.toThrow()
})
