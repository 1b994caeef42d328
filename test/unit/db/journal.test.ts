import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { JournalRow, ManualEdit, Store } from '../../../src/db/store.js'
import type { Entry } from '../../../src/domain/entry.js'
import { compareStamps } from '../../../src/domain/stamp.js'
import {
  attemptOf,
  isOnServer,
  NOW,
  POLICY,
  Scratch,
  sqliteSuite,
  sqliteTest,
} from '../../support/scratch-database.js'

const scratch = new Scratch()
const addWhite = (ip: string): ManualEdit => ({ operation: 'add', kind: 'WHITE', ip })
const hosts = (count: number, start = 0): ManualEdit[] =>
  Array.from({ length: count }, (_, n) =>
    addWhite(`10.${(start + n) >> 16}.${((start + n) >> 8) & 255}.${n & 255}`),
  )

async function rowsOf(store: Store, after = 0): Promise<JournalRow[]> {
  return (await store.readJournal(after, 1000)).rows
}

const brief = ({ seq, key, before, after, rule }: JournalRow): string =>
  [seq, key?.kind, before ?? '-', after ?? '-', rule].join(' ')

describe('the journal', () => {
  test('has a row for every change by any program, with kinds before and after and the cause', async () => {
    const store = await scratch.store()
    const attempt = attemptOf('192.0.2.1')
    await store.edit([addWhite('192.0.2.9'), { operation: 'add', kind: 'SPAMTRAP', address: 'a@b' }], NOW)
    await store.recordAttempts([attempt], POLICY, NOW)
    await store.recordAttempts([attempt], POLICY, NOW + 2000)
    await store.recordSightings(
      [{ ip: '192.0.2.1', count: 1 }],
      { whiteExpireSec: 9, untrap: false },
      NOW + 2001,
    )
    await store.recordAttempts([attemptOf('192.0.2.1', { trapKey: 'a@b' })], POLICY, NOW + 2002)
    await store.applySync([{ type: 'delete', ip: '192.0.2.9', peer: '198.51.100.1' }], POLICY, NOW + 2003)
    const rows = await rowsOf(store)
    const wanted = [
      'host - WHITE manual',
      'spamtrap - SPAMTRAP manual',
      'tuple - GREY attempt',
      'host - WHITE promotion',
      'tuple GREY - promotion',
      'host WHITE WHITE sighting',
      'host WHITE TRAPPED trap',
      'host WHITE - peer',
    ].filter((row) => !isOnServer() || !row.startsWith('tuple'))
    expect(rows.map(brief)).toEqual(wanted.map((row, index) => `${index + 1} ${row}`))
    if (!isOnServer()) expect(rows[2]?.key).toEqual({ kind: 'tuple', ...attempt.tuple })
    expect(rows[1]?.key).toEqual({ kind: 'spamtrap', address: 'a@b' })
    expect(rows.at(-1)).toMatchObject({ key: { ip: '192.0.2.9' }, actor: '198.51.100.1' })
    for (let index = 1; index < rows.length; index += 1) {
      expect(compareStamps(rows[index - 1]!.stamp, rows[index]!.stamp)).toBeLessThan(0)
    }
  })

  sqliteTest('is read from any position, in slices, and says what is newest', async () => {
    const store = await scratch.store()
    await store.edit(hosts(5), NOW)
    expect(await store.readJournal(0, 0)).toEqual({ rows: [], newest: 5, isBehind: false })
    const slice = await store.readJournal(2, 2)
    expect(slice.rows.map(({ seq }) => seq)).toEqual([3, 4])
    expect(slice).toMatchObject({ newest: 5, isBehind: false })
    expect(await store.readJournal(5, 10)).toEqual({ rows: [], newest: 5, isBehind: false })
    // Of another database, or of this one before it was restored.
    expect(await store.readJournal(6, 10)).toEqual({ rows: [], newest: 5, isBehind: true })
  })

  sqliteTest(
    'keys with bytes that are no UTF-8, with line feeds and the field separators of listings',
    async () => {
      const store = await scratch.store()
      const tuple = { ip: '192.0.2.1', helo: 'h\xff\n|', from: '<a|\xe4@b>', to: '<\x01@d>' }
      await store.upsert([{ kind: 'GREY', ...tuple, first: 1, pass: 2, expire: 3, bcount: 1, pcount: 0 }], {
        ifMissing: false,
      })
      expect(await rowsOf(store)).toMatchObject([{ key: { kind: 'tuple', ...tuple }, rule: 'import' }])
    },
  )

  test('a transaction that fails leaves no row and uses no number', async () => {
    const store = await scratch.store()
    await store.edit([addWhite('192.0.2.1')], NOW)
    const bad = { operation: 'add', kind: 'SPAMTRAP', address: 'a\0b' } as const
    await expect(store.edit([addWhite('192.0.2.2'), bad], NOW)).rejects.toThrow(TypeError)
    await store.edit([addWhite('192.0.2.3')], NOW)
    expect((await rowsOf(store)).map(({ seq, key }) => [seq, key?.kind === 'host' && key.ip])).toEqual([
      [1, '192.0.2.1'],
      [2, '192.0.2.3'],
    ])
  })

  test('what changes nothing leaves no row', async () => {
    const store = await scratch.store()
    await store.edit([addWhite('192.0.2.1')], NOW)
    await store.edit(
      [
        { operation: 'add', kind: 'WHITE', ip: '192.0.2.1', options: { ifMissing: true } },
        { operation: 'delete', key: { kind: 'host', ip: '192.0.2.77' } },
      ],
      NOW,
    )
    expect(await rowsOf(store)).toHaveLength(1)
  })

  test('a large import is one row without a key', async () => {
    const store = await scratch.store({ durability: 'normal' })
    const entries: Entry[] = Array.from({ length: 25_000 }, (_, n) => ({
      kind: 'WHITE',
      ip: `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`,
      first: NOW,
      pass: NOW,
      expire: NOW + 9,
      bcount: 1,
      pcount: 0,
    }))
    await store.upsertAll([entries], { ifMissing: false, now: NOW })
    const rows = await rowsOf(store)
    expect(rows.map(brief)).toEqual(['1  - - import'])
    expect(rows[0]).toMatchObject({ key: undefined, stamp: { time: NOW * 1000 } })
  })

  sqliteTest(
    'stamps never go back when the clock does, and a copy of the database is another node',
    async () => {
      const path = scratch.create()
      const store = await scratch.open(path)
      await store.edit([addWhite('192.0.2.1')], NOW)
      await store.edit([addWhite('192.0.2.2')], NOW - 86_400)
      await store.close()
      const copyPath = join(scratch.folder(), 'copy')
      copyFileSync(path, copyPath)
      const copy = await scratch.open(copyPath)
      await copy.edit([addWhite('192.0.2.3')], NOW + 1)
      const [first, second, third] = (await rowsOf(copy)).map(({ stamp }) => stamp)
      expect(compareStamps(first, second)).toBeLessThan(0)
      expect(compareStamps(second, third)).toBeLessThan(0)
      expect(first?.node).toBe(second?.node)
      expect(third?.node).not.toBe(second?.node)
      const again = await scratch.open(copyPath)
      await again.edit([addWhite('192.0.2.4')], NOW + 2)
      expect((await rowsOf(again, 3))[0]?.stamp.node).toBe(third?.node)
    },
  )
})

sqliteSuite('trimming', () => {
  const fill = async (store: Store, count: number, now: number): Promise<void> => {
    for (let start = 0; start < count; start += 5000) await store.edit(hosts(5000, start), now)
  }

  test('without readers the last 20,000 rows stay; with one, all that it has not read', async () => {
    const store = await scratch.store({ durability: 'normal' })
    await store.saveJournalPosition('sync', 0, NOW)
    await fill(store, 40_000, NOW)
    expect(await store.readJournal(0, 1)).toMatchObject({ rows: [{ seq: 1 }], isBehind: false })
    await store.saveJournalPosition('sync', 30_000, NOW)
    expect(await store.journalPosition('sync')).toBe(30_000)
    await fill(store, 30_000, NOW)
    expect((await store.readJournal(0, 1)).isBehind).toBe(true)
    expect(await store.readJournal(30_000, 1)).toMatchObject({ rows: [{ seq: 30_001 }], newest: 70_000 })
    await store.saveJournalPosition('sync', undefined, NOW)
    expect(await store.journalPosition('sync')).toBeUndefined()
    await fill(store, 20_000, NOW)
    expect((await store.readJournal(30_000, 1)).isBehind).toBe(true)
    expect((await store.readJournal(70_000, 1)).rows).toHaveLength(1)
  })

  test('a reader that was not seen for a week holds nothing back', async () => {
    const store = await scratch.store({ durability: 'normal' })
    await store.saveJournalPosition('pull', 0, NOW)
    await fill(store, 30_000, NOW)
    expect((await store.readJournal(0, 1)).isBehind).toBe(false)
    await fill(store, 5000, NOW + 8 * 86_400)
    expect((await store.readJournal(0, 1)).isBehind).toBe(true)
  })
})
