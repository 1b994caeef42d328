import { describe, expect, test } from 'vitest'
import type { ManualEdit } from '../../../src/db/store.js'
import type { GreyEntry } from '../../../src/domain/entry.js'
import { makeRandom } from '../../support/random.js'
import { entriesOf, listingOf, NOW, Scratch } from '../../support/scratch-database.js'

const scratch = new Scratch()
const add = (kind: 'WHITE' | 'TRAPPED', ip: string, options = {}): ManualEdit => ({
  operation: 'add',
  kind,
  ip,
  options,
})
const addTrap = (address: string, options = {}): ManualEdit => ({
  operation: 'add',
  kind: 'SPAMTRAP',
  address,
  options,
})
const removeHost = (ip: string): ManualEdit => ({ operation: 'delete', key: { kind: 'host', ip } })

describe('edits', () => {
  test('are applied in order and answered in order', async () => {
    const store = await scratch.store()
    const { outcomes } = await store.edit(
      [
        add('WHITE', '192.0.2.1'),
        add('WHITE', '192.0.2.1'),
        add('TRAPPED', '192.0.2.1'),
        removeHost('192.0.2.1'),
        removeHost('192.0.2.1'),
        add('WHITE', '192.0.2.1'),
        addTrap('a@b'),
        addTrap('a@b'),
        { operation: 'delete', key: { kind: 'spamtrap', address: 'a@b' } },
        { operation: 'delete', key: { kind: 'spamtrap', address: 'a@b' } },
      ],
      NOW,
    )
    expect(outcomes).toEqual([
      'added',
      'updated',
      'updated',
      'deleted',
      'missing',
      'added',
      'added',
      'updated',
      'deleted',
      'missing',
    ])
    expect(await listingOf(store)).toBe(`WHITE|192.0.2.1|||${NOW}|${NOW}|${NOW + 3_110_400}|1|0\n`)
  })

  test('ifMissing leaves entries of any kind alone', async () => {
    const store = await scratch.store()
    await store.edit([add('TRAPPED', '192.0.2.1', { comment: 'first' }), addTrap('a@b')], NOW)
    const again = [
      add('WHITE', '192.0.2.1', { ifMissing: true, comment: 'second' }),
      addTrap('a@b', { ifMissing: true, comment: 'second' }),
      add('WHITE', '192.0.2.2', { ifMissing: true }),
    ]
    expect((await store.edit(again, NOW + 1)).outcomes).toEqual(['skipped', 'skipped', 'added'])
    expect(await store.get({ kind: 'host', ip: '192.0.2.1' })).toMatchObject({
      kind: 'TRAPPED',
      comment: 'first',
    })
    expect(await store.get({ kind: 'spamtrap', address: 'a@b' })).toEqual({
      kind: 'SPAMTRAP',
      address: 'a@b',
      first: NOW,
    })
  })

  test('comments stay until another is given; pins stay through a plain repetition', async () => {
    const store = await scratch.store()
    await store.edit([add('WHITE', '192.0.2.1', { expire: 0, comment: 'büro 😀' })], NOW)
    await store.edit([add('WHITE', '192.0.2.1')], NOW + 5)
    const found = await store.get({ kind: 'host', ip: '192.0.2.1' })
    expect(found).toMatchObject({ expire: 0, pcount: 1, comment: 'büro 😀' })
    await store.edit([add('WHITE', '192.0.2.1', { expire: NOW + 7, comment: 'new' })], NOW + 6)
    expect(await store.get({ kind: 'host', ip: '192.0.2.1' })).toMatchObject({
      expire: NOW + 7,
      comment: 'new',
    })
    await store.edit([addTrap('a@b', { comment: 'one' })], NOW)
    await store.edit([addTrap('a@b', { comment: 'two' })], NOW + 9)
    expect(await store.get({ kind: 'spamtrap', address: 'a@b' })).toMatchObject({
      first: NOW,
      comment: 'two',
    })
  })

  test('the oldest tuple of an address goes first, or all of them', async () => {
    const store = await scratch.store()
    const tuple = (helo: string, first: number, ip = '192.0.2.1'): GreyEntry => ({
      kind: 'GREY',
      ip,
      helo,
      from: '<a>',
      to: '<b>',
      first,
      pass: 1,
      expire: 1,
      bcount: 1,
      pcount: 0,
    })
    const other = tuple('other', 1, '192.0.2.10')
    const all = [tuple('a', 30), tuple('\xff', 10), tuple('c', 20), tuple('d', 10), other]
    await store.upsert(all, { ifMissing: false })
    const oldest: ManualEdit = { operation: 'delete-tuples', ip: '192.0.2.1', all: false }
    expect((await store.edit([oldest], NOW)).outcomes).toEqual(['deleted'])
    expect(await entriesOf(store)).toEqual([tuple('a', 30), tuple('c', 20), tuple('\xff', 10), other])
    expect((await store.edit([oldest], NOW)).outcomes).toEqual(['deleted'])
    expect(await entriesOf(store)).toEqual([tuple('a', 30), tuple('c', 20), other])
    expect(
      (await store.edit([{ ...oldest, all: true }, oldest, { ...oldest, all: true }], NOW)).outcomes,
    ).toEqual(['deleted', 'missing', 'missing'])
    expect(
      (await store.edit([{ operation: 'delete', key: { ...other, kind: 'tuple' } }], NOW)).outcomes,
    ).toEqual(['deleted'])
    expect(await entriesOf(store)).toEqual([])
    expect((await store.check()).problems).toEqual([])
  })

  test('many at once end as the same edits in small calls, in one transaction', async () => {
    const random = makeRandom(3)
    const edits = Array.from({ length: 7000 }, (): ManualEdit => {
      const ip = `192.0.${random(12)}.${random(250)}`
      switch (random(5)) {
        case 0:
          return removeHost(ip)
        case 1:
          return addTrap(`${random(900)}@example.org`)
        case 2:
          return add('TRAPPED', ip, random(2) === 0 ? {} : { comment: `n${random(9)}` })
        default:
          return add('WHITE', ip)
      }
    })
    const [atOnce, slowly] = [await scratch.store(), await scratch.store()]
    const { outcomes, changes } = await atOnce.edit(edits, NOW, { actor: 'tester' })
    const expected: string[] = []
    for (let start = 0; start < edits.length; start += 500) {
      expected.push(...(await slowly.edit(edits.slice(start, start + 500), NOW)).outcomes)
    }
    expect(outcomes).toEqual(expected)
    expect(await listingOf(atOnce)).toBe(await listingOf(slowly))
    expect(changes.length).toBe((await atOnce.readJournal(0, 10_000)).rows.length)
    const events = await atOnce.readHistory({ after: 0, limit: 10_000 })
    expect(new Set(events.map(({ event }) => event))).toEqual(new Set([1]))
    expect((await atOnce.undo('last', { force: false, isDryRun: false, actor: 'tester' }, NOW)).event).toBe(1)
    expect(await entriesOf(atOnce)).toEqual([])
    expect((await atOnce.edit(edits, NOW, { forgetsChanges: true })).changes).toEqual([])
  })

  test('a failing edit behind many others stores nothing either', async () => {
    const store = await scratch.store()
    const many = Array.from({ length: 5000 }, (_, index) =>
      add('WHITE', `192.0.${index >> 8}.${index & 255}`),
    )
    await expect(store.edit([...many, addTrap('a\0b')], NOW)).rejects.toThrow(TypeError)
    expect(await entriesOf(store)).toEqual([])
    expect(await store.newestHistory()).toBe(0)
  })

  test('a failing edit stores nothing of its call', async () => {
    const store = await scratch.store()
    await expect(store.edit([add('WHITE', '192.0.2.1'), addTrap('a\0b')], NOW)).rejects.toThrow(TypeError)
    expect(await entriesOf(store)).toEqual([])
    expect((await store.edit([add('WHITE', '192.0.2.1')], NOW)).outcomes).toEqual(['added'])
  })
})
