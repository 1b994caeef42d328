/** The scripts of rc.d, driven through stand-ins of rc.subr with the programs as built: a day in the life of each. */
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { reservePort } from '../support/reserve-port.js'
import { TestClient } from '../support/spamd/test-client.js'
import { waitFor } from '../support/spamd/wait-for.js'

const ROOT = join(import.meta.dirname, '../..')
const NODE_FOLDER = dirname(process.execPath)
let folder: string
let port: number
let environment: Record<string, string>

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'spamd-rc-'))
  chmodSync(folder, 0o755)
  mkdirSync(join(folder, 'bin'))
  for (const name of ['spamd', 'spamlogd'])
    symlinkSync(join(ROOT, `bin/${name}.js`), join(folder, 'bin', name))
  port = await reservePort()
  environment = {
    PATH: `/usr/sbin:/usr/bin:/sbin:/bin`,
    FLAGS: '-s 0 -S 0 -h "mx one.example"',
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
})
afterEach(() => {
  spawnSync('pkill', ['-KILL', '-f', folder])
  rmSync(folder, { recursive: true, force: true })
})

/** Runs one action of the shipped script, with this folder in place of /usr/local and /var/run. */
function act(
  system: string,
  action: string,
  name = 'spamdctl_spamd',
): { code: number | null; output: string } {
  const script = readFileSync(join(ROOT, `docs/examples/${system}/rc.d/${name}`), 'utf8')
    .replace(/\/etc\/(rc\.d\/)?rc\.subr/, join(ROOT, `test/stand-ins/rc-subr/${system}.sh`))
    .replaceAll('/usr/local/bin/node', `${NODE_FOLDER}/node`)
    .replaceAll('(/usr/local/bin/)?node(', `(${NODE_FOLDER}/)?node(`)
    .replaceAll('/usr/local/bin/spamd', join(folder, 'bin/spamd'))
    .replaceAll('/var/run', folder)
  const path = join(folder, 'script')
  writeFileSync(path, script)
  // The daemon keeps what it inherits: a pipe would hold this call until it ends.
  const log = join(folder, 'output')
  const { status } = spawnSync('sh', ['-c', `exec sh "$0" "$1" >"$2" 2>&1`, path, action, log], {
    env: environment,
    cwd: '/',
    stdio: 'ignore',
  })
  return { code: status, output: readFileSync(log, 'latin1') }
}

async function banner(): Promise<string> {
  const client = await TestClient.open({ host: '127.0.0.1', port })
  await waitFor(
    () => client.received.includes('\r\n'),
    () => `a banner: ${client.received}`,
  )
  client.close()
  return client.received
}

describe.each([
  { system: 'openbsd', state: 'check' },
  { system: 'freebsd', state: 'status' },
])('spamdctl_spamd of $system', ({ system, state }) => {
  test('starts, is found, reloads, goes on, stops; a second start and a second stop harm nothing', async () => {
    expect(act(system, state).code).toBe(1)
    expect(act(system, 'start')).toMatchObject({ code: 0 })
    expect(act(system, state)).toMatchObject({ code: 0 })
    // Quoted flags reach the daemon as one word.
    expect(await banner()).toContain('220 mx one.example')
    expect(act(system, 'reload')).toMatchObject({ code: 0 })
    expect(await banner()).toContain('220 mx one.example')
    act(system, 'start')
    expect(act(system, state).code).toBe(0)
    expect(act(system, 'stop').code).toBe(0)
    expect(act(system, state).code).toBe(1)
    act(system, 'stop')
    await expect(TestClient.open({ host: '127.0.0.1', port })).rejects.toThrow(/ECONNREFUSED/)
  }, 60_000)

  test('does not start, and says why, when the flags are wrong', () => {
    environment.FLAGS = '-s 99'
    expect(act(system, 'configtest')).toMatchObject({ code: 1 })
    expect(act(system, 'start').code).not.toBe(0)
    expect(act(system, state).code).toBe(1)
  }, 60_000)
})

describe('pulls of a BSD', () => {
  /** Puts stand-ins of programs first in PATH, each of which notes its words. */
  function standIns(scripts: Record<string, string>): () => string[] {
    const notes = join(folder, 'notes')
    writeFileSync(notes, '')
    for (const [name, text] of Object.entries(scripts)) {
      const path = join(folder, 'bin', name)
      writeFileSync(path, `#!/bin/sh\necho ${name} "$@" >>${notes}\n${text}\n`)
      chmodSync(path, 0o755)
    }
    return () => readFileSync(notes, 'utf8').split('\n').slice(0, -1)
  }

  /** The script for cron, rc.local and rc.d, as `spamdctl init` writes it, with this folder's places. */
  function pullPeers(...words: string[]): number | null {
    const text = readFileSync(join(ROOT, 'docs/examples/spamd-pull-peers'), 'utf8')
      .replace('PATH=', `PATH=${join(folder, 'bin')}:`)
      .replace('database=/var/db/spamdctl', `database=${folder}`)
      .replace(/^peers=$/m, 'peers=172.16.0.2')
    writeFileSync(join(folder, 'pull-peers'), text)
    return spawnSync('sh', [join(folder, 'pull-peers'), ...words], { cwd: '/', stdio: 'ignore' }).status
  }

  test('at boot it pulls; by cron only when spamd has told of a gap', () => {
    const noted = standIns({ spamdctl: 'exit 3' })
    expect(pullPeers('gap')).toBe(0)
    expect(noted()).toEqual([])
    writeFileSync(join(folder, 'spamd.sqlite-sync-gap'), '')
    expect(pullPeers('gap')).toBe(3)
    expect(pullPeers()).toBe(3)
    const call = 'spamdctl pull --since --ssh-config /etc/spamd/ssh_config 172.16.0.2'
    expect(noted()).toEqual([call, call])
  })

  test('FreeBSD: demoted from before the network is up until the pull has ended, whatever came of it', () => {
    const kept = join(folder, 'kenv')
    const noted = standIns({
      su: 'exit 1',
      sysctl: '',
      // kenv(1): -q NAME asks, -u NAME forgets, NAME=VALUE sets.
      kenv: `case $1 in -q) test -e ${kept} ;; -u) rm ${kept} ;; *) touch ${kept} ;; esac`,
    })
    environment.PATH = `${join(folder, 'bin')}:${environment.PATH}`
    expect(act('freebsd', 'start', 'spamdctl_hold').code).toBe(0)
    expect(act('freebsd', 'start', 'spamdctl_hold').code).toBe(0)
    const changes = () => noted().filter((line) => /^sysctl net|^su /.test(line))
    expect(changes()).toEqual(['sysctl net.inet.carp.demotion=240'])
    const pulled = act('freebsd', 'start', 'spamdctl_pull')
    expect(pulled).toMatchObject({ code: 0, output: expect.stringContaining('not in step') })
    act('freebsd', 'start', 'spamdctl_pull')
    const pull = 'su -m _spamd -c sh /usr/local/etc/spamd/pull-peers'
    // The second time there was nothing to give back.
    expect(changes()).toEqual([
      'sysctl net.inet.carp.demotion=240',
      pull,
      'sysctl net.inet.carp.demotion=-240',
      pull,
    ])
  })

  test('FreeBSD: without CARP nothing is demoted', () => {
    const noted = standIns({ sysctl: 'exit 1', kenv: 'exit 1' })
    environment.PATH = `${join(folder, 'bin')}:${environment.PATH}`
    expect(act('freebsd', 'start', 'spamdctl_hold').code).toBe(0)
    expect(noted()).toEqual(['sysctl -n net.inet.carp.demotion'])
  })
})
