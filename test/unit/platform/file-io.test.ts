/** Whose files are believed: what a privileged program stored is read back only from whom it trusts. */
import { chownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { closeFile, openStored, readStored, readStoredChunks } from '../../../src/platform/file-io.js'
import { skipUnlessRoot } from '../../support/skip-unless.js'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'file-io-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

async function wholeOf(path: string): Promise<string> {
  let text = ''
  for await (const chunk of readStoredChunks(path)) text += Buffer.from(chunk).toString('latin1')
  return text
}

/** All ways to read it, each with what it says. */
async function readings(path: string): Promise<string[]> {
  const said = (error: unknown) => (error as Error).message.split(',')[0]!
  const small = (() => {
    try {
      return readStored(path, 100).toString('latin1')
    } catch (error) {
      return said(error)
    }
  })()
  const opened = await openStored(path).then(async (fd) => {
    await closeFile(fd)
    return 'opened'
  }, said)
  return [small, opened, await wholeOf(path).catch(said)]
}

describe('a stored file', () => {
  test('is read', async () => {
    const path = join(folder, 'file')
    writeFileSync(path, 'text')
    expect(await readings(path)).toEqual(['text', 'opened', 'text'])
    expect(readStored(path, 2).toString()).toBe('te')
  })

  test('is no link, and no folder', async () => {
    const [link, below] = [join(folder, 'link'), join(folder, 'folder')]
    writeFileSync(join(folder, 'file'), 'text')
    symlinkSync('file', link)
    mkdirSync(below)
    for (const said of await readings(link)) expect(said).toMatch(/^ELOOP/)
    expect(await readings(below)).toEqual(Array(3).fill('not a regular file'))
  })

  test.skipIf(skipUnlessRoot('changes owners'))(
    'belongs to root, to us or to the owner of its folder',
    async () => {
      const path = join(folder, 'file')
      writeFileSync(path, 'text')
      chownSync(path, 12_345, 12_345)
      expect(await readings(path)).toEqual(Array(3).fill('it belongs to user 12345'))
      chownSync(folder, 12_345, 12_345)
      expect(await readings(path)).toEqual(['text', 'opened', 'text'])
      chownSync(path, 0, 0)
      expect(await readings(path)).toEqual(['text', 'opened', 'text'])
    },
  )
})
