/** spamd-setup and spamdctl as they are installed: the built programs, each in a process of its own. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, openSync, watch } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type ConfigListener, startConfigListener } from '../support/setup/config-listener.js'

const BIN = join(import.meta.dirname, '../../bin')

let folder = ''
let listener: ConfigListener
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'setup-transcript-'))
  listener = await startConfigListener()
  await writeFile(join(folder, 'list'), '192.0.2.0/24\n2001:db8::1\n')
  await writeFile(join(folder, 'spamd.conf'), `all:a:\na:black:msg="x":file=${folder}/list:\n`)
})
afterEach(async () => {
  await listener.close()
  await rm(folder, { recursive: true, force: true, maxRetries: 3 })
})

interface Ended {
  rc: number | NodeJS.Signals | null
  stdout: string
  stderr: string
}

function start(program: string, args: string[]) {
  return spawn(process.execPath, [join(BIN, `${program}.js`), ...args], {
    cwd: folder,
    env: environment(),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

function environment(): NodeJS.ProcessEnv {
  return {
    PATH: process.env.PATH,
    SPAMD_CONF: join(folder, 'spamd.conf'),
    SPAMD_STATE_DIR: join(folder, 'state'),
    SPAMD_CFG_PORT: String(listener.port),
    SPAMD_FIREWALL: 'none',
    // Root stays root here; test/transcripts/setup-privileges.test.ts is about giving it up.
    SPAMD_FEED_USER: 'root',
  }
}

async function run(program: string, ...args: string[]): Promise<Ended> {
  const child = start(program, args)
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk) => {
    stdout += String(chunk)
  })
  child.stderr.on('data', (chunk) => {
    stderr += String(chunk)
  })
  const [exitCode, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
  return { rc: exitCode ?? signal, stdout, stderr }
}

test('a wrong call gets the usage line of the original and exit code 1', async () => {
  const wanted = {
    rc: 1,
    stdout: '',
    stderr: 'spamd-setup: unknown option -- x\nusage: spamd-setup [-bDdn]\n',
  }
  expect(await run('spamd-setup', '-x')).toEqual(wanted)
  expect(await run('spamdctl', 'setup', '-x')).toEqual(wanted)
})

test('help and version are results, and succeed', async () => {
  const help = await run('spamd-setup', '--help')
  expect(help).toMatchObject({ rc: 0, stderr: '' })
  expect(help.stdout).toContain('--accept-shrink')
  expect(await run('spamd-setup', '--version')).toMatchObject({
    rc: 0,
    stdout: expect.stringMatching(/^spamd-setup \(spamdctl\) \d+\.\d+\.\d+\n$/) as string,
  })
})

test('a dry run prints networks, and says nothing of a reader that has gone', async () => {
  expect(await run('spamd-setup', '-n', '--output', '-')).toEqual({
    rc: 0,
    stdout: '192.0.2.0/24\n2001:db8::1/128\n',
    stderr: '',
  })
  const lines = Array.from(
    { length: 100_000 },
    (_unused, index) => `10.${index >> 15}.${(index >> 7) & 255}.${(index & 127) * 2}\n`,
  )
  await writeFile(join(folder, 'list'), lines.join(''))
  const child = start('spamd-setup', ['-n', '--output', '-'])
  let stderr = ''
  child.stderr.on('data', (chunk) => {
    stderr += String(chunk)
  })
  child.stdout.once('data', () => child.stdout.destroy())
  expect(await once(child, 'close')).toEqual([null, 'SIGPIPE'])
  expect(stderr).toBe('')
})

const isRoot = process.getuid?.() === 0
if (!isRoot) process.stderr.write('skipped: only root may send from a port below 1024\n')

test.skipIf(!isRoot)('a run sends the list and can be looked at', async () => {
  expect(await run('spamd-setup', '-d')).toEqual({ rc: 0, stdout: '', stderr: 'blacklist a 2 entries\n' })
  expect(listener.connections).toEqual(['a;"x";inet;1;192.0.2.0/24;inet6;1;2001:db8::1/128\n'])
  const lists = await run('spamdctl', 'lists')
  expect(lists).toMatchObject({ rc: 0, stderr: '' })
  expect(lists.stdout).toMatch(/^list {2}colour {2}entries .*\na +black +2 {2}under 1 min /)
  const json = JSON.parse((await run('spamdctl', 'lists', '--json')).stdout) as unknown[]
  expect(json).toMatchObject([{ name: 'a', colour: 'black', method: 'file', entries: 2, lastError: null }])
})

test.skipIf(!isRoot)('messages that nothing can take do not stop a run', async () => {
  const full = openSync('/dev/full', 'w')
  try {
    const argv = [join(BIN, 'spamd-setup.js'), '-d']
    const child = spawn(process.execPath, argv, { env: environment(), stdio: ['ignore', 'ignore', full] })
    expect(await once(child, 'close')).toEqual([0, null])
  } finally {
    closeSync(full)
  }
  expect(listener.connections).toHaveLength(1)
})

test.skipIf(!isRoot)(
  '-D returns at once and finishes in the background, relative paths and all',
  async () => {
    const state = join(folder, 'state')
    await mkdir(state)
    const index = join(state, 'loaded.json')
    const written = new Promise<void>((resolve) => {
      const watcher = watch(state, () => {
        if (!existsSync(index)) return
        watcher.close()
        resolve()
      })
    })
    const relative = ['--conf', 'spamd.conf', '--state-dir', 'state']
    expect(await run('spamd-setup', '-D', ...relative)).toEqual({ rc: 0, stdout: '', stderr: '' })
    await written
    expect(listener.connections).toHaveLength(1)
  },
)
