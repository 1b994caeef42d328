/** spamd-setup when the machine itself fails: disks, processes, the packet filter. */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { acquireRunLock } from '../../../../src/db/file/run-lock.js'
import { startListServer } from '../../../support/list-server.js'
import { SetupScene } from '../../../support/setup/setup-scene.js'

const PROGRAM = join(import.meta.dirname, '../../../../bin/spamd-setup.js')
const isRoot = process.getuid?.() === 0
if (!isRoot) process.stderr.write('skipped: only root may send from a port below 1024\n')

describe.skipIf(!isRoot)('spamd-setup', () => {
  let scene: SetupScene
  beforeEach(async () => {
    scene = await SetupScene.create()
  })
  afterEach(() => scene.close())

  const network = (second: number) =>
    Array.from(
      { length: 20_000 },
      (_unused, index) => `11.${second}.${index >> 8}.${(index & 127) * 2}\n`,
    ).join('')

  test('killed at any moment, the next run finds a whole list or none', async () => {
    expect(existsSync(join(import.meta.dirname, '../../../../dist')), 'npm run build comes first').toBe(true)
    const contents = [network(1), network(2)]
    await scene.write('a', contents[0]!)
    await scene.configure([{ name: 'a', file: scene.path('a') }])
    const environment = {
      ...process.env,
      SPAMD_CONF: scene.path('spamd.conf'),
      SPAMD_STATE_DIR: scene.stateDir,
      SPAMD_CFG_PORT: String(scene.listener.port),
      SPAMD_FIREWALL: 'none',
      SPAMD_FEED_USER: 'root',
    }
    const wanted = new Map(
      await Promise.all(contents.map(async (text) => [text, await collapsed(text)] as const)),
    )
    const seen = new Set<string>()
    let killedCount = 0
    for (let round = 0; round < 24; round += 1) {
      const content = contents[round % 2]!
      await scene.write('a', content)
      const child = spawn(process.execPath, [PROGRAM], { env: environment, stdio: 'ignore' })
      const ended = once(child, 'exit')
      // The moment is the point of the test, not a wait for something.
      await Promise.race([pause(60 + round * 9), ended])
      child.kill('SIGKILL')
      const [exitCode] = (await ended) as [number | null]
      if (exitCode === null) killedCount += 1
      seen.add(wanted.get(content)!)
      const out = await scene.run(['-n', '--offline', '--output', '-'])
      if (out.rc !== 0) {
        expect(out.stderr).toContain('there is no last good copy')
        continue
      }
      expect(seen.has(out.stdout), 'the content of one of the runs so far').toBe(true)
    }
    expect(killedCount).toBeGreaterThan(0)
    expect((await scene.run()).rc).toBe(0)
    const left = execFileSync('ls', ['-A', scene.stateDir], { encoding: 'utf8' })
    expect(left).not.toContain('tmp')
  })

  test('a disk that is full while a copy is stored: the list is in force, the last good copy stays', async () => {
    await mkdir(scene.stateDir)
    execFileSync('/usr/bin/mount', ['-t', 'tmpfs', '-o', 'size=96k,mode=755', 'tmpfs', scene.stateDir])
    try {
      let isSmall = true
      const server = await startListServer((_request, response) =>
        response.end(isSmall ? '192.0.2.1\n192.0.2.3\n' : network(3)),
      )
      await scene.configure([{ name: 'a', method: 'http', file: `${server.host}/a` }])
      expect(await scene.run()).toMatchObject({ rc: 0, stderr: '' })
      const before = await scene.stateFile('a.list')
      isSmall = false
      const run = await scene.run(['--force', '--accept-growth'])
      await server.close()
      expect(run.rc).toBe(1)
      expect(run.stderr).toMatch(
        /^spamd-setup: Could not store blacklist a: cannot write .*\/a\.list: No space left on device; it is loaded, and the last good copy is kept\n/,
      )
      expect(run.sent[0]).toMatch(/^a;"SPAM %A";inet;20000;|^a;"SPAM %A";inet;\d+;11\.3\./)
      expect(await scene.stateFile('a.list')).toEqual(before)
      const offline = await scene.run(['--offline', '-n', '--output', '-'])
      expect(offline.stdout).toBe('192.0.2.1/32\n192.0.2.3/32\n')
    } finally {
      execFileSync('/usr/bin/umount', [scene.stateDir])
    }
  })

  test('a second run says who holds the lock, and waits when told to', async () => {
    await scene.configure([{ name: 'a', file: await scene.write('a', '192.0.2.1\n') }])
    await scene.run()
    const sleep = () => Promise.resolve()
    const lock = await acquireRunLock(join(scene.stateDir, 'run.lock'), {
      waitMs: 0,
      holder: 'process 4711',
      sleep,
    })
    expect(await scene.run()).toMatchObject({
      rc: 1,
      sent: [],
      stderr:
        'spamd-setup: another run is in progress: process 4711\nspamd-setup: hint: use --wait SECONDS to wait until it ends\n',
    })
    let pauses = 0
    const run = await scene.run(['--wait', '600'], {
      sleep: async () => {
        pauses += 1
        if (pauses === 2) lock.release()
      },
    })
    expect(run).toMatchObject({ rc: 0, stderr: '' })
    expect(pauses).toBe(2)
  })

  test("the lock of a killed run is nobody's", async () => {
    await scene.configure([{ name: 'a', file: await scene.write('a', '192.0.2.1\n') }])
    await scene.run()
    const script = `
      import { createRequire } from 'node:module'
      const Database = createRequire(${JSON.stringify(import.meta.url)})('better-sqlite3')
      new Database(${JSON.stringify(join(scene.stateDir, 'run.lock'))}).exec('BEGIN EXCLUSIVE')
      console.log('locked')
      setInterval(() => {}, 1000)`
    const holder = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await once(holder.stdout, 'data')
    expect((await scene.run()).stderr).toContain('another run is in progress')
    const ended = once(holder, 'exit')
    holder.kill('SIGKILL')
    await ended
    expect((await scene.run()).rc).toBe(0)
  })

  describe('the packet filter', () => {
    const entries = '192.0.2.1\n198.51.100.0/24\n'
    beforeEach(async () => {
      await scene.configure([{ name: 'a', file: await scene.write('a', entries) }])
    })
    const withFault = (fault: object) =>
      writeFile(
        scene.path('pfctl-state'),
        JSON.stringify({ tables: { spamd: ['203.0.113.9'] }, fault: { on: 'replace', ...fault } }),
      )

    test.each([
      {
        name: 'that is missing',
        fault: {},
        environment: { SPAMD_PFCTL: '/nonexistent/pfctl' },
        reason: /No such file/,
      },
      {
        name: 'that fails',
        fault: { exitCode: 255, stderr: 'pfctl: Operation not permitted.\n' },
        environment: {},
        reason: /Operation not permitted/,
      },
      {
        name: 'that is killed half-way',
        fault: { dieBy: 'SIGKILL', dieAfterBytes: 4 },
        environment: {},
        reason: /SIGKILL|killed|signal/,
      },
    ])(
      '$name is an error; spamd and the copies are up to date, the table is as it was',
      async ({ fault, environment, reason }) => {
        await withFault(fault)
        const run = await scene.run(['-b'], { environment })
        expect(run.rc).toBe(1)
        expect(run.stderr).toMatch(/^spamd-setup: cannot (replace|read) table spamd/)
        expect(run.stderr).toMatch(reason)
        expect(run.sent).toEqual(['a;"SPAM %A";inet;2;192.0.2.1/32;198.51.100.0/24\n'])
        expect(scene.table()).toEqual(['203.0.113.9'])
        expect(existsSync(join(scene.stateDir, 'a.list'))).toBe(true)
      },
    )

    test('a table that would not fit is refused with the line to add', async () => {
      await writeFile(
        scene.path('pfctl-state'),
        JSON.stringify({ tables: {}, limits: { 'table-entries': 1 } }),
      )
      const run = await scene.run(['-b'])
      expect(run.rc).toBe(1)
      expect(run.stderr).toContain('set limit table-entries')
    })
  })

  test('a list of five million lines comes through, in bounded pieces', async () => {
    const server = await startListServer((_request, response) => {
      let block = 0
      const writeBlock = (): void => {
        while (block < 5_000) {
          let text = ''
          for (let line = 0; line < 1_000; line += 1) {
            const value = (block * 1_000 + line) * 797
            text += `${(value >>> 24) + 1}.${(value >>> 16) & 255}.${(value >>> 8) & 255}.${value & 255}\n`
          }
          block += 1
          if (!response.write(text)) {
            response.once('drain', writeBlock)
            return
          }
        }
        response.end()
      }
      writeBlock()
    })
    try {
      await scene.configure([{ name: 'a', method: 'http', file: `${server.host}/a` }])
      const run = await scene.run(['-n', '--json', '--output', scene.path('out')])
      expect(run.rc).toBe(0)
      expect(JSON.parse(run.stdout)).toMatchObject({ lists: [{ entries: 5_000_000, unknownLines: 0 }] })
      expect((await readFile(scene.path('out'))).length).toBeGreaterThan(50_000_000)
    } finally {
      await server.close()
    }
  })
})

/** The networks of a text, as a dry run over a file prints them. */
async function collapsed(text: string): Promise<string> {
  const other = await SetupScene.create({ hasSpamd: false })
  try {
    await other.configure([{ name: 'a', file: await other.write('a', text) }])
    return (await other.run(['-n', '--output', '-'])).stdout
  } finally {
    await other.close()
  }
}
