import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { mayUseIoUring } from '../../../src/platform/user-ids.js'

const ROOT = join(import.meta.dirname, '../../..')
const isRoot = process.getuid?.() === 0
if (!isRoot) process.stderr.write('test/unit/platform/user-ids: changing users is skipped: not root\n')

describe('mayUseIoUring', () => {
  test.each([
    ['1.44.2', undefined, false],
    ['1.44.2', '1', false],
    ['1.45.0', undefined, true],
    ['1.45.0', '0', false],
    ['1.48.0', '', true],
    ['1.49.0', undefined, false],
    ['1.50.0', '1', true],
    ['1.50.0', '0', false],
    ['2.0.0', undefined, false],
  ])('libuv %s with UV_USE_IO_URING=%s: %s', (version, setting, expected) => {
    expect(mayUseIoUring(version, setting)).toBe(expected)
  })
})

/** Runs a piece of program on built sources, in a Node that refuses to change users as that of Debian 13 does. */
function inRefusingNode(script: string, environment: Record<string, string> = {}) {
  const refusal = `for (const call of ['setgroups', 'setgid', 'setegid', 'setuid', 'seteuid'])
    process[call] = () => {
      const text = call + '() disabled: io_uring may be enabled. See CVE-2024-22017.'
      throw Object.assign(new Error(text), { code: 'ERR_INVALID_STATE' })
    }
  Object.defineProperty(process.versions, 'uv', { value: process.env.TEST_UV })`
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--input-type=module', '-e', `${refusal}\n${script}`],
    { cwd: ROOT, encoding: 'utf8', env: { PATH: process.env.PATH!, TEST_UV: '1.50.0', ...environment } },
  )
  return { status, stdout, stderr }
}
const PRIVILEGES = "const { dropPrivileges, stepDown } = await import('./dist/src/platform/privileges.js')"

describe.skipIf(!isRoot)('a Node that refuses to change users', () => {
  test('root is given up for good, in every thread', () => {
    const { stdout, stderr } = inRefusingNode(`
      ${PRIVILEGES}
      import { readdirSync, readFileSync } from 'node:fs'
      dropPrivileges({ name: 'nobody', uid: 65534, gid: 65534 }, [65533])
      const lines = readdirSync('/proc/self/task').map((task) =>
        readFileSync('/proc/self/task/' + task + '/status', 'latin1').match(/^(Uid|Gid|Groups):.*$/gm).join(' '))
      console.log(new Set(lines).size, lines.length > 1, lines[0].replace(/\\s+/g, ' '))`)
    expect(stderr).toBe('')
    expect(stdout.trim()).toBe(
      '1 true Uid: 65534 65534 65534 65534 Gid: 65534 65534 65534 65534 Groups: 65533 65534',
    )
  })

  test('root steps down for one task, and back', () => {
    const { stdout } = inRefusingNode(`
      ${PRIVILEGES}
      const back = stepDown({ uid: 65534, gid: 65534 })
      const during = [process.geteuid(), process.getegid(), process.getgroups().join()]
      back()
      console.log(JSON.stringify([...during, process.geteuid(), process.getegid()]))`)
    expect(JSON.parse(stdout)).toEqual([65534, 65534, '65534', 0, 0])
  })

  test('where io_uring may be in use, nothing is changed, and the hint says what helps', () => {
    const script = `
      ${PRIVILEGES}
      try { dropPrivileges({ name: 'nobody', uid: 65534, gid: 65534 }) }
      catch (error) { console.log(error.code, '|', error.message, '|', error.hint, '|', process.geteuid()) }`
    for (const environment of [{ UV_USE_IO_URING: '1' }, { TEST_UV: '1.46.0' }]) {
      expect(inRefusingNode(script, environment).stdout.trim()).toBe(
        'ERR_PRIVILEGES_DROP | failed to drop privs: Node may be using io_uring, which would keep the rights of root | run it with UV_USE_IO_URING=0 in the environment | 0',
      )
    }
    expect(
      inRefusingNode(
        `${PRIVILEGES}\ndropPrivileges({ name: 'nobody', uid: 65534, gid: 65534 })\nconsole.log(process.geteuid())`,
        { TEST_UV: '1.46.0', UV_USE_IO_URING: '0' },
      ).stdout.trim(),
    ).toBe('65534')
  })

  test('bad ids are refused by the module itself', () => {
    const { stdout } = inRefusingNode(`
      const { userIds } = await import('./dist/src/platform/user-ids.js')
      const ids = userIds()
      for (const id of [-1, 4294967295, 1.5, 'x', undefined])
        for (const call of ['setuid', 'seteuid', 'setgid', 'setegid'])
          try { ids[call](id); console.log(call, id) } catch (error) { if (error.name !== 'TypeError') console.log(error) }
      for (const groups of [[-1], 5, ['x'], new Array(1025).fill(1)])
        try { ids.setgroups(groups); console.log('setgroups', groups) } catch (error) { if (error.name !== 'TypeError') console.log(error) }
      ids.seteuid(65534)
      try { ids.setuid(1) } catch (error) { console.log(error.code, error.message) }`)
    expect(stdout).toBe('EPERM setuid: Operation not permitted\n')
  })

  test('the socket of set-up gets its group', () => {
    const folder = mkdtempSync(join(tmpdir(), 'user-ids-'))
    const path = join(folder, 'spamd.sock')
    const { stdout, stderr } = inRefusingNode(`
      import { createServer } from 'node:net'
      import { statSync } from 'node:fs'
      const { listenOnPath } = await import('./dist/src/daemon/process/listen-on-path.js')
      const server = createServer()
      const remove = await listenOnPath(server, ${JSON.stringify(path)}, { gid: 65534, isPrivileged: true })
      console.log(statSync(${JSON.stringify(path)}).gid, process.getegid())
      remove()
      server.close()`)
    rmSync(folder, { recursive: true })
    expect(stderr).toBe('')
    expect(stdout).toBe('65534 0\n')
  })
})
