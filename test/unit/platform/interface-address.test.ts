import { expect, test } from 'vitest'
import { AppError } from '../../../src/platform/app-error.js'
import { findInterfaceAddress } from '../../../src/platform/interface-address.js'
import type { ProcessRunner } from '../../../src/platform/run-process.js'

const calls: string[][] = []
const answering =
  (stdout: string, exitCode = 0): ProcessRunner =>
  async ({ program, args }) => {
    calls.push([program, ...args])
    return { exitCode, signal: null, hasTimedOut: false, stderrTail: '', stdout: Buffer.from(stdout) }
  }

test('an interface that runs is known without asking', async () => {
  expect(await findInterfaceAddress('lo', answering('never', 1))).toBe('127.0.0.1')
  expect(calls).toEqual([])
})

test('one that is down is asked for', async () => {
  const shown = '2: em9    inet 10.98.0.2/24 scope global em9\\       valid_lft forever\n'
  expect(await findInterfaceAddress('em9', answering(shown))).toBe('10.98.0.2')
  expect(calls.at(-1)!.at(-1)).toBe('em9')
})

test('one without an address has none, one that does not exist is none', async () => {
  expect(await findInterfaceAddress('em9', answering(''))).toBeNull()
  expect(await findInterfaceAddress('em9', answering('', 1))).toBeUndefined()
})

test.each(['', '-h', 'em9:2', 'a b', 'em0;id', 'a-name-too-long-for-it', '../x'])(
  '%j is never asked for',
  async (name) => {
    const before = calls.length
    expect(await findInterfaceAddress(name, answering('inet 10.0.0.1'))).toBeUndefined()
    expect(calls).toHaveLength(before)
  },
)

test('without the program an unknown name is no interface', async () => {
  const missing: ProcessRunner = async () => {
    throw new AppError('ERR_PROCESS_MISSING', 'ip: no such program')
  }
  expect(await findInterfaceAddress('em9', missing)).toBeUndefined()
})
