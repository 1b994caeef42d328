/** What helps when spamd cannot be reached; refresh-lists.test.ts has what a spamd answers. */
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { isSpamdAbsent, sendConfigLine } from '../../../../src/app/lists/deliver-lists.js'
import { skipUnless } from '../../../support/skip-unless.js'

const NOBODY = 65_534
const isRoot = process.geteuid?.() === 0
/** Some containers let everybody use every port. */
const hasReservedPorts =
  process.platform === 'linux' &&
  Number(readFileSync('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'latin1')) >= 1024

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'deliver-lists-'))
  // Nobody but root may look into it.
  chmodSync(folder, 0)
})
afterAll(() => rmSync(folder, { recursive: true }))
beforeEach(() => {
  if (isRoot) process.seteuid!(NOBODY)
})
afterEach(() => {
  if (isRoot) process.seteuid!(0)
})

const line = [Buffer.from('a;"m";inet;1;192.0.2.1/32\n')]
const failureOf = (target: Parameters<typeof sendConfigLine>[0]) =>
  sendConfigLine(target, line).then(
    () => undefined,
    (error: unknown) => error as Error & { hint?: string },
  )

test('a socket that may not be used', async () => {
  const path = join(folder, 'control.sock')
  const error = await failureOf({ kind: 'socket', path })
  expect(error).toMatchObject({
    code: 'ERR_SPAMD_CONNECT',
    message: `Can't connect to spamd on ${path}: Permission denied`,
    hint: 'run as root, or as a member of the group of spamd',
  })
  expect(isSpamdAbsent(error)).toBe(false)
})

test.skipIf(skipUnless(hasReservedPorts, 'needs ports below 1024 that only root may use'))(
  'a port to which only root may send',
  async () => {
    const error = await failureOf({ kind: 'port', port: 9 })
    expect(error).toMatchObject({
      code: 'ERR_SPAMD_CONNECT',
      hint: 'spamd accepts lists from source ports below 1024 only: run as root, or use --config-socket',
    })
    expect(isSpamdAbsent(error)).toBe(false)
  },
)

test('a socket that is not there needs no other user', async () => {
  const error = await failureOf({ kind: 'socket', path: '/nonexistent/control.sock' })
  expect(error).toMatchObject({ code: 'ERR_SPAMD_CONNECT', hint: undefined })
  expect(isSpamdAbsent(error)).toBe(true)
})
