/** The table of a whole list, made from bytes, beside that made from entries: the same bytes. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { openRenderer, renderHuman } from '../../../../src/cli/spamdb/entry-renderers.js'
import { RANGE_ROWS } from '../../../../src/db/listing/key-ranges.js'
import type { Store } from '../../../../src/db/store.js'
import { ENTRY_KINDS, type Entry } from '../../../../src/domain/entry.js'
import type { EntryQuery } from '../../../../src/domain/query.js'
import { entriesOf, NOW, runsWithDatabase, Scratch } from '../../../support/scratch-database.js'

const scratch = new Scratch()
const SETTING = { nowSec: NOW, width: undefined }

async function fromStore(store: Store, query: EntryQuery): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of renderHuman(store, query, SETTING)) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks).toString('latin1')
}

async function fromEntries(store: Store, query: EntryQuery): Promise<string> {
  const { render, end } = openRenderer('human', SETTING)
  return (await entriesOf(store, query)).map(render).join('') + end()
}

const ip = fc.oneof(
  fc.constantFrom('192.0.2.1', '2001:db8::1', '2001:db8:1111:2222:3333:4444:5555:6666', '255.255.255.255'),
  fc.nat({ max: 255 }).map((last) => `198.51.100.${last}`),
)
/** Also beyond the range of a date, and with a year of five digits. */
const time = fc.oneof(
  fc.integer({ min: NOW - 9_000_000, max: NOW + 9_000_000 }),
  fc.integer({ min: NOW - 90_000, max: NOW + 90_000 }),
  fc.constantFrom(0, -1, NOW, 253_402_300_800, 8_640_000_000_000, -9_000_000_000_000),
)
const times = fc.record({
  first: time,
  pass: time,
  expire: time,
  bcount: fc.constantFrom(0, 7, 2_147_483_647),
})
const comment = fc.constantFrom({}, {}, { comment: 'good friend' }, { comment: 'ä\n\\x0a|' })
const pcount = fc.constantFrom(0, 12, -3)
const word = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom('mx.example.org', '', '<s@example.org>', '<>') },
  fc.constantFrom('a|b', 'a,b', 'tab\t', '\x7f', '\\x7c', '\xe9\xff', '\xe2\x82\xac', '"q"'),
)
const entry: fc.Arbitrary<Entry> = fc.oneof(
  fc
    .record({ ip, times, pcount, comment })
    .map(({ ip, times, pcount, comment }): Entry => ({ kind: 'WHITE', ip, ...times, pcount, ...comment })),
  fc
    .record({ ip, times, comment })
    .map(({ ip, times, comment }): Entry => ({ kind: 'TRAPPED', ip, ...times, pcount: -1, ...comment })),
  fc
    .record({ word, first: time, comment })
    .map(
      ({ word, first, comment }): Entry => ({ kind: 'SPAMTRAP', address: `${word}@x`, first, ...comment }),
    ),
  fc
    .record({ ip, helo: word, from: word, to: word, times, pcount })
    .map(({ times, ...tuple }): Entry => ({ kind: 'GREY', ...tuple, ...times })),
)

test('is the same for any entries, also where a condition is left to JavaScript', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(entry, { maxLength: 12 }), async (entries) => {
      const store = await scratch.store({ durability: 'normal' })
      await store.upsert(entries, { ifMissing: false })
      for (const query of [
        {},
        { kinds: ENTRY_KINDS },
        { from: '*s*' },
        { sort: 'expire' },
        { limit: 3 },
      ] as const) {
        expect(await fromStore(store, query)).toBe(await fromEntries(store, query))
      }
    }),
    { numRuns: runsWithDatabase(60) },
  )
})

test('is the same for several ranges of each kind, with odd rows among them', async () => {
  const store = await scratch.store({ durability: 'normal' })
  const entries: Entry[] = []
  for (let n = 0; n < RANGE_ROWS * 2 + 70; n += 1) {
    const ip = n === 3000 ? '2001:db8:1111:2222:3333:4444:5555:6666' : `10.0.${n >> 8}.${n & 255}`
    const counts = {
      first: NOW - n * 61,
      pass: NOW,
      expire: NOW + n * 700,
      bcount: n,
      pcount: n % 3 === 0 ? -1 : n,
    }
    const helo = n === 2500 ? 'a\x01b' : 'h'
    entries.push({ kind: 'GREY', ip, helo, from: `<f${n}@x.org>`, to: '<t@y.net>', ...counts, pcount: 0 })
    const note = n === 1234 ? { comment: 'seen, and noted' } : {}
    entries.push({ kind: n % 3 === 0 ? 'TRAPPED' : 'WHITE', ip, ...counts, ...note })
  }
  await store.upsert(entries, { ifMissing: false })
  const text = await fromStore(store, {})
  expect(text).toBe(await fromEntries(store, {}))
  expect(text.match(/^KIND /gm)!.length).toBeGreaterThan(1)
})
