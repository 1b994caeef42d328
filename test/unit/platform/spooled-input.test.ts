import { fstatSync, mkdtempSync, readdirSync, readSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { withSpooledInput } from '../../../src/platform/spooled-input.js'

let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'spooled-'))
  vi.stubEnv('TMPDIR', folder)
})

afterEach(() => {
  vi.unstubAllEnvs()
  rmSync(folder, { recursive: true })
})

test('all parts stand in a nameless private file, to be read from the start', async () => {
  const parts = [Buffer.from('one '), new Uint8Array(), Buffer.alloc(300_000, 'x')]
  const found = await withSpooledInput(parts, async (fd) => {
    const { size, mode, nlink } = fstatSync(fd)
    const start = Buffer.alloc(6)
    readSync(fd, start, 0, 6, null)
    return { size, mode: mode & 0o777, nlink, start: start.toString(), names: readdirSync(folder) }
  })
  expect(found).toEqual({ size: 300_004, mode: 0o600, nlink: 0, start: 'one xx', names: [] })
})

test('what fails while it is used comes through', async () => {
  await expect(
    withSpooledInput([Buffer.from('x')], async () => {
      throw new Error('no luck')
    }),
  ).rejects.toThrow('no luck')
})

test('no folder for temporary files: the system says so, nothing is run', async () => {
  vi.stubEnv('TMPDIR', join(folder, 'missing'))
  const use = vi.fn(async () => undefined)
  await expect(withSpooledInput([Buffer.from('x')], use)).rejects.toMatchObject({ code: 'ENOENT' })
  expect(use).not.toHaveBeenCalled()
})
