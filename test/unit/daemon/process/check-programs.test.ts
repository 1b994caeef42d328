/** A checkout that only root can read is told in one line before the child is started. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { checkProgramsFor } from '../../../../src/daemon/process/child-launch.js'

const USER = { name: 'nobody', uid: 65_534, gid: 65_534 }
const isRoot = process.getuid?.() === 0
const whySkipped = isRoot ? '' : ' [skipped: only root becomes another user]'

let base: string
let childModule: string
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'check-programs-'))
  chmodSync(base, 0o755)
  mkdirSync(join(base, 'node_modules'))
  const native = resolve(createRequire(import.meta.url).resolve('better-sqlite3/package.json'), '..')
  symlinkSync(native, join(base, 'node_modules', 'better-sqlite3'))
  childModule = join(base, 'child.js')
  writeFileSync(childModule, '')
})
afterEach(() => rmSync(base, { recursive: true, force: true }))

test.skipIf(!isRoot)(
  `a module in a folder of root's alone is refused, and root is root again${whySkipped}`,
  () => {
    chmodSync(base, 0o700)
    expect(() => checkProgramsFor(USER, childModule)).toThrow(
      expect.objectContaining({
        code: 'ERR_SPAMD_PROGRAMS',
        message: `the user nobody cannot read the programs: ${childModule}: Permission denied`,
        hint: expect.stringContaining('chmod o+x'),
      }),
    )
    expect([process.geteuid!(), process.getegid!()]).toEqual([0, process.getgid!()])
  },
)

test.skipIf(!isRoot)(`a file that nobody else may read is refused${whySkipped}`, () => {
  chmodSync(childModule, 0o600)
  expect(() => checkProgramsFor(USER, childModule)).toThrow('Permission denied')
})
