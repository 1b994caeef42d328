import { mkdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { describe, expect, test } from 'vitest'
import { initDatabase, isWritableEmptyFile, useDatabase } from '../../../../src/app/database/open-database.js'
import { Scratch } from '../../../support/scratch-database.js'

const scratch = new Scratch()

test('where two databases are in use, what is wrong with one is not told as that of the other', async () => {
  const missing = join(scratch.folder(), 'missing.sqlite')
  const moving = useDatabase(scratch.create(), 'read', () =>
    useDatabase(missing, 'write', async () => undefined),
  )
  await expect(moving).rejects.toMatchObject({
    code: 'ERR_DB_OPEN',
    message: `cannot open ${missing} for writing: No such file or directory`,
  })
})

describe('what helps when a database cannot be opened', () => {
  const HELP = {
    missing: 'no database yet: create it with "spamdctl init-db", or start spamd',
    folder: 'name a file in that folder with --db or SPAMD_DB',
    below: 'part of the path is a file, not a folder: name the database with --db or SPAMD_DB',
    empty: 'the file is empty: adding the first entry makes it a database',
    berkeley: `this is a file of OpenBSD's spamd: move it away, run "spamdctl init-db", then "spamdctl import" it`,
    foreign: "this is a database of another program: name spamd's with --db or SPAMD_DB",
    text: 'this is not a database: name it with --db or SPAMD_DB; "spamdctl import" reads lists and listings',
  }
  /** The head of a hash file of Berkeley DB 1.85, big-endian. */
  const berkeley = Buffer.alloc(4096)
  berkeley.writeUInt32BE(0x061561, 0)
  berkeley.writeUInt32BE(2, 4)

  test.each<[keyof typeof HELP, (path: string) => string]>([
    ['missing', (path) => path],
    [
      'folder',
      (path) => {
        mkdirSync(path)
        return path
      },
    ],
    [
      'below',
      (path) => {
        writeFileSync(path, 'x')
        return join(path, 'db')
      },
    ],
    [
      'empty',
      (path) => {
        writeFileSync(path, '')
        return path
      },
    ],
    [
      'berkeley',
      (path) => {
        writeFileSync(path, berkeley)
        return path
      },
    ],
    [
      'foreign',
      (path) => {
        new Database(path).exec('CREATE TABLE other (x)').close()
        return path
      },
    ],
    [
      'text',
      (path) => {
        writeFileSync(path, '192.0.2.1\n192.0.2.2\n')
        return path
      },
    ],
  ])('%s', async (kind, make) => {
    const path = make(join(scratch.folder(), 'db'))
    await expect(useDatabase(path, 'read', async () => undefined)).rejects.toMatchObject({
      code: 'ERR_DB_OPEN',
      hint: HELP[kind],
    })
    expect(isWritableEmptyFile(path)).toBe(kind === 'empty')
  })
})

describe('a new database', () => {
  test.each([
    [undefined, 0o750],
    [0o640, 0o750],
    [0o660, 0o750],
    [0o644, 0o755],
  ])('of mode %s is in a folder of its own, as open as it is', async (mode, folderMode) => {
    const path = join(scratch.folder(), 'spamd', 'db')
    expect(await initDatabase(path, undefined, mode)).toBe(true)
    expect((statSync(join(path, '..')).mode & 0o777).toString(8)).toBe(folderMode.toString(8))
    expect((statSync(path).mode & 0o777).toString(8)).toBe((mode ?? 0o640).toString(8))
    expect(await initDatabase(path, undefined, mode)).toBe(false)
  })

  test('is not made below a folder that is missing, nor in place of another file', async () => {
    const folder = scratch.folder()
    await expect(initDatabase(join(folder, 'a', 'b', 'db'))).rejects.toMatchObject({
      code: 'ERR_DB_OPEN',
      message: expect.stringMatching(/^cannot create /) as string,
    })
    writeFileSync(join(folder, 'text'), 'x\n')
    await expect(initDatabase(join(folder, 'text'))).rejects.toMatchObject({ code: 'ERR_DB_OPEN' })
  })
})
