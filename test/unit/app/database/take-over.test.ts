/** The database of version 0.1.0 moves to a folder of its own, whole, and nothing is lost when that fails. */
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { initDatabase, useDatabase } from '../../../../src/app/database/open-database.js'
import { takeOverDatabase } from '../../../../src/app/database/take-over.js'

let folder: string
let from: string
let to: string
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'spamd-take-over-'))
  from = join(folder, 'spamd.sqlite')
  to = join(folder, 'spamdctl', 'spamd.sqlite')
  await initDatabase(from)
  await useDatabase(from, 'write', (store) =>
    store.edit([{ operation: 'add', kind: 'WHITE', ip: '192.0.2.1' }], 1_000),
  )
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const whiteCount = (path: string) => useDatabase(path, 'read', async (store) => (await store.count()).WHITE)

test('content and mode arrive, the former file is put aside', async () => {
  await takeOverDatabase(from, to, undefined, 0o644)
  expect(await whiteCount(to)).toBe(1)
  expect(statSync(to).mode & 0o777).toBe(0o644)
  expect(readdirSync(folder).sort()).toEqual(['spamd.sqlite.old', 'spamdctl'])
  expect(await whiteCount(`${from}.old`)).toBe(1)
})

const whyNot = process.getuid?.() === 0 ? '' : ' (skipped: only root gives files away)'
test.skipIf(whyNot !== '')(`as root, file and folder go to the user of the daemons${whyNot}`, async () => {
  await takeOverDatabase(from, to, { uid: 65_534, gid: 65_534 })
  for (const path of [to, join(folder, 'spamdctl')]) expect(statSync(path).uid).toBe(65_534)
  expect(statSync(to).mode & 0o777).toBe(0o640)
})

test('a folder that another user can write is not entered, the former file stays in use', async () => {
  mkdirSync(join(folder, 'spamdctl'))
  chmodSync(join(folder, 'spamdctl'), 0o777)
  await expect(takeOverDatabase(from, to)).rejects.toMatchObject({
    code: 'ERR_DB_OPEN',
    message: expect.stringContaining('can be written by'),
    hint: expect.stringContaining('spamdctl export'),
  })
  expect(existsSync(from)).toBe(true)
  expect(existsSync(to)).toBe(false)
})
