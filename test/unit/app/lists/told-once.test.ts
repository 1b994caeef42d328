import { chmodSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, expect, test } from 'vitest'
import { findNews } from '../../../../src/app/lists/told-once.js'
import { temporaryFolder } from '../../../support/program-run.js'

const folder = temporaryFolder('told-once')
const path = join(folder, 'told.json')
beforeEach(() => rmSync(path, { force: true }))

const news = async (messages: Record<string, string | undefined>, isReadOnly = false) => [
  ...(await findNews(folder, new Map(Object.entries(messages)), { isReadOnly })),
]

test('a message is news once, and again when it changed or had gone', async () => {
  expect(await news({ a: 'one', b: 'two' })).toEqual(['a', 'b'])
  expect(await news({ a: 'one', b: 'two' })).toEqual([])
  expect(await news({ a: 'other' })).toEqual(['a'])
  // What is not asked about stays told.
  expect(await news({ b: 'two' })).toEqual([])
  expect(await news({ a: undefined })).toEqual([])
  expect(await news({ a: 'other' })).toEqual(['a'])
  expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual([
    ['b', 'two'],
    ['a', 'other'],
  ])
})

test('a run that may change nothing finds news and notes nothing', async () => {
  expect(await news({ a: 'one' }, true)).toEqual(['a'])
  expect(existsSync(path)).toBe(false)
  expect(await news({ a: 'one' })).toEqual(['a'])
})

test('where nothing is asked or nothing changed, nothing is written', async () => {
  expect(await news({})).toEqual([])
  expect(await news({ a: undefined })).toEqual([])
  expect(existsSync(path)).toBe(false)
})

test.each(['', 'no JSON', '5', 'null', '{}', '[["a"]]', '[["a","one","two"]]', '[["a",5]]', '["aone"]'])(
  'a note that holds %j is none',
  async (text) => {
    writeFileSync(path, text)
    expect(await news({ a: 'one' })).toEqual(['a'])
  },
)

test('of a note what is in order counts, and one that is too large is none', async () => {
  writeFileSync(path, '[["a",5],["b","two"]]')
  expect(await news({ a: 'one', b: 'two' })).toEqual(['a'])
  const note = JSON.stringify([['a', 'one']])
  writeFileSync(path, note.padEnd(65_536))
  expect(await news({ a: 'one' })).toEqual([])
  writeFileSync(path, note.padEnd(65_537))
  expect(await news({ a: 'one' })).toEqual(['a'])
})

test('the note can be read by everybody', async () => {
  await news({ a: 'one' })
  chmodSync(path, 0o600)
  await news({ a: 'two' })
  expect(readFileSync(path, 'utf8')).toBe('[["a","two"]]\n')
})
