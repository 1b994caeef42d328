import Database from 'better-sqlite3'
import { describe, expect, test, vi } from 'vitest'
import { formatSpamdbLine } from '../../../src/codec/database/spamdb-text.js'
import type { Connection } from '../../../src/db/connection.js'
import { findRange, firstKey, RANGE_ROWS } from '../../../src/db/listing/key-ranges.js'
import type { Store } from '../../../src/db/store.js'
import { ENTRY_KINDS, type Entry } from '../../../src/domain/entry.js'
import { compileQuery, sortKeyOf } from '../../../src/domain/query-match.js'
import { entriesOf, listingOf, NOW, Scratch, sqliteTest } from '../../support/scratch-database.js'

const scratch = new Scratch()

/** Enough for three ranges of tuples and two of addresses, with one address that has many tuples. */
function manyEntries(): Entry[] {
  const entries: Entry[] = []
  for (let n = 0; n < RANGE_ROWS * 2 + 500; n += 1) {
    const ip = n % 3 === 0 ? '192.0.2.1' : `10.0.${n >> 8}.${n & 255}`
    const first = (n * 7919) % 1000
    const times = { first, pass: first + 1, expire: first + 2, bcount: n % 5, pcount: 0 }
    entries.push({
      kind: 'GREY',
      ip,
      helo: `h${n % 11}\xe9`,
      from: `<f${n}@x.org>`,
      to: '<t@y.net>',
      ...times,
    })
    if (n < RANGE_ROWS + 300) {
      const isTrapped = n % 50 === 0
      const host = { ip: `10.1.${n >> 8}.${n & 255}`, ...times, pcount: isTrapped ? -1 : n }
      entries.push({ kind: isTrapped ? 'TRAPPED' : 'WHITE', ...host })
    }
  }
  entries.push({ kind: 'SPAMTRAP', address: 'a@b', first: 3 }, { kind: 'SPAMTRAP', address: 'c@d', first: 2 })
  return entries
}

async function filled(): Promise<{ store: Store; all: Entry[] }> {
  const store = await scratch.store({ durability: 'normal' })
  await store.upsert(manyEntries(), { ifMissing: false })
  return { store, all: await entriesOf(store) }
}

sqliteTest('a network is looked up, and every step of a long one goes on where the last ended', async () => {
  const { store } = await filled()
  const database = new Database(store.location, { readonly: true })
  const prepared: string[] = []
  const connection = {
    prepare: (sql: string) => {
      prepared.push(sql)
      return database.prepare(sql)
    },
  } as unknown as Connection
  const scope = { low: '10.', high: '10/' }
  for (const kind of ['GREY', 'WHITE', 'TRAPPED'] as const) {
    findRange(connection, kind, undefined, 10, scope).select('count(*)')
    const startCount = prepared.length
    findRange(connection, kind, kind === 'GREY' ? ['10.0', 'a', 'b', 'c'] : ['10.0'], 10, scope).select(
      'count(*)',
    )
    for (const [index, sql] of prepared.splice(0).entries()) {
      const parameters = Array.from(sql.matchAll(/\?/g), () => '')
      const plan = database.prepare(`EXPLAIN QUERY PLAN ${sql}`).all(...parameters) as { detail: string }[]
      const lowerBound = kind === 'GREY' && index >= startCount ? '\\(ip,helo,from,to\\)>\\(' : 'ip>'
      expect(plan[0]?.detail).toMatch(new RegExp(`^SEARCH .*\\(${lowerBound}`))
    }
  }
  database.close()
})

sqliteTest('one address is looked up, not searched for', async () => {
  const { store } = await filled()
  const database = new Database(store.location, { readonly: true })
  const prepared: string[] = []
  const connection = {
    prepare: (sql: string) => {
      prepared.push(sql)
      return database.prepare(sql)
    },
  } as unknown as Connection
  for (const kind of ['GREY', 'WHITE', 'TRAPPED'] as const) {
    for (const ip of ['192.0.2.1', '192.0.2.1\xe9']) {
      findRange(connection, kind, firstKey(kind), RANGE_ROWS, { ip }).select('count(*)')
    }
  }
  expect(prepared).toHaveLength(12)
  for (const sql of prepared) {
    const parameters = Array.from(sql.matchAll(/\?/g), () => '')
    const plan = database.prepare(`EXPLAIN QUERY PLAN ${sql}`).all(...parameters) as { detail: string }[]
    expect(plan[0]?.detail).toMatch(/^SEARCH .*\(ip=\?/)
  }
  database.close()
})

describe('listing over many ranges', () => {
  test('brings every entry once, kinds in order', async () => {
    const { all } = await filled()
    const wanted = manyEntries()
    expect(all).toHaveLength(wanted.length)
    expect(new Set(all.map((entry) => JSON.stringify(entry))).size).toBe(wanted.length)
    const ranks = all.map((entry) => ENTRY_KINDS.indexOf(entry.kind))
    expect(ranks).toEqual(ranks.toSorted((left, right) => left - right))
  })

  test('queries agree with the same test on the whole list; counts with both', async () => {
    const { store, all } = await filled()
    for (const query of [
      {},
      { kinds: ['WHITE', 'SPAMTRAP'] as const },
      { kinds: [] },
      { network: '10.0.1.0/24' },
      { ip: '192.0.2.1' },
      { ip: '10.0.0.1', kinds: ['GREY'] as const },
      { ip: '10.1.0.1' },
      { ip: '10.1.0.1', sort: 'ip' as const },
      { ip: 'nowhere\xe9' },
      { from: 'x.org', helo: 'h1*', createdBefore: 500 },
      { expiresBy: 20.5 },
      { createdBefore: 2.5 },
      { createdBefore: Number.NEGATIVE_INFINITY },
    ]) {
      const wanted = all.filter(compileQuery(query))
      expect(await entriesOf(store, query)).toEqual(wanted)
      const counts = { WHITE: 0, TRAPPED: 0, SPAMTRAP: 0, GREY: 0, POOL: 0 }
      for (const entry of wanted) counts[entry.kind] += 1
      expect(await store.count(query)).toEqual(counts)
      expect((await listingOf(store, query)).split('\n')).toHaveLength(wanted.length + 1)
      expect(await entriesOf(store, { ...query, limit: 7 })).toEqual(wanted.slice(0, 7))
    }
    expect(await entriesOf(store, { limit: 0 })).toEqual([])
  })

  test('sorting by each field; entries without it come last, ties keep the order', async () => {
    const { store, all } = await filled()
    for (const sort of ['ip', 'kind', 'first', 'expire', 'helo'] as const) {
      const keyed = all.map((entry) => ({ entry, key: sortKeyOf(entry, sort) }))
      keyed.sort((left, right) => {
        if (left.key === right.key) return 0
        if (left.key === undefined) return 1
        if (right.key === undefined) return -1
        return left.key < right.key ? -1 : 1
      })
      const wanted = keyed.map(({ entry }) => entry)
      expect(await entriesOf(store, { sort })).toEqual(wanted)
      expect(await entriesOf(store, { sort, limit: 5 })).toEqual(wanted.slice(0, 5))
    }
    expect((await listingOf(store, { sort: 'first', limit: 2 })).split('\n')).toHaveLength(3)
  })

  sqliteTest(
    'a listing sorted by a text without limit sorts in runs, not in a tree that takes three times as long',
    async () => {
      const store = await scratch.store()
      await store.upsert(manyEntries(), { ifMissing: false })
      const prepare = vi.spyOn(Database.prototype, 'prepare')
      try {
        await listingOf(store, { sort: 'helo' })
        const sorting = prepare.mock.calls
          .map(([sql]) => sql)
          .filter((sql) => sql.includes('ORDER BY sort_key'))
        expect(sorting).toHaveLength(1)
        const copy = new Database(store.location, { readonly: true })
        const opcodes = copy.prepare(`EXPLAIN ${sorting[0]}`).all() as { opcode: string }[]
        copy.close()
        expect(opcodes.map(({ opcode }) => opcode)).toContain('SorterOpen')
      } finally {
        prepare.mockRestore()
      }
    },
  )

  test('a sorted listing that is abandoned leaves nothing behind', async () => {
    const { store } = await filled()
    for (let round = 0; round < 2; round += 1) {
      for await (const entries of store.list({ sort: 'first' })) {
        expect(entries.length).toBeGreaterThan(0)
        break
      }
    }
    expect(await entriesOf(store, { sort: 'first', limit: 1 })).toHaveLength(1)
  })

  test('a reader works on a store that may only read, also sorted', async () => {
    const { store } = await filled()
    const reader = await scratch.open(store.location, { mode: 'read' })
    expect(await entriesOf(reader, { sort: 'pcount' })).toEqual(await entriesOf(store, { sort: 'pcount' }))
    await expect(reader.edit([{ operation: 'add', kind: 'WHITE', ip: '::1' }], NOW)).rejects.toMatchObject({
      code: 'ERR_DB_READONLY',
    })
  })
})

sqliteTest('a stopped reader of a sorted listing holds nothing, and shows one moment', async () => {
  const { store, all } = await filled()
  const reader = await scratch.open(store.location, { mode: 'read' })
  const pages = reader.listText({ sort: 'expire', isDescending: true })[Symbol.asyncIterator]()
  const first = await pages.next()
  await store.edit([{ operation: 'add', kind: 'WHITE', ip: '255.0.0.1' }], NOW)
  const other = new Database(store.location)
  expect(other.pragma('wal_checkpoint(TRUNCATE)')).toEqual([{ busy: 0, log: 0, checkpointed: 0 }])
  other.close()
  const lines = [Buffer.from(first.value as Uint8Array)]
  for (let page = await pages.next(); page.done !== true; page = await pages.next()) {
    lines.push(Buffer.from(page.value))
  }
  expect(lines.length).toBeGreaterThan(1)
  const text = Buffer.concat(lines).toString('latin1')
  expect(text.split('\n')).toHaveLength(all.length + 1)
  expect(text).not.toContain('255.0.0.1')
})

sqliteTest('a stopped reader holds nothing: writers go on and the log can be emptied', async () => {
  const { store, all } = await filled()
  const reader = await scratch.open(store.location, { mode: 'read' })
  const pages = reader.listText()[Symbol.asyncIterator]()
  expect((await pages.next()).done).toBe(false)
  const other = await scratch.open(store.location, { busyTimeoutMs: 0 })
  expect((await other.edit([{ operation: 'add', kind: 'WHITE', ip: '255.0.0.1' }], NOW)).outcomes).toEqual([
    'added',
  ])
  expect(
    (await other.edit([{ operation: 'delete', key: { kind: 'host', ip: '10.1.0.1' } }], NOW)).outcomes,
  ).toEqual(['deleted'])
  const rest: string[] = []
  for (let page = await pages.next(); page.done !== true; page = await pages.next()) {
    rest.push(Buffer.from(page.value).toString('latin1'))
  }
  expect(rest.join('')).toContain('WHITE|255.0.0.1|')
  expect(all.length).toBeGreaterThan(RANGE_ROWS)
})

test('the text of 10,002 addresses and what a limit leaves of it is that of their entries', async () => {
  const store = await scratch.store({ durability: 'normal' })
  const times = { first: 1, pass: 2, bcount: 3 }
  const hosts = Array.from({ length: 10_002 }, (_, n): Entry => {
    const host = { ip: n % 100 === 0 ? `2001:db8::${n}` : `10.${n % 7}.${n >> 8}.${n & 255}`, ...times }
    return n % 2500 === 0
      ? { kind: 'TRAPPED', ...host, expire: NOW + n, pcount: -1 }
      : { kind: 'WHITE', ...host, expire: n % 3 === 0 ? 0 : NOW + n, pcount: n }
  })
  await store.upsertAll([hosts], { ifMissing: false, now: NOW })
  const lines = (await entriesOf(store)).map((entry) => `${formatSpamdbLine(entry)}\n`)
  expect(lines).toHaveLength(10_002)
  expect(await listingOf(store)).toBe(lines.join(''))
  for (const limit of [9_996, 9_997, 9_998, 10_000, 10_001]) {
    expect(await listingOf(store, { limit })).toBe(lines.slice(0, limit).join(''))
  }
})
