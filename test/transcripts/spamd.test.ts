/** spamd as built: its command line, its life in the foreground and the background, and what it does when descriptors run out. */

import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { SPAMD_USAGE } from '../../src/cli/spamd/spamd-options.js'
import { PATIENCE } from '../support/patience.js'
import { reservePort } from '../support/reserve-port.js'
import { skipUnless, skipUnlessRoot } from '../support/skip-unless.js'
import { TestClient } from '../support/spamd/test-client.js'
import { waitFor } from '../support/spamd/wait-for.js'

const BIN = new URL('../../bin/', import.meta.url).pathname
let folder: string
let environment: Record<string, string>
let port: number
const children: ChildProcess[] = []
let backgroundPid: number | undefined

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'spamd-transcript-'))
  // The daemon becomes another user, who must be able to look in.
  chmodSync(folder, 0o755)
  port = await reservePort()
  environment = {
    PATH: process.env.PATH!,
    SPAMD_DB: join(folder, 'db', 'spamd.sqlite'),
    SPAMD_CONTROL_SOCKET: join(folder, 'run', 'spamd.sock'),
    SPAMD_STATE_DIR: join(folder, 'lists'),
    SPAMD_ALLOWEDDOMAINS: join(folder, 'alloweddomains'),
    SPAMD_KEY: join(folder, 'key'),
    SPAMD_FIREWALL: 'none',
    SPAMD_USER: 'nobody',
    SPAMD_PORT: String(port),
    SPAMD_CFG_PORT: String(await reservePort()),
  }
  backgroundPid = undefined
})
afterEach(async () => {
  for (const child of children.splice(0)) await stop(child)
  if (backgroundPid !== undefined && isAlive(backgroundPid)) process.kill(backgroundPid, 'SIGKILL')
  rmSync(folder, { recursive: true, force: true })
})

function run(program: string, ...args: string[]): { rc: number | null; stdout: string; stderr: string } {
  const result = spawnSync(process.execPath, [join(BIN, program), ...args], {
    env: environment,
    cwd: folder,
    encoding: 'latin1',
  })
  return { rc: result.status, stdout: result.stdout, stderr: result.stderr }
}

interface Foreground {
  child: ChildProcess
  output: () => string
}

async function foreground(...args: string[]): Promise<Foreground> {
  const child = spawn(process.execPath, [join(BIN, 'spamd.js'), ...args], { env: environment })
  children.push(child)
  let text = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1')
    })
  }
  await waitFor(
    () => text.includes('listening for incoming connections.') || child.exitCode !== null,
    () => `the start: ${text}`,
  )
  return { child, output: () => text }
}

async function stop(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve))
  child.kill('SIGTERM')
  return ended
}

/** Id of the unprivileged process of a running spamd. Linux only. */
function workerOf(child: ChildProcess): number {
  return Number.parseInt(readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'latin1'), 10)
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

const connect = (): Promise<TestClient> => TestClient.open({ host: '127.0.0.1', port })
const hears = (client: TestClient, text: string, timeoutMs?: number): Promise<void> =>
  waitFor(
    () => client.received.includes(text),
    () => `${text} in ${client.received}`,
    timeoutMs,
  )

/** The first client that spamd greets. Who comes while it still starts is refused or sent away, never left waiting. */
async function firstGreeted(): Promise<TestClient> {
  const endMs = performance.now() + 20_000
  for (;;) {
    if (performance.now() > endMs) throw new Error('spamd greets nobody')
    const client = await connect().catch(() => undefined)
    if (client === undefined) continue
    await waitFor(
      () => client.hasEnded || client.received.startsWith('220 '),
      () => 'a greeting or the end of a connection',
    )
    if (client.received !== '') return client
  }
}

describe('the command line', () => {
  test('wrong calls end with 1 and the words of the original, on stderr only', () => {
    expect(run('spamd.js', '-Z')).toEqual({
      rc: 1,
      stdout: '',
      stderr: `spamd: unknown option -- Z\n${SPAMD_USAGE}`,
    })
    expect(run('spamd.js', '-p', '0')).toEqual({ rc: 1, stdout: '', stderr: 'spamd: -p 0: too small\n' })
  })

  test('--check says nothing when all is well, and what is not', () => {
    expect(run('spamd.js', '--check')).toEqual({ rc: 0, stdout: '', stderr: '' })
    expect(existsSync(environment.SPAMD_DB!)).toBe(false)
    expect(run('spamd.js', '--check', '-C', '/nonexistent', '-K', '/nonexistent')).toEqual({
      rc: 1,
      stdout: '',
      stderr: 'spamd: unable to set TLS certificate file /nonexistent\n',
    })
    writeFileSync(environment.SPAMD_ALLOWEDDOMAINS!, `${'x'.repeat(2000)}\n`)
    expect(run('spamd.js', '--check')).toMatchObject({
      rc: 1,
      stderr: expect.stringMatching(/^spamd: /) as string,
    })
  })

  test('--check finds what would stop a start: addresses, sync interfaces, folders', () => {
    expect(run('spamd.js', '--check', '-l', '192.0.2.99')).toMatchObject({
      rc: 1,
      stderr: expect.stringMatching(
        /^spamd: bind: .*\nspamd: hint: -l 192\.0\.2\.99, port [0-9]+ \(-p\)\n$/,
      ) as string,
    })
    expect(run('spamd.js', '--check', '-y', 'nosuchif0')).toMatchObject({
      rc: 1,
      stderr: expect.stringMatching(
        /^spamd: warning: no synchronisation key in .*\nspamd: sync init: No such device\nspamd: hint: /,
      ) as string,
    })
    const pidFile = join(folder, 'missing', 'spamd.pid')
    expect(run('spamd.js', '--check', '--pid-file', pidFile)).toEqual({
      rc: 1,
      stdout: '',
      stderr: `spamd: cannot write pid file ${pidFile}: No such file or directory\n`,
    })
    const whiteFile = join(folder, 'missing', 'white')
    expect(run('spamd.js', '--check', '--white-file', whiteFile)).toMatchObject({
      rc: 1,
      stderr: `spamd: cannot write ${whiteFile}: No such file or directory\nspamd: hint: the user of spamd must be able to write the folder of --white-file: ${join(folder, 'missing')}\n`,
    })
    const open = join(folder, 'open-to-all')
    mkdirSync(open)
    chmodSync(open, 0o777)
    environment.SPAMD_DB = join(open, 'db')
    expect(run('spamd.js', '--check')).toEqual({
      rc: 1,
      stdout: '',
      stderr: `spamd: open of ${environment.SPAMD_DB} failed (the folder can be written by every user)\nspamd: hint: run chmod o-w ${open}\n`,
    })
    environment.SPAMD_DB = join(folder, 'missing', 'missing', 'db')
    expect(run('spamd.js', '--check')).toEqual({
      rc: 1,
      stdout: '',
      stderr: `spamd: open of ${environment.SPAMD_DB} failed (No such file or directory)\nspamd: hint: create the folder first: install -d -m 0750 -o nobody ${join(folder, 'missing', 'missing')}\n`,
    })
    expect(run('spamd.js', '-b', '--check').rc).toBe(0)
  })

  test('--config-socket that cannot be opened stops --check and the start; the default one does not', async () => {
    const taken = join(folder, 'taken')
    writeFileSync(taken, 'precious')
    const refusals = [
      [taken, 'exists and is not a socket'],
      [
        join(folder, 'no', 'such', 'sock'),
        `No such file or directory\nspamd: hint: create its folder first: mkdir -p ${join(folder, 'no', 'such')}`,
      ],
      [join(taken, 'sock'), 'Not a directory'],
    ] as const
    for (const [path, reason] of refusals) {
      const wanted = { rc: 1, stdout: '', stderr: `spamd: cannot listen on ${path}: ${reason}\n` }
      expect(run('spamd.js', '--check', '--config-socket', path)).toEqual(wanted)
      expect(run('spamd.js', '-d', '--config-socket', path)).toEqual({
        ...wanted,
        stdout: expect.any(String) as string,
      })
    }
    expect(readFileSync(taken, 'latin1')).toBe('precious')
    const fresh = join(folder, 'made', 'sock')
    expect(run('spamd.js', '--check', '--config-socket', fresh)).toEqual({ rc: 0, stdout: '', stderr: '' })
    expect(existsSync(join(folder, 'made'))).toBe(false)
    environment.SPAMD_CONTROL_SOCKET = taken
    expect(run('spamd.js', '--check').rc).toBe(0)
    const { child } = await foreground('--foreground')
    expect(run('spamd.js', '--check', '--config-socket', fresh).rc).toBe(0)
    expect(await stop(child)).toBe(0)
  })

  test.skipIf(skipUnlessRoot('a folder in which nobody cannot write'))(
    'a folder of root, where the daemon cannot write (needs root), is told by --check and by the start',
    () => {
      environment.SPAMD_DB = join(folder, 'db')
      const wanted = {
        rc: 1,
        stdout: '',
        stderr: `spamd: open of ${environment.SPAMD_DB} failed (Permission denied)\nspamd: hint: the user nobody must be able to write the file and its folder: chown -h nobody ${folder} ${environment.SPAMD_DB}\n`,
      }
      expect(run('spamd.js', '--check')).toEqual(wanted)
      expect(run('spamd.js', '-d')).toEqual(wanted)
    },
  )

  test('connections of no daemon', () => {
    expect(run('spamdctl.js', 'connections')).toEqual({
      rc: 1,
      stdout: '',
      stderr: `spamdctl: cannot reach spamd at ${environment.SPAMD_CONTROL_SOCKET}: No such file or directory\nspamdctl: hint: is spamd running? if its socket is elsewhere, use --config-socket or SPAMD_CONTROL_SOCKET\n`,
    })
  })
})

describe('in the foreground', () => {
  test('-d prints what the original prints, and nothing of the log', async () => {
    const { child, output } = await foreground('-d', '-v', '-s', '0', '-S', '0')
    const client = await connect()
    client.send('HELO a.example\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n')
    await hears(client, '451 ')
    await waitFor(
      () => output().includes('connected for 0 seconds.'),
      () => output(),
    )
    expect(output().split('\n').sort()).toEqual(
      [
        '',
        '(GREY) 127.0.0.1: <a@b> -> <c@d>',
        '127.0.0.1 connected for 0 seconds.',
        '<a@b>',
        '<c@d>',
        'Got Grey HELO a.example, IP 127.0.0.1 from <a@b> to <c@d>',
        'a.example',
        'added  127.0.0.1',
        'listening for incoming connections.',
      ].sort(),
    )
    expect(await stop(child)).toBe(0)
  })

  test('--log-format json is one object a line with the facts apart', async () => {
    const { output } = await foreground('--foreground', '--log-format', 'json', '-s', '0', '-S', '0', '-v')
    const client = await connect()
    client.send('HELO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nQUIT\r\n')
    await hears(client, '221 ')
    await waitFor(
      () => output().includes('"event":"disconnected"'),
      () => output(),
    )
    const lines = output()
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
    expect(lines).toContainEqual(
      expect.objectContaining({
        program: 'spamd',
        level: 'info',
        event: 'recipient',
        ip: '127.0.0.1',
        from: '<a@b>',
        to: '<c@d>',
      }),
    )
    expect(lines).toContainEqual(expect.objectContaining({ event: 'disconnected', durationSec: 0 }))
  })

  test('sync-status tells what goes to and comes from the peers', async () => {
    const off = await foreground('--foreground')
    expect(run('spamdctl.js', 'sync-status')).toEqual({
      rc: 1,
      stdout: '',
      stderr: 'spamdctl: spamd runs without -Y and -y: nothing is synchronised\n',
    })
    await stop(off.child)
    const key = run('spamdctl.js', 'sync-key')
    const fingerprint = key.stdout.trimEnd().split(' ')[1]!
    environment.SPAMD_SYNC_PORT = String(await reservePort())
    await foreground('--foreground', '-s', '0', '-S', '0', '-y', '127.0.0.1', '-Y', '127.0.0.1')
    const client = await connect()
    client.send('HELO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n')
    await hears(client, '451 ')
    const status = await vi.waitFor(() => {
      const result = run('spamdctl.js', 'sync-status')
      expect(result).toMatchObject({ rc: 0, stderr: '' })
      expect(result.stdout).toContain('datagrams sent: 1\n')
      return result
    }, PATIENCE)
    expect(status.stdout.split('\n')).toEqual(
      expect.arrayContaining([
        `key: ${fingerprint}`,
        expect.stringMatching(/^listening on: 127\.0\.0\.1/),
        'peer: 127.0.0.1',
        'events announced: 1',
      ]),
    )
    const json: unknown = JSON.parse(run('spamdctl.js', 'sync-status', '--json').stdout)
    expect(json).toMatchObject({
      keyFingerprint: fingerprint,
      peers: [{ name: '127.0.0.1', address: '127.0.0.1' }],
      sent: { announced: 1, sent: 1, failed: 0 },
    })
  })

  test('SIGHUP reloads, SIGUSR1 tells, and both leave clients alone', async () => {
    const { child, output } = await foreground('--foreground', '-s', '0', '-S', '0')
    const client = await connect()
    await hears(client, '220 ')
    child.kill('SIGHUP')
    await waitFor(
      () => output().includes('reloaded'),
      () => output(),
    )
    child.kill('SIGUSR1')
    await waitFor(
      () => output().includes('statistics connections=1 '),
      () => output(),
    )
    client.send('QUIT\r\n')
    await hears(client, '221 ')
  })

  test('clients that come while it starts are not left waiting', async () => {
    const [{ child }, client] = await Promise.all([foreground('--foreground', '-s', '0'), firstGreeted()])
    expect(client.received).toMatch(/^220 /)
    expect(await stop(child)).toBe(0)
  })

  test.skipIf(skipUnless(existsSync('/dev/full'), 'this system has no /dev/full'))(
    'chatter and log lines that nobody takes are lost, not spamd',
    async () => {
      const full = openSync('/dev/full', 'w')
      for (const mode of ['-d', '--foreground']) {
        const child = spawn(process.execPath, [join(BIN, 'spamd.js'), mode, '-v', '-s', '0', '-S', '0'], {
          env: environment,
          stdio: ['ignore', full, full],
        })
        children.push(child)
        const client = await firstGreeted()
        client.send('HELO a.example\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n')
        await hears(client, '451 ')
        expect(await stop(child)).toBe(0)
      }
      closeSync(full)
    },
  )

  test.skipIf(skipUnless(process.platform === 'linux', 'the child is found in /proc of Linux'))(
    'the death of the unprivileged process is exit code 1, also when the log goes to syslog',
    async () => {
      const { child } = await foreground('-d')
      const ended = once(child, 'exit')
      process.kill(workerOf(child), 'SIGKILL')
      expect(await ended).toEqual([1, null])
    },
  )

  test.skipIf(skipUnless(process.platform === 'linux', 'the child is found in /proc of Linux'))(
    'without a free descriptor accepting pauses, and goes on later',
    async () => {
      // Limits of a process may be set from outside by its own user only.
      environment.SPAMD_USER = userInfo().username
      const { child, output } = await foreground('--foreground', '-s', '0', '-S', '0')
      const first = await connect()
      await hears(first, '220 ')
      const limit = (soft: number | string): Buffer =>
        execFileSync('prlimit', ['--pid', String(workerOf(child)), `--nofile=${soft}:`])
      // 0 to 2 are taken: whatever is open stays so, and nothing more can be opened.
      limit(3)
      await waitFor(
        () => output().includes('not accepting for 1 s: Too many open files'),
        () => output(),
      )
      first.send('NOOP\r\n')
      await hears(first, '250 2.0.0')
      limit(1024)
      // Clients that connect meanwhile may be dropped; sooner or later one is greeted.
      const endMs = performance.now() + 20_000
      let isGreeted = false
      while (!isGreeted) {
        if (performance.now() > endMs) throw new Error(`not accepting again: ${output()}`)
        const later = await connect().catch(() => undefined)
        isGreeted =
          later !== undefined &&
          (await hears(later, '220 ', 1_000).then(
            () => true,
            () => false,
          ))
        later?.close()
      }
      expect(output().split('not accepting')).toHaveLength(2)
    },
  )
})

/** Opens a listening socket as descriptor 3 and becomes the program, as a service manager does. */
const ACTIVATE = `
import os, socket, sys
listener = socket.create_server(('127.0.0.1', int(sys.argv[1])))
os.dup2(listener.fileno(), 3)
os.set_inheritable(3, True)
os.execv(sys.argv[2], sys.argv[2:])
`

test('--listen-fd takes over an inherited socket', async () => {
  const words = [join(BIN, 'spamd.js'), '--foreground', '-s', '0', '-S', '0', '--listen-fd', '3']
  const child = spawn('python3', ['-c', ACTIVATE, String(port), process.execPath, ...words], {
    env: environment,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  children.push(child)
  let text = ''
  child.stderr.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1')
  })
  await waitFor(
    () => text.includes('listening for incoming connections.'),
    () => text,
  )
  const client = await connect()
  await hears(client, '220 ')
  client.send('QUIT\r\n')
  await hears(client, '221 ')
})

test('in the background: the shell goes on when all is open, the pid file is there, a stop leaves nothing', async () => {
  const pidFile = join(folder, 'spamd.pid')
  // A relative path means the folder of the start to the end.
  expect(run('spamd.js', '--pid-file', 'spamd.pid', '-s', '0', '-S', '0')).toEqual({
    rc: 0,
    stdout: '',
    stderr: '',
  })
  backgroundPid = Number(readFileSync(pidFile, 'latin1'))
  const client = await connect()
  await hears(client, '220 ')
  const { stdout } = run('spamdctl.js', 'connections', '--json')
  expect(JSON.parse(stdout)).toEqual([
    expect.objectContaining({ ip: '127.0.0.1', class: 'GREY', state: 'helo' }),
  ])
  const taken = run('spamd.js', '--pid-file', pidFile)
  expect(taken.rc).toBe(1)
  expect(taken.stderr).toMatch(/^spamd: bind: Address already in use\n/)
  process.kill(backgroundPid, 'SIGTERM')
  await waitFor(
    () => !isAlive(backgroundPid!),
    () => 'the end of the daemon',
  )
  expect(existsSync(pidFile)).toBe(false)
  expect(existsSync(environment.SPAMD_CONTROL_SOCKET!)).toBe(false)
})
