import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { hasRelativePath } from '../../../src/platform/daemonize.js'
import { writePidFile } from '../../../src/platform/pid-file.js'
import { findUser } from '../../../src/platform/privileges.js'
import { PATIENCE } from '../../support/patience.js'
import { temporaryFolder } from '../../support/program-run.js'
import { skipUnless, skipUnlessRoot } from '../../support/skip-unless.js'

const parent = temporaryFolder('service')

const root = resolve(import.meta.dirname, '../../..')

/** Runs TypeScript text as a program of its own, with the source folder importable as SRC. */
function runScript(script: string, env: NodeJS.ProcessEnv = {}) {
  const folder = mkdtempSync(join(parent, 'service-'))
  const path = join(folder, 'script.ts')
  writeFileSync(path, script.replaceAll('SRC', join(root, 'src')))
  return spawnSync(process.execPath, ['--import', 'tsx', path], {
    cwd: root,
    env: { ...process.env, FOLDER: folder, ...env },
    encoding: 'utf8',
    timeout: 50_000,
  })
}

describe('startInBackground', () => {
  const script = (inBackground: string) => `
    import { isBackgroundProcess, reportReady, startInBackground } from 'SRC/platform/daemonize.ts'
    import { writeFileSync, writeSync } from 'node:fs'
    void (async () => {
      if (!isBackgroundProcess()) return process.exit(await startInBackground())
      ${inBackground}
    })()`

  test('ends with 0 once the background process is ready, which goes on without the terminal', async () => {
    const alive = join(mkdtempSync(join(parent, 'background-')), 'alive')
    const result = runScript(
      script(`writeSync(2, 'starting\\n'); reportReady(); writeSync(2, 'unseen\\n')
      writeFileSync('${alive}', process.cwd() + ' ' + isBackgroundProcess())`),
    )
    expect(result).toMatchObject({ status: 0, stderr: 'starting\n', stdout: '' })
    await vi.waitFor(() => expect(readFileSync(alive, 'utf8')).toBe('/ false'), PATIENCE)
  })

  test('ends with the exit code and the message of a background process that fails', () => {
    const result = runScript(
      script(`writeSync(2, 'spamd: bind: Address already in use\\n'); process.exit(3)`),
    )
    expect(result).toMatchObject({ status: 3, stderr: 'spamd: bind: Address already in use\n' })
  })

  test('a background process killed while starting is a failure', () => {
    expect(runScript(script(`process.kill(process.pid, 'SIGKILL')`)).status).toBe(1)
  })
})

test.each([
  [['/var/db/x', undefined], false],
  [['/var/db/x', 'x.pid'], true],
  [['./key'], true],
  [[], false],
])('hasRelativePath(%j) is %s', (paths, expected) => {
  expect(hasRelativePath(paths)).toBe(expected)
})

describe('writePidFile', () => {
  test('writes our id, and removes the file only while it is ours', () => {
    const path = join(mkdtempSync(join(parent, 'pid-')), 'spamd.pid')
    const remove = writePidFile(path)
    expect(readFileSync(path, 'utf8')).toBe(`${process.pid}\n`)
    writeFileSync(path, '1\n')
    remove()
    expect(existsSync(path)).toBe(true)
    writePidFile(path)()
    expect(existsSync(path)).toBe(false)
  })

  test('replaces a link instead of writing through it', () => {
    const folder = mkdtempSync(join(parent, 'pid-'))
    writeFileSync(join(folder, 'precious'), 'data')
    symlinkSync(join(folder, 'precious'), join(folder, 'spamd.pid'))
    writePidFile(join(folder, 'spamd.pid'))
    expect(readFileSync(join(folder, 'precious'), 'utf8')).toBe('data')
  })

  test.skipIf(skipUnlessRoot('pid files of root'))(
    'root writes none in a folder that others can write',
    () => {
      const folder = mkdtempSync(join(parent, 'pid-'))
      chmodSync(folder, 0o777)
      expect(() => writePidFile(join(folder, 'spamd.pid'))).toThrow(
        `cannot write pid file ${folder}/spamd.pid: ${folder} can be written by every user`,
      )
      expect(readdirSync(folder)).toEqual([])
    },
  )

  test('says why it cannot', () => {
    expect(() => writePidFile('/nonexistent/spamd.pid')).toThrow(
      'cannot write pid file /nonexistent/spamd.pid: No such file or directory',
    )
  })
})

describe('privileges', () => {
  test('finds root, and nobody by a name that does not exist', async () => {
    expect(await findUser('root')).toMatchObject({ name: 'root', uid: 0, gid: 0 })
    expect(await findUser('no-such-user-here')).toBeUndefined()
    expect(await findUser('--help')).toBeUndefined()
  })

  test.skipIf(skipUnlessRoot('only root becomes another user'))('dropping them is for good', () => {
    const result = runScript(`
      import { dropPrivileges, findUser } from 'SRC/platform/privileges.ts'
      void (async () => {
        dropPrivileges((await findUser('nobody'))!)
        let taken = true
        try { process.setuid!(0) } catch { taken = false }
        process.stdout.write(JSON.stringify([process.getuid!() > 0, process.getgroups!().includes(0), taken]))
      })()`)
    expect(result.stdout).toBe('[true,false,false]')
  })
})

describe('openLog', () => {
  const script = (format: string, toStderr: boolean) => `
    import { openLog } from 'SRC/platform/syslog.ts'
    void (async () => {
      const log = openLog({ program: 'spamd', format: '${format}', toStderr: ${toStderr} })
      log.log('info', '192.0.2.1: connected (1/0)', { ip: '192.0.2.1' })
      log.log('err', 'second')
      await log.flush()
      process.exitCode = 3
    })()`

  test('foreground: plain lines on stderr', () => {
    const result = runScript(script('classic', true), { JOURNAL_STREAM: undefined })
    expect(result.stderr).toBe('192.0.2.1: connected (1/0)\nsecond\n')
  })

  test('under systemd: with the level that journald reads', () => {
    const result = runScript(script('classic', true), { JOURNAL_STREAM: '8:1' })
    expect(result.stderr).toBe('<6>192.0.2.1: connected (1/0)\n<3>second\n')
  })

  test('json: one object a line', () => {
    const [first] = runScript(script('json', true), { JOURNAL_STREAM: undefined }).stderr.split('\n')
    expect(JSON.parse(first!)).toMatchObject({
      program: 'spamd',
      level: 'info',
      message: '192.0.2.1: connected (1/0)',
      ip: '192.0.2.1',
    })
  })

  test('syslog: a logger(1) that never reads keeps nobody, however much waits for it', () => {
    const folder = mkdtempSync(join(parent, 'logger-'))
    writeFileSync(join(folder, 'logger'), `#!/bin/sh\necho $$ >> ${folder}/pids\nexec sleep 1000\n`)
    chmodSync(join(folder, 'logger'), 0o755)
    const full = script('classic', false).replace(
      'await log.flush()',
      `for (let i = 0; i < 20_000; i += 1) log.log('err', 'x'.repeat(200))
      const startedMs = performance.now()
      await log.flush()
      process.stdout.write(String(Math.round(performance.now() - startedMs)))`,
    )
    const result = runScript(full, { PATH: `${folder}:${process.env.PATH}` })
    for (const pid of readFileSync(join(folder, 'pids'), 'utf8').trim().split('\n')) {
      process.kill(Number(pid), 'SIGKILL')
    }
    expect(result).toMatchObject({ status: 3, stderr: '' })
    expect(Number(result.stdout)).toBeLessThan(5_000)
  })

  test.skipIf(skipUnless(process.platform === 'linux', 'logger(1) is looked for in PATH on Linux'))(
    'syslog: through logger(1), facility daemon, tag with our id',
    () => {
      const folder = mkdtempSync(join(parent, 'logger-'))
      writeFileSync(join(folder, 'logger'), `#!/bin/sh\necho "$@" > ${folder}/args\ncat > ${folder}/lines\n`)
      chmodSync(join(folder, 'logger'), 0o755)
      const result = runScript(script('classic', false), { PATH: `${folder}:${process.env.PATH}` })
      // Exit code 3 comes behind the flush: the program must not end while logger(1) still takes lines.
      expect(result).toMatchObject({ status: 3, stderr: '' })
      expect(readFileSync(join(folder, 'lines'), 'utf8')).toBe('<30>192.0.2.1: connected (1/0)\n<27>second\n')
      expect(readFileSync(join(folder, 'args'), 'utf8')).toMatch(
        /^--tag spamd\[\d+\] --prio-prefix --size 8192\n$/,
      )
    },
  )

  test('a system without logger(1) loses log lines, not the program', () => {
    expect(runScript(script('classic', false), { PATH: '/nonexistent' }).status).toBe(3)
  })
})
