/** That a file replaced `durable` is on the disk: what is synced, and when. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'

const calls = vi.hoisted(() => [] as string[])
vi.mock('../../../src/platform/file-io.js', async (importOriginal) => {
  const real = await importOriginal<typeof import('../../../src/platform/file-io.js')>()
  const { fstatSync } = await import('node:fs')
  return {
    ...real,
    syncFile: async (fd: number) => {
      calls.push(fstatSync(fd).isDirectory() ? 'sync folder' : `sync file of ${fstatSync(fd).size} bytes`)
      await real.syncFile(fd)
    },
    renameFile: async (from: string, to: string) => {
      calls.push('rename')
      await real.renameFile(from, to)
    },
  }
})
const { replaceFileWith } = await import('../../../src/platform/replace-file.js')

let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'replace-file-'))
  calls.length = 0
})
afterEach(() => rm(folder, { recursive: true }))

test('durable: the content before the file takes its place, the folder after', async () => {
  await replaceFileWith(join(folder, 'f'), Buffer.from('12345'), 0o600)
  expect(calls).toEqual(['sync file of 5 bytes', 'rename', 'sync folder'])
  expect(await readFile(join(folder, 'f'), 'latin1')).toBe('12345')
})

test('quick: nothing waits for the disk', async () => {
  await replaceFileWith(join(folder, 'f'), Buffer.from('1'), 0o600, 'quick')
  expect(calls).toEqual(['rename'])
})
