/** Pages of a real database are overwritten: what is still readable comes out, and each gap is named. */
import { closeSync, openSync, writeSync } from 'node:fs'
import Database from 'better-sqlite3'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { openStore } from '../../../src/db/open-store.js'
import type { DamagedGap } from '../../../src/db/store.js'
import { ENTRY_KINDS, type Entry } from '../../../src/domain/entry.js'
import { NOW, Scratch } from '../../support/scratch-database.js'

const scratch = new Scratch()
const PAGE_BYTES = 4096
const times = { first: NOW, pass: NOW, expire: NOW + 9, bcount: 1, pcount: 0 }

/** Tuples of several ranges, half of them with bytes that are not ASCII, and some hosts. */
function manyEntries(): Entry[] {
  const entries: Entry[] = []
  for (let n = 0; n < 5000; n += 1) {
    const ip = `10.0.${n >> 8}.${n & 255}`
    const helo = n % 2 === 0 ? 'h' : 'h\xe9\xff'
    entries.push({ kind: 'GREY', ip, helo, from: `<f${n}@x.org>`, to: '<t@y.net>', ...times })
    if (n < 300)
      entries.push({ kind: n % 3 === 0 ? 'TRAPPED' : 'WHITE', ip, ...times, pcount: n % 3 === 0 ? -1 : 0 })
  }
  return entries
}

/** A fresh database, its entries in order, and the pages of its tuples from the first leaf to the last. */
async function filled(): Promise<{ path: string; all: Entry[]; leaves: number[]; root: number }> {
  const path = scratch.create()
  const store = await openStore(path, { mode: 'write' })
  await store.upsert(manyEntries(), { ifMissing: false })
  const all: Entry[] = []
  for await (const entries of store.list()) all.push(...entries)
  await store.close()
  const database = new Database(path, { readonly: true })
  const pages = database
    .prepare(
      "SELECT pageno, pagetype FROM dbstat WHERE name = 'sqlite_autoindex_tuples_1' OR name = 'tuples' ORDER BY path",
    )
    .all() as { pageno: number; pagetype: string }[]
  database.close()
  return {
    path,
    all,
    leaves: pages.filter(({ pagetype }) => pagetype === 'leaf').map(({ pageno }) => pageno),
    root: pages[0]!.pageno,
  }
}

function damage(path: string, pages: readonly number[]): void {
  const file = openSync(path, 'r+')
  for (const page of pages) {
    writeSync(file, Buffer.alloc(PAGE_BYTES, 0xa5), 0, PAGE_BYTES, (page - 1) * PAGE_BYTES)
  }
  closeSync(file)
}

/** Entries as lines of JSON, each made from the entry. */
const AS_ENTRIES = {
  render: (entries: readonly Entry[]) => entries.map((entry) => `${keyOf(entry)}\n`).join(''),
  needsEntries: () => true,
}

async function readable(path: string): Promise<{ read: Entry[]; gaps: DamagedGap[] }> {
  const store = await openStore(path, { mode: 'read' })
  const gaps: DamagedGap[] = []
  const read: Entry[] = []
  const onGap = (gap: DamagedGap): number => gaps.push(gap)
  for await (const chunk of store.listReadable(ENTRY_KINDS, onGap, AS_ENTRIES)) {
    const lines = Buffer.from(chunk).toString('latin1').split('\n').slice(0, -1)
    read.push(...lines.map((line) => JSON.parse(line) as Entry))
  }
  await store.close()
  return { read, gaps }
}

const keyOf = (entry: Entry): string => JSON.stringify(entry)

describe('what a damaged database still holds', () => {
  test('a sound one is read whole, without a gap', async () => {
    const { path, all } = await filled()
    expect(await readable(path)).toEqual({ read: all, gaps: [] })
  })

  test('all but what stands between the outermost damaged pages, which the gap names', async () => {
    const { path, all, leaves } = await filled()
    expect(leaves.length).toBeGreaterThan(50)
    const hosts = all.filter(({ kind }) => kind !== 'GREY')
    const tuples = all.filter(({ kind }) => kind === 'GREY')
    const perLeaf = tuples.length / leaves.length
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.nat({ max: leaves.length - 1 }), { minLength: 1, maxLength: 3 }),
        async (indexes) => {
          const copy = scratch.create()
          const source = new Database(path, { readonly: true })
          await source.backup(copy)
          source.close()
          damage(
            copy,
            indexes.map((index) => leaves[index]!),
          )
          const { read, gaps } = await readable(copy)
          expect(gaps).toHaveLength(1)
          const { kind, after, before } = gaps[0]!
          expect(kind).toBe('GREY')
          const keys = tuples.map(keyOf)
          const start = after === undefined ? 0 : keys.indexOf(keyOf(after)) + 1
          const end = before === undefined ? keys.length : keys.indexOf(keyOf(before))
          expect(read.map(keyOf).toSorted()).toEqual(
            [...hosts.map(keyOf), ...keys.slice(0, start), ...keys.slice(end)].toSorted(),
          )
          // No more is lost than the pages from the first damaged one to the last, and a row of their parents.
          const spannedLeaves = Math.max(...indexes) - Math.min(...indexes) + 1
          expect(end - start).toBeGreaterThan(0)
          expect(end - start).toBeLessThan((spannedLeaves + 1) * 2 * perLeaf)
          expect(after === undefined).toBe(indexes.includes(0))
          expect(before === undefined).toBe(indexes.includes(leaves.length - 1))
        },
      ),
      { numRuns: 30 },
    )
  })

  test('nothing of a kind whose root is gone, and everything of the others', async () => {
    const { path, all, root } = await filled()
    damage(path, [root])
    const { read, gaps } = await readable(path)
    expect(gaps).toEqual([{ kind: 'GREY', after: undefined, before: undefined }])
    expect(read).toEqual(all.filter(({ kind }) => kind !== 'GREY'))
  })
})
