/** `spamdctl sync-key` and `spamdctl sync-status` as built; the status of a running spamd is in spamd.test.ts. */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

const SPAMDCTL = join(import.meta.dirname, '../../bin/spamdctl.js')
const isRoot = process.getuid?.() === 0
if (!isRoot) process.stderr.write('skipped: only root can become a user without rights\n')

let folder: string
let key: string
let socketPath: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sync-commands-'))
  key = join(folder, 'spamd.key')
  socketPath = join(folder, 'spamd.sock')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

async function run(args: string[], options: { uid?: number; gid?: number } = {}) {
  const child = spawn(process.execPath, [SPAMDCTL, ...args], {
    env: { PATH: process.env.PATH, SPAMD_KEY: key, SPAMD_CONTROL_SOCKET: socketPath },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...options,
  })
  const [stdout, stderr, [rc]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close') as Promise<[number | null]>,
  ])
  return { rc, stdout, stderr }
}

const fingerprint = (content: string): string =>
  `SHA256:${createHash('sha256').update(content).digest('hex').slice(0, 32)}`

describe('sync-key', () => {
  test('makes a key that only its owner reads, and shows what identifies it', async () => {
    const made = await run(['sync-key'])
    const content = readFileSync(key, 'latin1')
    expect(made).toEqual({ rc: 0, stdout: `${key} ${fingerprint(content)}\n`, stderr: '' })
    expect(content).toMatch(/^[0-9a-f]{64}\n$/)
    expect(statSync(key).mode & 0o777).toBe(0o600)
    expect(await run(['sync-key', '--show'])).toEqual(made)
    const other = join(folder, 'other')
    expect((await run(['sync-key', '--key', other])).stdout).toMatch(/other SHA256:[0-9a-f]{32}\n$/)
    expect(readFileSync(other, 'latin1')).not.toBe(content)
  })

  test('never replaces a key', async () => {
    writeFileSync(key, 'precious')
    expect(await run(['sync-key'])).toEqual({
      rc: 1,
      stdout: '',
      stderr: `spamdctl: cannot create ${key}: File exists\nspamdctl: hint: all peers need the same file: copy it to them, or remove it first to create a new one\n`,
    })
    expect(readFileSync(key, 'latin1')).toBe('precious')
  })

  test('--show makes nothing', async () => {
    expect(await run(['sync-key', '--show'])).toEqual({
      rc: 1,
      stdout: '',
      stderr: `spamdctl: cannot read ${key}: No such file or directory\nspamdctl: hint: create one with "spamdctl sync-key"\n`,
    })
    expect(readdirSync(folder)).toEqual([])
    mkdirSync(key)
    expect(await run(['sync-key', '--show'])).toEqual({
      rc: 1,
      stdout: '',
      stderr: `spamdctl: failed to open sync key: Is a directory\nspamdctl: hint: ${key} must be a file that root can read\n`,
    })
  })

  test('a missing folder is told with the command that makes it', async () => {
    key = join(folder, 'missing', 'spamd.key')
    expect(await run(['sync-key'])).toEqual({
      rc: 1,
      stdout: '',
      stderr: `spamdctl: cannot create ${key}: No such file or directory\nspamdctl: hint: create its folder first: mkdir -p ${join(folder, 'missing')}\n`,
    })
  })

  test.skipIf(!isRoot)('no right to the folder or the key', async () => {
    chmodSync(folder, 0o755)
    const nobody = { uid: 65534, gid: 65534 }
    expect(await run(['sync-key'], nobody)).toEqual({
      rc: 1,
      stdout: '',
      stderr: `spamdctl: cannot create ${key}: Permission denied\nspamdctl: hint: run it as root, or name another file with --key\n`,
    })
    await run(['sync-key'])
    expect(await run(['sync-key', '--show'], nobody)).toEqual({
      rc: 1,
      stdout: '',
      stderr: `spamdctl: failed to open sync key: Permission denied\nspamdctl: hint: ${key} must be a file that root can read\n`,
    })
  })

  test('help, and wrong calls', async () => {
    const help = await run(['sync-key', '--help'])
    expect(help).toMatchObject({ rc: 0, stderr: '' })
    for (const text of ['--key=FILE', '--show', 'An existing key is never replaced']) {
      expect(help.stdout).toContain(text)
    }
    const usage = 'usage: spamdctl sync-key [--key FILE] [--show]; --help for all options\n'
    expect(await run(['sync-key', '--force'])).toEqual({
      rc: 64,
      stdout: '',
      stderr: `spamdctl: unknown option -- force\n${usage}`,
    })
    expect(await run(['sync-key', 'file'])).toEqual({
      rc: 64,
      stdout: '',
      stderr: `spamdctl: too many arguments: file\n${usage}`,
    })
    expect(readdirSync(folder)).toEqual([])
  })
})

describe('sync-status', () => {
  const HINT =
    'spamdctl: hint: is spamd running? if its socket is elsewhere, use --config-socket or SPAMD_CONTROL_SOCKET\n'

  test('help, and wrong calls', async () => {
    const help = await run(['sync-status', '--help'])
    expect(help).toMatchObject({ rc: 0, stderr: '' })
    for (const text of ['--config-socket=PATH', '--json']) expect(help.stdout).toContain(text)
    expect(await run(['sync-status', '--peers'])).toEqual({
      rc: 64,
      stdout: '',
      stderr:
        'spamdctl: unknown option -- peers\nusage: spamdctl sync-status [--config-socket PATH] [--json]; --help for all options\n',
    })
  })

  test('no daemon, and another file in place of the socket', async () => {
    const refused = (reason: string) => ({
      rc: 1,
      stdout: '',
      stderr: `spamdctl: cannot reach spamd at ${socketPath}: ${reason}\n${HINT}`,
    })
    expect(await run(['sync-status'])).toEqual(refused('No such file or directory'))
    writeFileSync(socketPath, '')
    expect(await run(['sync-status', '--json'])).toEqual(refused('Connection refused'))
    const other = join(folder, 'other.sock')
    expect((await run(['sync-status', '--config-socket', other])).stderr).toContain(
      `at ${other}: No such file`,
    )
  })

  test.each([
    ['SMTP\r\n', (path: string) => `spamdctl: ${path}: the reply is not from spamd\n`],
    ['{"ok":false,"error":{"code":"ERR_X","message":"no\\u001b"}}\n', () => 'spamdctl: no\\x1b\n'],
  ])('a stranger at the socket that says %j', async (answer, stderr) => {
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      socket.resume().end(answer)
    })
    await once(server.listen(socketPath), 'listening')
    expect(await run(['sync-status'])).toEqual({ rc: 1, stdout: '', stderr: stderr(socketPath) })
    server.close()
  })
})
