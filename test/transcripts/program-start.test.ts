/** What the programs say before any of ours runs, and what must not happen meanwhile. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { reservePort } from '../support/reserve-port.js'

const ROOT = resolve(import.meta.dirname, '../..')
const PROGRAMS = ['spamdctl', 'spamdb', 'spamlogd', 'spamd-setup', 'spamd']
const folder = mkdtempSync(join(tmpdir(), 'program-start-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

test.each(PROGRAMS)('%s in a checkout that is not built: one line, and the command that helps', (program) => {
  cpSync(join(ROOT, 'bin'), join(folder, 'bin'), { recursive: true })
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(folder, 'bin', `${program}.js`)], {
    encoding: 'utf8',
  })
  expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
  expect(stderr).toMatch(
    new RegExp(
      `^${program}: (the programs are not built|the package \\S+ is missing)\\n${program}: hint: run "npm run setup" in ${folder}\\n$`,
    ),
  )
})

test.each(['spamdctl', 'spamd'])('%s that was updated and not built again: one line, no stack', (program) => {
  const older = mkdtempSync(join(folder, 'older-'))
  cpSync(join(ROOT, 'bin'), join(older, 'bin'), { recursive: true })
  for (const path of ['cli/oclif-program.js', 'programs/spamd.js']) {
    mkdirSync(join(older, 'dist/src', dirname(path)), { recursive: true })
    writeFileSync(join(older, 'dist/src', path), 'exports.guardStandardOutput = () => {}\n')
  }
  const { status, stderr } = spawnSync(process.execPath, [join(older, 'bin', `${program}.js`)], {
    encoding: 'utf8',
  })
  expect({ status, stderr }).toEqual({
    status: 1,
    stderr: `${program}: the programs were built from other sources\n${program}: hint: run "npm run setup" in ${older}\n`,
  })
})

const ports = (await Promise.all([reservePort(), reservePort()])).map(String)

describe('a native module that was built for another Node', () => {
  const other = join(folder, 'other')
  const DB = ['--db', join(other, 'db.sqlite')]
  // Ports that any user may bind.
  const PORTS = ['-p', ports[0]!, '--cfg-port', ports[1]!]
  beforeAll(() => {
    for (const part of ['bin', 'dist', 'package.json', 'oclif.manifest.json'])
      cpSync(join(ROOT, part), join(other, part), { recursive: true })
    mkdirSync(join(other, 'node_modules'))
    for (const name of readdirSync(join(ROOT, 'node_modules')))
      symlinkSync(join(ROOT, 'node_modules', name), join(other, 'node_modules', name))
    const sqlite = join(other, 'node_modules/better-sqlite3')
    rmSync(sqlite)
    cpSync(join(ROOT, 'node_modules/better-sqlite3'), sqlite, { recursive: true })
    rmSync(join(sqlite, 'build'), { recursive: true })
    mkdirSync(join(sqlite, 'build/Release'), { recursive: true })
    writeFileSync(join(sqlite, 'build/Release/better_sqlite3.node'), 'of another Node')
    const made = spawnSync(process.execPath, [join(ROOT, 'bin/spamdctl.js'), 'init-db', ...DB])
    expect(made.status).toBe(0)
  })

  test.each([
    ['spamdctl', ['check-db', ...DB]],
    ['spamdb', DB],
    ['spamlogd', ['-D', '-r', join(ROOT, 'docs/examples/sample.pcap'), ...DB]],
    ['spamd-setup', ['--offline', '--conf', '/dev/null', '--state-dir', join(other, 'state')]],
    ['spamd', ['--check', '--firewall', 'none', '--user', userInfo().username, ...PORTS, ...DB]],
  ])('%s: one line that says so, and the command that helps', (program, args) => {
    const { status, stderr } = spawnSync(process.execPath, [join(other, 'bin', `${program}.js`), ...args], {
      encoding: 'utf8',
      timeout: 30_000,
    })
    expect(status).toBe(1)
    const lines = stderr.split('\n').filter((line) => line !== '' && !line.includes(': warning: '))
    expect(lines.filter((line) => line.includes('better-sqlite3 was not built for this Node'))).toHaveLength(
      1,
    )
    expect(lines).toContain(`${program}: hint: run "npm rebuild better-sqlite3" in ${other}`)
    expect(stderr).not.toMatch(/^ +at /m)
  })
})

/** Sends SIGUSR1 from the moment at which the process is a Node; what it said on stderr. */
async function storm(program: string, args: string[]): Promise<string> {
  const child = spawn(join(ROOT, 'bin', `${program}.js`), args, { stdio: ['ignore', 'ignore', 'pipe'] })
  let stderr = ''
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString('latin1')
  })
  const ended = once(child, 'close')
  let isOver = false
  void ended.then(() => {
    isOver = true
  })
  while (!isOver && !isNode(child.pid!)) await sleep(1)
  for (let count = 0; count < 400 && !isOver; count += 1) {
    child.kill('SIGUSR1')
    await sleep(1)
  }
  child.kill('SIGKILL')
  await ended
  return stderr
}

function isNode(pid: number): boolean {
  try {
    return /node/.test(readlinkSync(`/proc/${pid}/exe`))
  } catch {
    return false
  }
}

const isLinux = existsSync('/proc/self/exe')
if (!isLinux) process.stdout.write('skipped: the storm of SIGUSR1 needs /proc\n')

describe.skipIf(!isLinux)('SIGUSR1 without end during the start', () => {
  test.each(['spamd', 'spamlogd', 'spamdctl', 'spamd-setup'])(
    '%s: the inspector never listens',
    async (program) => {
      const args =
        program === 'spamlogd' ? ['-r', '-'] : program === 'spamdctl' ? ['help', 'spamd'] : ['--help']
      for (let attempt = 0; attempt < 3; attempt += 1) {
        expect(await storm(program, args)).not.toContain('Debugger listening')
      }
    },
  )
})

/** What a program of Node would take for a channel to whoever started it, and for being one of a cluster. */
test.each(['spamd', 'spamlogd', 'spamdctl', 'spamd-setup'])(
  '%s: variables of Node that a shell passed on',
  (program) => {
    const path = join(ROOT, 'bin', `${program}.js`)
    const { status, stdout } = spawnSync(path, ['--version'], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, NODE_CHANNEL_FD: '0', NODE_CHANNEL_SERIALIZATION_MODE: 'advanced' },
      encoding: 'utf8',
    })
    expect([status, stdout]).toEqual([0, expect.stringContaining('spamdctl')])
    // A member of a cluster would wait for its leader when it listens.
    expect(readFileSync(path, 'latin1').split('\n')[1]).toContain('unset NODE_UNIQUE_ID ')
  },
)

const analyze = spawnSync('systemd-analyze', ['--version'], { encoding: 'utf8' })
const hasAnalyze = analyze.status === 0
if (!hasAnalyze) process.stdout.write('skipped: the exposure of the units needs systemd-analyze\n')

test.skipIf(!hasAnalyze).each(['spamd', 'spamlogd', 'spamd-setup'])(
  '%s.service: an exposure of at most 2.5',
  (unit) => {
    const path = join(ROOT, 'docs/examples/systemd', `${unit}.service`)
    const { status, stdout } = spawnSync(
      'systemd-analyze',
      ['security', '--offline=true', '--no-pager', '--threshold=25', path],
      { encoding: 'utf8' },
    )
    expect(status, stdout).toBe(0)
  },
)
