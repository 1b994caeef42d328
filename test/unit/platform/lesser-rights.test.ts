import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { AppError } from '../../../src/platform/app-error.js'
import { lesserUserAt } from '../../../src/platform/lesser-rights.js'
import { skipUnlessRoot } from '../../support/skip-unless.js'

/** A user of every system, and a number that no user has. */
const [NOBODY, ITS_GROUP] = /^nobody:[^:]*:(\d+):(\d+):/m
  .exec(readFileSync('/etc/passwd', 'utf8'))!
  .slice(1)
  .map(Number) as [number, number]
const STRANGER = 54_321

describe.skipIf(skipUnlessRoot('becoming the owner of a folder'))('as whom root works', () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'lesser-'))
    chmodSync(folder, 0o755)
  })
  afterEach(() => rmSync(folder, { recursive: true }))

  test.each([
    ['a user of this machine', NOBODY, { name: 'nobody', uid: NOBODY, gid: ITS_GROUP }],
    ['a number alone', STRANGER, { name: String(STRANGER), uid: STRANGER, gid: 65_534 }],
  ])('in a folder of %s: as that', (_, uid, expected) => {
    chownSync(folder, uid, uid)
    expect(lesserUserAt(join(folder, 'db'))).toEqual({ ...expected, owned: folder })
    // Also where a link of root leads there.
    const other = mkdtempSync(join(tmpdir(), 'lesser-'))
    try {
      symlinkSync(join(folder, 'db'), join(other, 'link'))
      expect(lesserUserAt(join(other, 'link'))).toEqual({ ...expected, owned: folder })
    } finally {
      rmSync(other, { recursive: true })
    }
  })

  test('in a folder of root: as root', () => {
    expect(lesserUserAt(join(folder, 'db'))).toBeUndefined()
    expect(lesserUserAt(join(folder, 'nowhere', 'db'))).toBeUndefined()
  })

  test('in a folder that a group may write: as the user of the daemon, if the file is not there yet', () => {
    chmodSync(folder, 0o775)
    chownSync(folder, 0, ITS_GROUP)
    const asNobody = { name: 'nobody', uid: NOBODY, gid: ITS_GROUP, owned: folder }
    expect(lesserUserAt(join(folder, 'db'), () => 'nobody')).toEqual(asNobody)
    for (const name of [undefined, 'no-such-user', 'root'])
      expect(() => lesserUserAt(join(folder, 'db'), () => name)).toThrow(/group/)
    mkdirSync(join(folder, 'file'))
    expect(() => lesserUserAt(join(folder, 'file'), () => 'nobody')).toThrow(/group/)
  })

  test('the hint names the right that is too much, and none where it is not a right', () => {
    chmodSync(folder, 0o775)
    chownSync(folder, 0, ITS_GROUP)
    expect(refusalOf(join(folder, 'db'))).toEqual({
      code: 'ERR_UNSAFE_FOLDER',
      message: `the folder can be written by the group with number ${ITS_GROUP}`,
      hint: `run chmod g-w ${folder}`,
    })
    mkdirSync(join(folder, 'under'))
    expect(refusalOf(join(folder, 'under', 'db'))).toMatchObject({
      message: `${folder} can be written by the group with number ${ITS_GROUP}`,
      hint: `run chmod g-w ${folder}`,
    })
    chmodSync(folder, 0o757)
    expect(refusalOf(join(folder, 'db'))).toMatchObject({
      message: 'the folder can be written by every user',
      hint: `run chmod o-w ${folder}`,
    })
    chmodSync(folder, 0o755)
    for (let at = 0; at < 34; at += 1) symlinkSync(`link${at + 1}`, join(folder, `link${at}`))
    mkdirSync(join(folder, 'link34'))
    expect(refusalOf(join(folder, 'link0', 'db'))).toEqual({
      code: 'ERR_UNSAFE_FOLDER',
      message: `${join(folder, 'link32')} is a chain of too many symbolic links`,
      hint: undefined,
    })
  })
})

function refusalOf(path: string): object {
  try {
    return { user: lesserUserAt(path) }
  } catch (error) {
    const { code, message, hint } = error as AppError
    return { code, message, hint }
  }
}
