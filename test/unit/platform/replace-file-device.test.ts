/** The mode of a replaced file; a device or pipe as the target stays what it is, and gets what is written. */
import { execFileSync } from 'node:child_process'
import { lstatSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { replaceFileWith } from '../../../src/platform/replace-file.js'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'replace-device-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

test('a file has the wanted mode, whatever the umask: other daemons read it', async () => {
  const mask = process.umask(0o077)
  try {
    await replaceFileWith(join(folder, 'list'), Buffer.from('192.0.2.1\n'), 0o644)
  } finally {
    process.umask(mask)
  }
  expect(statSync(join(folder, 'list')).mode & 0o777).toBe(0o644)
})

test('a pipe gets the text and stays a pipe', async () => {
  const path = join(folder, 'pipe')
  execFileSync('mkfifo', [path])
  const [text] = await Promise.all([
    readFile(path, 'utf8'),
    replaceFileWith(path, Buffer.from('192.0.2.1\n'), 0o644),
  ])
  expect(text).toBe('192.0.2.1\n')
  expect(lstatSync(path).isFIFO()).toBe(true)
})

// Root only: a device of our own, so that a fault does not take /dev/null away.
const isRoot = process.getuid?.() === 0
test.skipIf(!isRoot)(
  `a device stays a device${isRoot ? '' : ' (skipped: only root can make one)'}`,
  async () => {
    const path = join(folder, 'null')
    execFileSync('mknod', [path, 'c', '1', '3'])
    await replaceFileWith(path, Buffer.from('nothing'), 0o644)
    await replaceFileWith(path, Buffer.from('nothing'), 0o644, 'quick')
    expect(lstatSync(path).isCharacterDevice()).toBe(true)
  },
)
