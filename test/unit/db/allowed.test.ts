/** Sources of exceptions, as the store keeps them. */
import { describe, expect, test } from 'vitest'
import { planRelease } from '../../../src/app/release/release-mail.js'
import type { Store } from '../../../src/db/store.js'
import type { AllowSource } from '../../../src/domain/allow.js'
import { NOW, Scratch } from '../../support/scratch-database.js'

const scratch = new Scratch()
const source: AllowSource = {
  name: 'example.org',
  first: NOW,
  expire: 0,
  checked: NOW + 5,
  comment: 'Anna\u2019s wish',
  networks: ['192.0.2.0/24', '2001:db8::/32'],
}
const put = (changes: Partial<AllowSource> = {}) => ({
  operation: 'put' as const,
  source: { ...source, ...changes },
})

test('sources are stored whole, replaced and removed', async () => {
  const store = await scratch.store()
  expect(await store.readAllowed()).toEqual([])
  const { comment: _comment, ...plain } = source
  const other: AllowSource = { ...plain, name: '198.51.100.0/24', networks: ['198.51.100.0/24'] }
  expect(await store.editAllowed([put(), { operation: 'put', source: other }], NOW)).toEqual([true, true])
  expect(await store.readAllowed()).toEqual([other, source])
  const fewer = { networks: ['192.0.2.0/25'], expire: NOW + 60 }
  const edits = [put(fewer), { operation: 'remove' as const, name: other.name }]
  expect(await store.editAllowed(edits, NOW)).toEqual([true, true])
  expect(await store.readAllowed()).toEqual([{ ...source, ...fewer }])
  expect(await store.editAllowed([{ operation: 'remove', name: other.name }], NOW)).toEqual([false])
})

test('the history tells who changed what, and nothing of what was only found again', async () => {
  const store = await scratch.store()
  await store.editAllowed([put()], NOW, 'anna')
  await store.editAllowed([put({ checked: NOW + 60 })], NOW + 60)
  const networks = ['192.0.2.0/24', '198.51.100.0/24']
  await store.editAllowed([put({ networks }), put({ networks, expire: NOW + 86_400 })], NOW + 61)
  const gone = { operation: 'remove' as const, name: source.name }
  await store.editAllowed([gone, gone], NOW + 62, 'ben')
  const rows = await store.readHistory({ after: 0, limit: 10 })
  expect(rows.map(({ at, rule, actor, key, summary }) => [at, rule, actor, key, summary])).toEqual([
    [NOW, 'allow', 'anna', undefined, 'example.org: added, 2 networks (Anna\u2019s wish)'],
    [NOW + 61, 'allow', undefined, undefined, 'example.org: -2001:db8::/32 +198.51.100.0/24'],
    [NOW + 61, 'allow', undefined, undefined, 'example.org: now until 2023-11-15T22:13Z (Anna\u2019s wish)'],
    [NOW + 62, 'allow', 'ben', undefined, 'example.org: removed, 2 networks'],
  ])
  expect(new Set(rows.map(({ event }) => event)).size).toBe(3)
  expect(rows[1]!.event).toBe(rows[2]!.event)
  await expect(
    store.undo('last', { force: false, isDryRun: false, actor: 'anna' }, NOW),
  ).rejects.toMatchObject({
    code: 'ERR_HISTORY_EVENT',
  })
})

test('the history names ten networks of a change, and is not kept where it is off', async () => {
  const store = await scratch.store()
  await store.editAllowed([put({ networks: [] })], NOW)
  const networks = Array.from({ length: 12 }, (_, n) => `198.51.${n + 100}.0/24`)
  await store.editAllowed([put({ networks })], NOW)
  const [, grown] = await store.readHistory({ after: 0, limit: 10 })
  expect(grown!.summary).toMatch(/ \+198\.51\.109\.0\/24 and 2 networks more$/)
  await store.saveHistorySettings({ ...(await store.historySettings()), mode: 'off' })
  await store.editAllowed([put({ networks: [] })], NOW)
  expect(await store.readHistory({ after: 0, limit: 10 })).toEqual([])
})

test('one transaction stores all, or nothing', async () => {
  const store = await scratch.store()
  const twice = put({ name: 'example.com', networks: ['192.0.2.0/24', '192.0.2.0/24'] })
  await expect(store.editAllowed([put(), twice], NOW)).rejects.toThrow()
  expect(await store.readAllowed()).toEqual([])
})

describe('undo', () => {
  const ENTRY = { kind: 'WHITE', ip: '192.0.2.1' } as const
  const undo = (store: Store, wanted: number | 'last' = 'last') =>
    store.undo(wanted, { force: false, isDryRun: false, actor: 'anna' }, NOW + 9)
  const filled = async (): Promise<Store> => {
    const store = await scratch.store()
    await store.edit([{ operation: 'add', kind: 'WHITE', ip: ENTRY.ip }], NOW)
    return store
  }

  test('says which command reverses an exception, and does not undo what was before it instead', async () => {
    const store = await filled()
    await store.editAllowed([put()], NOW, 'anna')
    await expect(undo(store)).rejects.toMatchObject({
      message: expect.stringMatching(
        /^event \d+ is an exception \(example\.org: added, 2 networks .*\), which undo does not revert$/,
      ) as string,
      hint: expect.stringMatching(
        /^use spamdctl allow remove example\.org; to undo an earlier change, /,
      ) as string,
    })
    await store.editAllowed([{ operation: 'remove', name: 'example.org' }], NOW + 1, 'anna')
    await expect(undo(store)).rejects.toMatchObject({
      hint: expect.stringContaining('use spamdctl allow add example.org; ') as string,
    })
    expect(await store.get({ kind: 'host', ip: ENTRY.ip })).toBeDefined()
    const [first] = await store.readHistory({ after: 0, limit: 1 })
    expect((await undo(store, first!.event)).restored).toHaveLength(1)
  })

  test('stops at the decision of a user without a name', async () => {
    const store = await filled()
    await store.editAllowed([put()], NOW)
    await expect(undo(store)).rejects.toMatchObject({ code: 'ERR_HISTORY_EVENT' })
  })

  test.each([
    ['networks that were only found anew', [put({ expire: NOW + 1, networks: ['198.51.100.0/24'] })]],
    ['an exception that was over', [{ operation: 'remove' as const, name: 'example.org' }]],
  ])('takes no notice of %s', async (_, edits) => {
    const store = await scratch.store()
    await store.editAllowed([put({ expire: NOW + 1 })], NOW)
    await store.edit([{ operation: 'add', kind: 'WHITE', ip: ENTRY.ip }], NOW)
    await store.editAllowed(edits, NOW + 1, 'root')
    expect((await undo(store)).restored).toHaveLength(1)
  })

  test('says how a release is cancelled', async () => {
    const store = await filled()
    const release = planRelease(
      { terms: { to: 'user@example.net' }, scope: 'address', forSec: 60, actor: 'anna' },
      NOW,
    )
    await store.editReleases([{ operation: 'make', release }], NOW, { actor: 'anna' })
    const event = (await store.readHistory({ after: 0, limit: 9 })).at(-1)!.event
    await expect(undo(store, event)).rejects.toMatchObject({
      message: `event ${event} is a release (${release.id}), which undo does not revert`,
      hint: expect.stringContaining(`use spamdctl release cancel ${release.id}; `) as string,
    })
  })
})
