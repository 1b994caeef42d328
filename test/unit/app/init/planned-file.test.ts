import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { applyStep, planSteps } from '../../../../src/app/init/apply-steps.js'
import { detectSystem } from '../../../../src/app/init/detect-system.js'
import { type PlannedFile, planFileStep } from '../../../../src/app/init/planned-file.js'

let root = ''
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'init-'))
  mkdirSync(join(root, 'etc'))
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

const whole: PlannedFile = {
  path: '/etc/spamd/spamd.conf',
  purpose: 'block lists',
  mode: 0o640,
  content: { kind: 'whole', text: 'all:a:\n' },
}
const lines: PlannedFile = {
  path: '/etc/services',
  purpose: 'ports',
  mode: 0o644,
  content: {
    kind: 'lines',
    ifMissing: '# services\n',
    lines: [
      { text: 'spamd 8025/tcp', isThere: (line) => line.startsWith('spamd ') },
      { text: 'spamd-cfg 8026/tcp', isThere: (line) => line.startsWith('spamd-cfg ') },
    ],
  },
}

async function run(file: PlannedFile): Promise<string> {
  const [step] = await planSteps(root, [file])
  await applyStep(root, step!)
  return step!.action
}

describe('files of init', () => {
  test('a missing file is made with its folders and its mode', async () => {
    expect(await run(whole)).toBe('create')
    expect(readFileSync(join(root, whole.path), 'utf8')).toBe('all:a:\n')
    expect(statSync(join(root, whole.path)).mode & 0o777).toBe(0o640)
    expect(await run(whole)).toBe('keep')
  })

  test('lines are added to a file of another encoding, and to what it became since the plan', async () => {
    const path = join(root, lines.path)
    const added = 'spamd 8025/tcp\nspamd-cfg 8026/tcp\n'
    writeFileSync(path, Buffer.from('# caf\xe9', 'latin1'))
    expect(await run(lines)).toBe('extend')
    expect(readFileSync(path, 'latin1')).toBe(`# caf\xe9\n${added}`)
    expect(await run(lines)).toBe('keep')
    writeFileSync(path, 'one\n')
    const [step] = await planSteps(root, [lines])
    // While the administrator was asked.
    writeFileSync(path, 'one\ntwo\nspamd 25/tcp')
    await applyStep(root, step!)
    expect(readFileSync(path, 'latin1')).toBe('one\ntwo\nspamd 25/tcp\nspamd-cfg 8026/tcp\n')
    await applyStep(root, step!)
    expect(readFileSync(path, 'latin1')).toBe('one\ntwo\nspamd 25/tcp\nspamd-cfg 8026/tcp\n')
  })

  test('the mode is the wanted one, whatever the umask', async () => {
    const mask = process.umask(0o077)
    try {
      expect(await run(whole)).toBe('create')
      expect(process.umask()).toBe(0o077)
    } finally {
      process.umask(mask)
    }
    expect(statSync(join(root, whole.path)).mode & 0o777).toBe(0o640)
    expect(statSync(join(root, 'etc/spamd')).mode & 0o777).toBe(0o755)
  })

  test('a file that holds something else stays, the wanted text goes beside it', async () => {
    mkdirSync(join(root, 'etc/spamd'))
    writeFileSync(join(root, whole.path), 'mine\n')
    expect(await run({ ...whole, shipped: 'all:\n' })).toBe('write-beside')
    expect(readFileSync(join(root, whole.path), 'utf8')).toBe('mine\n')
    expect(readFileSync(join(root, `${whole.path}.new`), 'utf8')).toBe('all:a:\n')
  })

  test('a file that is still as a package installed it is replaced, with the mode that it has', async () => {
    mkdirSync(join(root, 'etc/spamd'))
    writeFileSync(join(root, whole.path), 'all:\n', { mode: 0o600 })
    expect(await run({ ...whole, shipped: 'all:\n' })).toBe('replace')
    expect(readFileSync(join(root, whole.path), 'utf8')).toBe('all:a:\n')
    expect(statSync(join(root, whole.path)).mode & 0o777).toBe(0o600)
  })

  test('missing lines go to the end, the rest of the file and its mode stay', async () => {
    writeFileSync(join(root, 'etc/services'), 'smtp 25/tcp\nspamd 783/tcp', { mode: 0o600 })
    expect(await run(lines)).toBe('extend')
    expect(readFileSync(join(root, 'etc/services'), 'utf8')).toBe(
      'smtp 25/tcp\nspamd 783/tcp\nspamd-cfg 8026/tcp\n',
    )
    expect(statSync(join(root, 'etc/services')).mode & 0o777).toBe(0o600)
    expect(await run(lines)).toBe('keep')
  })

  test('a missing file of lines begins with its own start', async () => {
    expect(await run(lines)).toBe('create')
    expect(readFileSync(join(root, 'etc/services'), 'utf8')).toBe(
      '# services\nspamd 8025/tcp\nspamd-cfg 8026/tcp\n',
    )
  })

  test('lines are added through a link, which stays a link', async () => {
    writeFileSync(join(root, 'etc/real'), '')
    symlinkSync('real', join(root, 'etc/services'))
    expect(await run(lines)).toBe('extend')
    expect(lstatSync(join(root, 'etc/services')).isSymbolicLink()).toBe(true)
    expect(readFileSync(join(root, 'etc/real'), 'utf8')).toContain('spamd 8025/tcp\n')
  })

  test('a folder in its place is an error that names it', async () => {
    mkdirSync(join(root, 'etc/services'))
    await expect(planSteps(root, [lines])).rejects.toMatchObject({
      code: 'ERR_INIT_READ',
      message: `cannot read ${join(root, 'etc/services')}: not a regular file`,
    })
  })

  test('a diff names the file that is written', () => {
    const step = planFileStep(whole, 'mine\n')
    expect(step).toMatchObject({
      diff: expect.stringMatching(/^--- \/etc\/spamd\/spamd.conf\n\+\+\+ \/etc\/spamd\/spamd.conf.new\n/),
    })
  })
})

describe('the system of a tree', () => {
  const trees: [string | undefined, string[]][] = [
    ['openbsd', ['etc/rc.subr', 'usr/sbin/rcctl']],
    ['freebsd', ['etc/rc.subr', 'usr/sbin/sysrc', 'etc/defaults/rc.conf']],
    [
      'pfsense',
      ['etc/rc.subr', 'usr/sbin/sysrc', 'etc/defaults/rc.conf', 'etc/platform', 'conf.default/config.xml'],
    ],
    ['debian', ['etc/debian_version']],
    [undefined, ['etc/hosts']],
  ]
  test.each(trees)('%s', async (want, paths) => {
    for (const path of paths) {
      mkdirSync(join(root, path, '..'), { recursive: true })
      writeFileSync(join(root, path), '')
    }
    expect(await detectSystem(root)).toBe(want)
  })
})
