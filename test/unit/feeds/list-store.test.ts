import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { listFileName } from '../../../src/feeds/list-file-name.js'
import { ListStore } from '../../../src/feeds/list-store.js'
import { skipUnlessRoot } from '../../support/skip-unless.js'

let folder = ''
let store: ListStore
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'list-store-'))
  store = new ListStore(folder)
})
afterEach(() => rm(folder, { recursive: true }))

const facts = {
  listName: 'a',
  method: 'https',
  location: 'example.org/a',
  fetchedSec: 5,
  validator: { etag: '"x"' },
  entries: 2,
} as const

async function write(text: string, listName = 'a'): Promise<void> {
  const writer = await store.writeCopy(listName)
  for (const piece of text.match(/.{1,5}/gs) ?? []) await writer.write(Buffer.from(piece))
  await writer.commit({ ...facts, listName })
}

async function read(listName = 'a'): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of store.readCopy(listName)) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks).toString()
}

test('a copy comes back as it was written, with its facts', async () => {
  await write('192.0.2.1\n192.0.2.2\n')
  expect(await read()).toBe('192.0.2.1\n192.0.2.2\n')
  expect(await store.readCopyFacts('a')).toMatchObject({ ...facts, lengthBytes: 20 })
  expect((await readFile(join(folder, 'a.list'), 'latin1')).split('\n')[0]).toMatch(
    /^\{"format":"spamdctl-list-1".* $/,
  )
})

test('an empty copy is a copy', async () => {
  await write('')
  expect(await read()).toBe('')
})

test('until it is committed a new copy is not seen, and discarded it leaves nothing', async () => {
  await write('old\n')
  const writer = await store.writeCopy('a')
  await writer.write(Buffer.from('new\n'))
  expect(await read()).toBe('old\n')
  await writer.discard()
  expect(await readdir(folder)).toEqual(['a.list'])
})

test.each([
  {
    name: 'a flipped bit',
    change: (bytes: Buffer) => Buffer.from(bytes.map((byte, at) => (at === 8_195 ? byte ^ 1 : byte))),
  },
  { name: 'a missing end', change: (bytes: Buffer) => bytes.subarray(0, bytes.length - 1) },
  { name: 'something behind the end', change: (bytes: Buffer) => Buffer.concat([bytes, Buffer.from('x')]) },
  { name: 'half a header', change: (bytes: Buffer) => bytes.subarray(0, 4_000) },
  {
    name: 'a header of something else',
    change: (bytes: Buffer) => Buffer.from(`{}${' '.repeat(9_000)}${bytes[0]}`),
  },
])('$name is noticed', async ({ change }) => {
  await write('192.0.2.1\n192.0.2.2\n')
  const path = join(folder, 'a.list')
  await writeFile(path, change(await readFile(path)))
  await expect(read()).rejects.toMatchObject({ code: 'ERR_LISTS_DAMAGED' })
})

test('a copy under the name of another list is not taken', async () => {
  await write('192.0.2.1\n')
  await writeFile(join(folder, 'b.list'), await readFile(join(folder, 'a.list')))
  expect(await store.readCopyFacts('b')).toBeUndefined()
})

test('a state that is not ours counts as none', async () => {
  await store.writeState('a', { method: 'https', location: 'x', lastTrySec: 7 })
  expect(await store.readState('a')).toEqual({ method: 'https', location: 'x', lastTrySec: 7 })
  for (const text of [
    '',
    '{',
    '[]',
    'null',
    '{"method":1}',
    `{"method":"https","location":"${'x'.repeat(70_000)}"}`,
  ]) {
    await writeFile(join(folder, 'a.state'), text)
    expect(await store.readState('a')).toBeUndefined()
  }
})

test('leftovers of killed runs are cleared away, and nothing else', async () => {
  await write('x')
  await writeFile(join(folder, '.a.list.spamdctl-tmp-1-x-1'), 'half')
  await writeFile(join(folder, '.other'), 'theirs')
  store.removeLeftovers()
  expect((await readdir(folder)).sort()).toEqual(['.other', 'a.list'])
})

test('a folder that everybody may write to is refused', async () => {
  await chmod(folder, 0o777)
  expect(() => store.prepare()).toThrow('every user may write to this folder')
})

test('file names: readable, distinct, and never out of the folder', () => {
  expect(listFileName('bsdly-traplist_1.x')).toBe('bsdly-traplist_1.x')
  expect(listFileName('../../etc/passwd')).toBe('%2E.%2F..%2Fetc%2Fpasswd')
  expect(listFileName('.')).toBe('%2E')
  expect(listFileName('a b|c')).toBe('a%20b%7Cc')
  expect(listFileName('a%20b')).not.toBe(listFileName('a b'))
  const long = [
    listFileName('x'.repeat(5_000)),
    listFileName('x'.repeat(5_001)),
    listFileName('/'.repeat(90)),
  ]
  expect(new Set(long).size).toBe(3)
  for (const name of long) expect(name.length).toBeLessThan(200)
})

describe('the folder', () => {
  test('is made where it is missing, with those above', async () => {
    const missing = join(folder, 'a', 'lists')
    new ListStore(missing).prepare()
    const { mode } = await stat(missing)
    expect((mode & 0o777).toString(8)).toBe('755')
    new ListStore(missing).prepare()
  })

  test('is refused where every user may write, and kept as it is', async () => {
    await chmod(folder, 0o777)
    expect(() => store.prepare()).toThrow(
      expect.objectContaining({
        code: 'ERR_LISTS_WRITE',
        message: `${folder}: every user may write to this folder`,
        hint: `chmod o-w ${folder}`,
      }) as Error,
    )
    await chmod(folder, 0o775)
    expect(() => store.prepare()).not.toThrow(/every user/)
  })

  test('that cannot be made is told', async () => {
    await writeFile(join(folder, 'file'), '')
    expect(() => new ListStore(join(folder, 'file', 'lists')).prepare()).toThrow(
      expect.objectContaining({ code: 'ERR_LISTS_WRITE' }) as Error,
    )
  })

  test.skipIf(skipUnlessRoot('changes owners'))(
    'root takes one that only root can replace, and no other',
    async () => {
      const mine = join(folder, 'mine')
      await mkdir(mine)
      const other = expect.objectContaining({
        code: 'ERR_LISTS_WRITE',
        message: `${mine}: users other than root can replace this folder`,
      }) as Error
      expect(() => new ListStore(mine).prepare()).not.toThrow()
      await chown(mine, 65_534, 65_534)
      expect(() => new ListStore(mine).prepare()).toThrow(other)
      await chown(mine, 0, 0)
      await chown(folder, 65_534, 65_534)
      expect(() => new ListStore(mine).prepare()).toThrow(other)
      await chown(folder, 0, 0)
    },
  )
})
