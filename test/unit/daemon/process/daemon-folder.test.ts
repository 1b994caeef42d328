import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { prepareDatabaseFolder, prepareSocketFolder } from '../../../../src/daemon/process/daemon-folder.js'
import { skipUnlessRoot } from '../../../support/skip-unless.js'

const NOBODY = { name: 'nobody', uid: 65_534, gid: 65_534 }
const modeOf = (path: string): string => (statSync(path).mode & 0o7777).toString(8)

let base: string
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'daemon-folder-'))
})
afterEach(() => rmSync(base, { recursive: true }))

describe.each([0o022, 0o077, 0o000])('whatever the umask: %o', (mask) => {
  let previous: number
  beforeEach(() => {
    previous = process.umask(mask)
  })
  afterEach(() => {
    process.umask(previous)
  })

  test('others may look into the folder of the socket, and its owner alone may write there', () => {
    prepareSocketFolder(join(base, 'run', 'spamd.sock'))
    expect(modeOf(join(base, 'run'))).toBe('755')
    expect(process.umask()).toBe(mask)
  })

  test('the folder of the database is for its user and group', () => {
    prepareDatabaseFolder(join(base, 'lib', 'spamd.sqlite'), undefined)
    expect(modeOf(join(base, 'lib'))).toBe('750')
  })
})

test('a folder that is there stays as it is, and one without a parent is not made', () => {
  mkdirSync(join(base, 'run'))
  chmodSync(join(base, 'run'), 0o711)
  prepareSocketFolder(join(base, 'run', 'spamd.sock'))
  expect(modeOf(join(base, 'run'))).toBe('711')
  prepareSocketFolder(join(base, 'a', 'b', 'spamd.sock'))
  expect(existsSync(join(base, 'a'))).toBe(false)
})

describe.skipIf(skipUnlessRoot('gives a folder away'))('as root', () => {
  test('the new folder of the database is given to its user, one that is there is not', () => {
    prepareDatabaseFolder(join(base, 'lib', 'spamd.sqlite'), NOBODY)
    expect(statSync(join(base, 'lib')).uid).toBe(NOBODY.uid)
    mkdirSync(join(base, 'there'))
    prepareDatabaseFolder(join(base, 'there', 'spamd.sqlite'), NOBODY)
    expect(statSync(join(base, 'there')).uid).toBe(0)
  })

  test('nothing is made in a folder that another user can write', () => {
    chmodSync(base, 0o777)
    prepareDatabaseFolder(join(base, 'lib', 'spamd.sqlite'), NOBODY)
    prepareSocketFolder(join(base, 'run', 'spamd.sock'))
    expect([existsSync(join(base, 'lib')), existsSync(join(base, 'run'))]).toEqual([false, false])
  })
})
