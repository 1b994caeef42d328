/** What `spamdctl lists` knows of each list. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Configuration, ConfiguredList } from '../../../../src/app/lists/configured-list.js'
import { readListStates } from '../../../../src/app/lists/list-states.js'
import { ListStore } from '../../../../src/feeds/list-store.js'

let stateDir = ''
beforeAll(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'list-states-'))
})
afterAll(() => rmSync(stateDir, { recursive: true }))

test('each list once, in its place, with what is on record', async () => {
  const store = new ListStore(stateDir)
  const remote = { method: 'https', location: 'example.org/a' } as const
  for (const listName of ['a', 'copy']) {
    const writer = await store.writeCopy(listName)
    await writer.write(Buffer.from('192.0.2.1\n'))
    await writer.commit({ listName, ...remote, fetchedSec: 500, validator: {}, entries: 1 })
  }
  await store.writeState('a', {
    ...remote,
    lastTrySec: 1_000,
    lastSuccessSec: 900,
    failure: { sec: 1_000, reason: 'status 500' },
  })
  const listOf = (name: string, source: object | undefined, colour = 'black') =>
    ({ name, colour, source }) as ConfiguredList
  const configuration = {
    lists: [
      listOf('a', remote),
      listOf('copy', remote, 'white'),
      listOf('a', remote),
      listOf('broken', undefined, 'unknown'),
      listOf('new', { method: 'file', location: '/x' }),
    ],
    problems: [],
    isUsable: true,
  } satisfies Configuration
  const nothing = {
    entries: undefined,
    lastSuccessSec: undefined,
    lastTrySec: undefined,
    lastError: undefined,
    nextFetchSec: undefined,
  }
  expect(await readListStates(configuration, stateDir, 2_000)).toEqual([
    {
      name: 'a',
      colour: 'black',
      source: remote,
      entries: 1,
      lastSuccessSec: 900,
      lastTrySec: 1_000,
      lastError: 'status 500',
      // An hour after the last try.
      nextFetchSec: 4_600,
    },
    { ...nothing, name: 'copy', colour: 'white', source: remote, entries: 1, lastSuccessSec: 500 },
    { ...nothing, name: 'broken', colour: 'unknown', source: undefined },
    { ...nothing, name: 'new', colour: 'black', source: { method: 'file', location: '/x' } },
  ])
  expect((await readListStates(configuration, stateDir, 4_600))[0]!.nextFetchSec).toBeUndefined()
})

test.each([
  ['a year ahead', 365 * 86_400, undefined, undefined],
  ['a day ahead', 86_400, undefined, undefined],
  ['five minutes ahead', 300, 0, 0],
  ['right', -300, -300, -300],
])('times noted by a clock that was %s', async (_name, ahead, lastSuccess, lastTry) => {
  const now = 1_700_000_000
  const remote = { method: 'https', location: 'example.org/b' } as const
  const folder = mkdtempSync(join(stateDir, 'ahead-'))
  const store = new ListStore(folder)
  const writer = await store.writeCopy('b')
  await writer.commit({ listName: 'b', ...remote, fetchedSec: now + ahead, validator: {}, entries: 1 })
  await store.writeState('b', { ...remote, lastTrySec: now + ahead, lastSuccessSec: now + ahead })
  const configuration: Configuration = {
    lists: [{ name: 'b', colour: 'black', source: remote } as unknown as ConfiguredList],
    problems: [],
    isUsable: true,
  }
  const [state] = await readListStates(configuration, folder, now)
  const fromNow = (sec: number | undefined) => sec && sec - now
  expect([fromNow(state!.lastSuccessSec), fromNow(state!.lastTrySec)]).toEqual([lastSuccess, lastTry])
})
