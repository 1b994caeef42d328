/** Whose the state folder becomes, and what is taken over from the one of an earlier version. */
import {
  chmodSync,
  chownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  closeFormerState,
  giveStateFolder,
  isStateFolderUnused,
  openFormerState,
  takeOverFormerState,
} from '../../../src/feeds/state-folder.js'

let folder = ''
let former = ''
let state = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'state-folder-'))
  former = join(folder, 'former')
  state = join(folder, 'state')
  mkdirSync(former, { mode: 0o755 })
  mkdirSync(state, { mode: 0o755 })
  for (const name of ['a.list', 'a.state', 'a.line', 'loaded.json', 'run.lock', 'notes.txt']) {
    writeFileSync(join(former, name), `content of ${name}\n`)
  }
})
afterEach(() => rm(folder, { recursive: true, force: true }))

test('lists and index are taken over, locks and what is not ours stay', async () => {
  expect(isStateFolderUnused(state)).toBe(true)
  const opened = openFormerState(former)
  // Opened is opened: what happens to the paths afterwards does not matter.
  await rm(former, { recursive: true })
  await takeOverFormerState(opened!, state)
  expect(readdirSync(state).sort()).toEqual(['a.line', 'a.list', 'a.state', 'loaded.json'])
  expect(readFileSync(join(state, 'a.list'), 'utf8')).toBe('content of a.list\n')
  expect(isStateFolderUnused(state)).toBe(false)
})

test('nothing is taken over by way of a link, or from a folder that others can write', async () => {
  const link = join(folder, 'link')
  symlinkSync(former, link)
  expect(openFormerState(link)).toBeUndefined()
  expect(openFormerState(join(folder, 'missing'))).toBeUndefined()
  writeFileSync(join(folder, 'secret'), 'secret\n')
  symlinkSync(join(folder, 'secret'), join(former, 'b.list'))
  expect(openFormerState(former)).toBeUndefined()
  await rm(join(former, 'b.list'))
  for (const mode of [0o777, 0o775, 0o757]) {
    chmodSync(former, mode)
    expect(openFormerState(former)).toBeUndefined()
  }
  chmodSync(former, 0o755)
  expect(
    openFormerState(former)
      ?.files.map(({ name }) => name)
      .sort(),
  ).toEqual(['a.line', 'a.list', 'a.state', 'loaded.json'])
})

test('a file that has another name elsewhere, and what is no file, are left', async () => {
  linkSync(join(former, 'a.list'), join(folder, 'elsewhere'))
  mkdirSync(join(former, 'b.list'))
  const opened = openFormerState(former)!
  expect(opened.files.map(({ name }) => name).sort()).toEqual(['a.line', 'a.state', 'loaded.json'])
  closeFormerState(opened)
  expect(opened.files).toEqual([])
})

test('content of more than a megabyte is taken over whole, and that of none', async () => {
  const text = `${'x'.repeat(1024 * 1024)}y`
  writeFileSync(join(former, 'a.list'), text)
  writeFileSync(join(former, 'a.state'), '')
  await takeOverFormerState(openFormerState(former)!, state)
  expect(readFileSync(join(state, 'a.list'), 'utf8')).toBe(text)
  expect(readFileSync(join(state, 'a.state'), 'utf8')).toBe('')
})

const isRoot = process.getuid?.() === 0
if (!isRoot) process.stderr.write('skipped: only root can give a folder away\n')

describe.skipIf(!isRoot)('root gives the state folder away', () => {
  const user = { name: 'nobody', uid: 65_534, gid: 65_534 }

  test('one that is missing, and one that holds our files alone', () => {
    giveStateFolder(join(folder, 'new'), user)
    expect(lstatSync(join(folder, 'new'))).toMatchObject({ uid: user.uid, gid: user.gid })
    writeFileSync(join(state, 'a.list'), 'x')
    giveStateFolder(state, user)
    expect(lstatSync(state).uid).toBe(user.uid)
    expect(lstatSync(join(state, 'a.list')).uid).toBe(user.uid)
  })

  test('but none that others of its group can write, and none of another user', () => {
    chmodSync(state, 0o775)
    giveStateFolder(state, user)
    expect(lstatSync(state).uid).toBe(0)
    chmodSync(state, 0o755)
    chownSync(state, 1234, 0)
    giveStateFolder(state, user)
    expect(lstatSync(state).uid).toBe(1234)
  })

  test('but none with anything else in it, none that is a link, and none where others can write', () => {
    giveStateFolder(former, user)
    expect(lstatSync(former).uid).toBe(0)
    symlinkSync(state, join(folder, 'link'))
    giveStateFolder(join(folder, 'link'), user)
    expect(lstatSync(state).uid).toBe(0)
    chmodSync(folder, 0o777)
    giveStateFolder(state, user)
    giveStateFolder(join(folder, 'new'), user)
    expect(lstatSync(state).uid).toBe(0)
    expect(readdirSync(folder)).not.toContain('new')
  })
})
