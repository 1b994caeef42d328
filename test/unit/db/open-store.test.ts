import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  lchownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { basename, join } from 'node:path'
import Database from 'better-sqlite3'
import { describe, expect, test } from 'vitest'
import { createDatabase, openStore } from '../../../src/db/open-store.js'
import { APPLICATION_ID, SCHEMA_VERSION } from '../../../src/db/schema.js'
import { temporaryPathFor } from '../../../src/platform/temporary-path.js'
import { entriesOf, NOW, Scratch } from '../../support/scratch-database.js'
import { skipUnlessRoot } from '../../support/skip-unless.js'

const scratch = new Scratch()
const NOT_OURS = 'Inappropriate file type or format'

describe('a new database', () => {
  test('is not hindered by what a killed process with our process id left behind', async () => {
    const path = join(scratch.folder(), 'spamd.sqlite')
    const target = join(scratch.folder(), 'copy.sqlite')
    for (const left of [path, target]) {
      for (const end of ['new', 'backup']) {
        writeFileSync(join(left, '..', `.${basename(left)}.${process.pid}.${end}`), 'half')
      }
      writeFileSync(temporaryPathFor(left), 'half')
    }
    createDatabase(path)
    const store = await openStore(path, { mode: 'read' })
    await store.backup(target)
    await store.close()
    expect(new Database(target, { readonly: true }).pragma('application_id', { simple: true })).toBe(
      APPLICATION_ID,
    )
  })

  test('has mode 0640 whatever the umask, and is a marked WAL database without leftovers', () => {
    const path = join(scratch.folder(), 'spamd.sqlite')
    const before = process.umask(0o077)
    try {
      createDatabase(path)
    } finally {
      process.umask(before)
    }
    expect(statSync(path).mode & 0o7777).toBe(0o640)
    expect(readdirSync(join(path, '..'))).toEqual(['spamd.sqlite'])
    const database = new Database(path, { readonly: true })
    expect(database.pragma('application_id', { simple: true })).toBe(APPLICATION_ID)
    expect(database.pragma('user_version', { simple: true })).toBe(SCHEMA_VERSION)
    expect(database.pragma('journal_mode', { simple: true })).toBe('wal')
    expect(database.pragma('page_size', { simple: true })).toBe(4096)
    database.close()
  })

  test('is not made where a file is', () => {
    const path = join(scratch.folder(), 'spamd.sqlite')
    writeFileSync(path, 'precious')
    expect(() => createDatabase(path)).toThrow(
      expect.objectContaining({ code: 'ERR_DB_OPEN', message: 'File exists' }),
    )
    expect(readFileSync(path, 'utf8')).toBe('precious')
    expect(readdirSync(join(path, '..'))).toEqual(['spamd.sqlite'])
  })

  test('is not made in a missing folder, nor in one that everybody may write', () => {
    const folder = scratch.folder()
    expect(() => createDatabase(join(folder, 'missing', 'spamd.sqlite'))).toThrow(
      expect.objectContaining({ code: 'ERR_DB_OPEN', message: 'No such file or directory' }),
    )
    const open = join(folder, 'open')
    mkdirSync(open)
    chmodSync(open, 0o777)
    expect(() => createDatabase(join(open, 'spamd.sqlite'))).toThrow(
      expect.objectContaining({ message: 'the folder can be written by every user' }),
    )
    chmodSync(open, 0o1777)
    createDatabase(join(open, 'spamd.sqlite'))
  })

  test('comes with the first opening that asks for it', async () => {
    const path = join(scratch.folder(), 'spamd.sqlite')
    await expect(scratch.open(path)).rejects.toMatchObject({ message: 'No such file or directory' })
    expect(existsSync(path)).toBe(false)
    const store = await scratch.open(path, { create: true })
    expect(await store.count()).toEqual({ WHITE: 0, TRAPPED: 0, SPAMTRAP: 0, GREY: 0, POOL: 0 })
  })

  test.skipIf(skipUnlessRoot('files are given away'))(
    'belongs to the user it is made for (needs root)',
    () => {
      const path = join(scratch.folder(), 'spamd.sqlite')
      createDatabase(path, { owner: { uid: 12345, gid: 23456 } })
      expect(statSync(path)).toMatchObject({ uid: 12345, gid: 23456 })
    },
  )
})

describe('files that are not ours stay as they are', () => {
  const garbage = (path: string, bytes: string | Buffer): void => writeFileSync(path, bytes)
  test.each<{ name: string; make: (path: string) => void; reason: string }>([
    { name: 'text', make: (path) => garbage(path, 'not a database\n'.repeat(20)), reason: NOT_OURS },
    { name: 'one byte', make: (path) => garbage(path, 'x'), reason: NOT_OURS },
    {
      name: 'the first bytes of a SQLite file',
      make: (path) => garbage(path, 'SQLite format 3\0'),
      reason: NOT_OURS,
    },
    {
      name: 'a Berkeley DB of the original',
      make: (path) => copyFileSync(join(import.meta.dirname, '../../golden/dbfiles/order-150-4096.db'), path),
      reason: NOT_OURS,
    },
    {
      name: 'the database of another program',
      make: (path) => {
        const other = new Database(path)
        other.exec('CREATE TABLE t (a); INSERT INTO t VALUES (1)')
        other.close()
      },
      reason: NOT_OURS,
    },
    {
      name: 'a newer schema',
      make: (path) => {
        createDatabase(path)
        const database = new Database(path)
        database.pragma('journal_mode = DELETE')
        database.pragma(`user_version = ${SCHEMA_VERSION + 1}`)
        database.close()
      },
      reason: NOT_OURS,
    },
    ...[0, -1, -2_147_483_648].map((version) => ({
      name: `schema ${version}, which no version uses`,
      make: (path: string) => {
        createDatabase(path)
        const database = new Database(path)
        database.pragma('journal_mode = DELETE')
        database.pragma(`user_version = ${version}`)
        database.close()
      },
      reason: NOT_OURS,
    })),
  ])('$name', async ({ make, reason }) => {
    const path = join(scratch.folder(), 'spamd.sqlite')
    make(path)
    const before = readFileSync(path)
    for (const mode of ['read', 'write'] as const) {
      await expect(openStore(path, { mode })).rejects.toMatchObject({ code: 'ERR_DB_OPEN', message: reason })
    }
    expect(readFileSync(path).equals(before)).toBe(true)
    expect(readdirSync(join(path, '..'))).toEqual(['spamd.sqlite'])
  })

  test('a directory, a fifo', async () => {
    const folder = scratch.folder()
    await expect(openStore(folder, { mode: 'read' })).rejects.toMatchObject({ message: 'Is a directory' })
    await expect(openStore(folder, { mode: 'write' })).rejects.toMatchObject({ message: 'Is a directory' })
    const fifo = join(folder, 'fifo')
    execFileSync('mkfifo', [fifo])
    await expect(openStore(fifo, { mode: 'read' })).rejects.toMatchObject({ message: NOT_OURS })
  })

  test('a newer schema says which version is needed', async () => {
    const path = scratch.create()
    const database = new Database(path)
    database.pragma(`user_version = ${SCHEMA_VERSION + 1}`)
    database.close()
    await expect(openStore(path, { mode: 'write' })).rejects.toMatchObject({
      hint: expect.stringContaining(`schema ${SCHEMA_VERSION + 1}`),
    })
  })
})

test('a file of zero bytes is refused for reading and becomes a database by writing', async () => {
  const path = join(scratch.folder(), 'spamd.sqlite')
  writeFileSync(path, '')
  chmodSync(path, 0o600)
  await expect(openStore(path, { mode: 'read' })).rejects.toMatchObject({ message: NOT_OURS })
  expect(statSync(path).size).toBe(0)
  const store = await scratch.open(path)
  expect((await store.edit([{ operation: 'add', kind: 'WHITE', ip: '192.0.2.1' }], NOW)).outcomes).toEqual([
    'added',
  ])
  const reader = await scratch.open(path, { mode: 'read' })
  expect(await entriesOf(reader)).toHaveLength(1)
  expect(statSync(path).mode & 0o777).toBe(0o600)
})

test.skipIf(skipUnlessRoot('files are given away'))(
  'a symbolic link of another user is not written through, one of root is (needs root)',
  async () => {
    const path = scratch.create()
    const link = join(scratch.folder(), 'link.sqlite')
    symlinkSync(path, link)
    const store = await scratch.open(link)
    await store.edit([{ operation: 'add', kind: 'WHITE', ip: '192.0.2.1' }], NOW)
    lchownSync(link, 12345, 12345)
    await expect(openStore(link, { mode: 'write' })).rejects.toMatchObject({
      message: 'symbolic link owned by another user',
    })
    const dangling = join(scratch.folder(), 'dangling.sqlite')
    symlinkSync(join(scratch.folder(), 'elsewhere'), dangling)
    lchownSync(dangling, 12345, 12345)
    expect(() => createDatabase(dangling)).toThrow('symbolic link owned by another user')
    await expect(openStore(dangling, { mode: 'write', create: true })).rejects.toMatchObject({
      message: 'symbolic link owned by another user',
    })
  },
)

test('a file that is removed or replaced under an open store is noticed', async () => {
  const path = scratch.create()
  const store = await scratch.open(path)
  await store.edit([{ operation: 'add', kind: 'WHITE', ip: '192.0.2.1' }], NOW)
  renameSync(path, `${path}.old`)
  await expect(store.get({ kind: 'host', ip: '192.0.2.1' })).rejects.toMatchObject({ code: 'ERR_DB_GONE' })
  createDatabase(path)
  await expect(store.edit([{ operation: 'add', kind: 'WHITE', ip: '192.0.2.2' }], NOW)).rejects.toMatchObject(
    { code: 'ERR_DB_GONE' },
  )
  await store.close()
  const again = await scratch.open(path)
  expect(await entriesOf(again)).toEqual([])
})

test('a store that is not in WAL mode any more is put back into it', async () => {
  const path = scratch.create()
  const database = new Database(path)
  database.pragma('journal_mode = DELETE')
  database.close()
  await scratch.open(path)
  const after = new Database(path, { readonly: true })
  expect(after.pragma('journal_mode', { simple: true })).toBe('wal')
  after.close()
})

test('slow calls are told by name', async () => {
  const calls: string[] = []
  const store = await scratch.store({ slowCallMs: 0, onSlowCall: (slow) => calls.push(slow.call) })
  await store.edit([{ operation: 'add', kind: 'WHITE', ip: '192.0.2.1' }], NOW)
  await store.get({ kind: 'host', ip: '192.0.2.1' })
  expect(calls).toEqual(['edit', 'get'])
})
