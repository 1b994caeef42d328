/**
 * What spamd-setup does with root, and what users that are less than root can make of it: the built program as root,
 * which becomes `nobody`, in folders of a hostile user.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { PATIENCE } from '../support/patience.js'
import { type ConfigListener, startConfigListener } from '../support/setup/config-listener.js'

const BIN = join(import.meta.dirname, '../../bin/spamd-setup.js')
const STAND_IN = join(import.meta.dirname, '../support/pfctl-stand-in.js')
/** Nobody in particular: `_spamd` taken over by an attacker. */
const HOSTILE_UID = 54_321
const NOBODY_UID = 65_534

const isRoot = process.getuid?.() === 0
if (!isRoot) process.stderr.write('skipped: only root can give root up\n')

let folder = ''
let listener: ConfigListener
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'setup-privileges-'))
  chmodSync(folder, 0o755)
  listener = await startConfigListener()
  await writeFile(join(folder, 'list'), '192.0.2.0/24\n')
  await configure(`a:black:msg="x":file=${folder}/list:`)
})
afterEach(async () => {
  await listener.close()
  await rm(folder, { recursive: true, force: true, maxRetries: 3 })
})

function configure(...records: string[]): Promise<void> {
  const names = records.map((record) => record.split(':', 1)[0])
  return writeFile(join(folder, 'spamd.conf'), `all:${names.join(':')}:\n${records.join('\n')}\n`)
}

interface Ended {
  rc: number | null
  stdout: string
  stderr: string
}

function environmentOf(changes: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return {
    PATH: process.env.PATH,
    SPAMD_CONF: join(folder, 'spamd.conf'),
    SPAMD_STATE_DIR: join(folder, 'state'),
    SPAMD_CFG_PORT: String(listener.port),
    SPAMD_FIREWALL: 'none',
    SPAMD_FEED_USER: 'nobody',
    ...changes,
  }
}

async function run(args: string[] = [], changes: NodeJS.ProcessEnv = {}): Promise<Ended> {
  const child = spawn(process.execPath, [BIN, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: environmentOf(changes),
  })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk) => {
    stdout += String(chunk)
  })
  child.stderr.on('data', (chunk) => {
    stderr += String(chunk)
  })
  const [rc] = (await once(child, 'close')) as [number | null]
  return { rc, stdout, stderr }
}

/** A command for method exec. */
async function script(name: string, text: string): Promise<string> {
  const path = join(folder, name)
  await writeFile(path, `#!/bin/sh\n${text}\n`, { mode: 0o755 })
  return path
}

describe.skipIf(!isRoot)('root is given up', () => {
  test('before the state is touched; lists arrive from a reserved port all the same', async () => {
    expect(await run()).toEqual({ rc: 0, stdout: '', stderr: '' })
    expect(listener.connections).toEqual(['a;"x";inet;1;192.0.2.0/24\n'])
    expect(listener.hasReservedPortsOnly()).toBe(true)
    const state = join(folder, 'state')
    for (const path of [state, ...readdirSync(state).map((name) => join(state, name))]) {
      expect([path, lstatSync(path).uid]).toEqual([path, NOBODY_UID])
    }
    // Once more, and after an earlier version's run as root.
    expect(await run()).toMatchObject({ rc: 0, stderr: '' })
    for (const path of [state, ...readdirSync(state).map((name) => join(state, name))]) chownSync(path, 0, 0)
    expect(await run()).toMatchObject({ rc: 0, stderr: '' })
    expect(lstatSync(state).uid).toBe(NOBODY_UID)
  })

  test('before a list server is asked, in all of the process', async () => {
    let uids = ''
    const look = async (response: ServerResponse): Promise<void> => {
      // The only process of this configuration file.
      for (const pid of readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name))) {
        const environment = await readFile(`/proc/${pid}/environ`, 'latin1').catch(() => '')
        if (!environment.includes(`SPAMD_CONF=${join(folder, 'spamd.conf')}`)) continue
        uids += /^Uid:.*$/m.exec(await readFile(`/proc/${pid}/status`, 'latin1'))?.[0] ?? ''
      }
      // Nobody's gateway: own addresses are cut from downloads.
      response.end('44.128.9.9\n')
    }
    const server = createServer((_request, response) => void look(response)).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    await configure(`a:black:msg="x":method=http:file=127.0.0.1\\c${port}/:`)
    expect(await run()).toMatchObject({ rc: 0, stderr: '' })
    server.close()
    expect(uids).toBe(`Uid:${`\t${NOBODY_UID}`.repeat(4)}`)
  })

  test('and commands run as that user with a clean environment, but for :as_root:', async () => {
    const show = await script('show', 'id -u >&2; env >&2; pwd >&2; echo 192.0.2.1')
    await configure(`a:black:msg="x":method=exec:file=${show}:`)
    const plain = await run([], { SECRET: 'x', LANG: 'C.UTF-8', HOME: '/root' })
    expect(plain.rc).toBe(0)
    const lines = plain.stderr.trimEnd().split('\n')
    expect(lines[0]).toBe(String(NOBODY_UID))
    const names = lines.map((line) => line.split('=', 1)[0]!)
    expect(names.filter((name) => /^[A-Z]+$/.test(name)).sort()).toEqual(
      expect.arrayContaining(['HOME', 'LANG', 'PATH']),
    )
    expect(names).not.toContain('SECRET')
    expect(names).not.toContain('SPAMD_CONF')
    expect(lines).not.toContain('HOME=/root')
    expect(lines.at(-1)).toBe('/')
    await configure(`a:black:msg="x":method=exec:file=${show}:as_root:`)
    expect((await run()).stderr.split('\n', 1)).toEqual(['0'])
    expect(listener.connections).toHaveLength(2)
  })

  test('and a file that only root may read needs :as_root:', async () => {
    chmodSync(join(folder, 'list'), 0o600)
    expect(await run()).toMatchObject({
      rc: 1,
      stderr: expect.stringContaining(
        `Can't open ${folder}/list by file method: Permission denied\n`,
      ) as string,
    })
    await configure(`a:black:msg="x":file=${folder}/list:as_root:`)
    expect(await run()).toMatchObject({ rc: 0, stderr: '' })
    expect(listener.connections).toEqual(['a;"x";inet;1;192.0.2.0/24\n'])
  })

  test('and the packet filter is left to a part that keeps it', async () => {
    const table = join(folder, 'pfctl-state')
    const seen = join(folder, 'uid')
    // A pfctl that also tells whose it is.
    const pfctl = await script('pfctl', `id -u > ${seen}; exec ${process.execPath} ${STAND_IN} "$@"`)
    const environment = {
      SPAMD_FIREWALL: 'pf',
      SPAMD_PFCTL: pfctl,
      PFCTL_STATE: table,
      PFCTL_CALLS: `${table}-calls`,
    }
    expect(await run(['-b'], environment)).toEqual({ rc: 0, stdout: '', stderr: '' })
    expect(await readFile(seen, 'latin1')).toBe('0\n')
    expect(await readFile(table, 'latin1')).toContain('192.0.2.0/24')
    const preview = await run(['-b', '-n', '-d'], environment)
    expect(preview.stdout).toContain('table spamd: 0 would be added, 0 removed, 1 unchanged\n')
    // What goes wrong there reaches us.
    await writeFile(pfctl, '#!/bin/sh\necho "pfctl: /dev/pf: Permission denied" >&2\nexit 1\n')
    await writeFile(join(folder, 'list'), '198.51.100.0/24\n')
    expect(await run(['-b'], environment)).toMatchObject({
      rc: 1,
      stderr: expect.stringContaining('Permission denied') as string,
    })
  })

  test('not where the user is missing: one warning, and all works as it did', async () => {
    const { rc, stderr } = await run([], { SPAMD_FEED_USER: '', SPAMD_USER: 'nobody' })
    expect(rc).toBe(0)
    // Where the machine has the user there is nothing to warn about.
    const passwd = await readFile('/etc/passwd', 'latin1')
    if (!passwd.includes('_spamdfeed:')) {
      expect(stderr).toMatch(
        /^spamd-setup: warning: no such user _spamdfeed: .*\nspamd-setup: hint: create it: .*\n$/,
      )
    }
    expect(listener.connections).toHaveLength(1)
    expect(await run(['--user', 'no-such-user-here'])).toMatchObject({
      rc: 1,
      stderr: expect.stringContaining('no such user no-such-user-here') as string,
    })
  })
})

describe.skipIf(!isRoot)('a signal', () => {
  /** Runs until `reached` is there, then sends the signal; resolves with the signal that ended it. */
  async function runUntil(
    reached: string,
    signal: NodeJS.Signals,
    args: string[],
    changes: NodeJS.ProcessEnv,
  ) {
    const child = spawn(process.execPath, [BIN, ...args], {
      stdio: 'ignore',
      env: environmentOf(changes),
    })
    const ended = once(child, 'exit')
    await vi.waitFor(() => expect(existsSync(reached)).toBe(true), PATIENCE)
    child.kill(signal)
    return (await ended)[1] as NodeJS.Signals | null
  }

  /** Not for what has ended and only waits to be noticed by an init that sleeps. */
  const isThere = (pid: number): boolean =>
    existsSync(`/proc/${pid}`) && !/^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'))

  test.each(['SIGTERM', 'SIGQUIT', 'SIGXCPU'] as const)(
    '%s ends a command that takes no notice of it, too',
    async (signal) => {
      chmodSync(folder, 0o777)
      const at = join(folder, 'pid')
      const feed = await script(
        'feed',
        `trap '' TERM HUP INT QUIT; echo $$ > ${at}.new; mv ${at}.new ${at}; sleep 1000`,
      )
      await configure(`a:black:msg="x":method=exec:file=${feed}:`)
      expect(await runUntil(at, signal, [], {})).toBe(signal)
      const pid = Number(await readFile(at, 'latin1'))
      await vi.waitFor(() => expect(isThere(pid)).toBe(false), PATIENCE)
    },
  )

  test('that ends it leaves a pfctl that is under way its time, and one process that keeps it', async () => {
    const [at, go, seen] = ['pid', 'go', 'seen'].map((name) => join(folder, name)) as [string, string, string]
    const wait = `while [ ! -e ${go} ]; do sleep 0.05; done`
    // Longer than a helper that goes at once would take.
    const look =
      'for i in 1 2 3 4 5 6; do ! grep -q "^State:.Z" /proc/$PPID/status || exit 1; sleep 0.05; done;'
    const pfctl = await script(
      'pfctl',
      `[ "$1" = -sm ] || { echo $PPID > ${at}.new; mv ${at}.new ${at}; ${wait}; ${look} : > ${seen}; }`,
    )
    const environment = { SPAMD_FIREWALL: 'pf', SPAMD_PFCTL: pfctl }
    expect(await runUntil(at, 'SIGTERM', ['-b'], environment)).toBe('SIGTERM')
    const helper = Number(await readFile(at, 'latin1'))
    await writeFile(go, '')
    await vi.waitFor(() => expect(existsSync(seen)).toBe(true), PATIENCE)
    await vi.waitFor(() => expect(isThere(helper)).toBe(false), PATIENCE)
  })
})

describe.skipIf(!isRoot)('a hostile _spamd', () => {
  /** A folder of root's whose files nobody else may touch. */
  function precious(): string {
    const path = join(folder, 'precious')
    mkdirSync(path, { mode: 0o755 })
    writeFileSync(join(path, 'a.list'), 'precious\n')
    writeFileSync(join(path, 'secret'), '198.51.100.66\n', { mode: 0o600 })
    return path
  }
  const contentOf = (path: string): string =>
    readdirSync(path)
      .map((name) => `${name} ${lstatSync(join(path, name)).uid} ${lstatSync(join(path, name)).mtimeMs}`)
      .join('\n')

  /** Its own folder, as /var/lib/spamd was. */
  function hostileFolder(): string {
    const path = join(folder, 'spamd')
    mkdirSync(path)
    chownSync(path, HOSTILE_UID, HOSTILE_UID)
    return path
  }

  for (const [who, user] of [
    ['given up', 'nobody'],
    ['kept', 'root'],
  ] as const) {
    test(`puts a link in place of the state folder: nothing is written through it, root ${who}`, async () => {
      const target = precious()
      const before = contentOf(target)
      const state = join(hostileFolder(), 'lists')
      symlinkSync(target, state)
      const { rc, stderr } = await run([], { SPAMD_STATE_DIR: state, SPAMD_FEED_USER: user })
      expect(rc).toBe(1)
      expect(stderr).toContain(state)
      expect(contentOf(target)).toBe(before)
      expect(lstatSync(target).uid).toBe(0)
    })

    test(`links files in a state folder of its own: nothing is written or read through them, root ${who}`, async () => {
      const target = precious()
      const before = contentOf(target)
      const state = join(hostileFolder(), 'lists')
      mkdirSync(state, { mode: 0o777 })
      chownSync(state, HOSTILE_UID, HOSTILE_UID)
      for (const name of ['a.list', 'a.line', 'a.state', 'loaded.json', 'run.lock', 'run.lock.holder']) {
        symlinkSync(join(target, name), join(state, name))
      }
      const { rc } = await run([], { SPAMD_STATE_DIR: state, SPAMD_FEED_USER: user })
      expect(rc).toBe(1)
      expect(contentOf(target)).toBe(before)
    })
  }

  test('cannot have a list file of root read by way of a link', async () => {
    const target = precious()
    const link = join(hostileFolder(), 'list')
    symlinkSync(join(target, 'secret'), link)
    await configure(`a:black:msg="x":file=${link}:`)
    expect(await run()).toMatchObject({
      rc: 1,
      stderr: expect.stringContaining('Permission denied') as string,
    })
    expect(listener.connections).toEqual([])
  })

  test('links files into the folder of the unprivileged user: none is followed', async () => {
    expect(await run()).toMatchObject({ rc: 0 })
    const target = precious()
    const state = join(folder, 'state')
    await cp(join(state, 'loaded.json'), join(target, 'loaded.json'))
    const before = contentOf(target)
    for (const name of ['loaded.json', 'a.list', 'a.line', 'a.state']) {
      await rm(join(state, name))
      symlinkSync(join(target, name), join(state, name))
    }
    await run(['-n', '-d'])
    expect(await run()).toMatchObject({ rc: 1, stderr: expect.stringContaining(state) as string })
    expect(contentOf(target)).toBe(before)
  })
})
