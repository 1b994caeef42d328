import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatSpamdbLine } from '../../../src/codec/database/spamdb-text.js'
import type { Entry, GreyEntry } from '../../../src/domain/entry.js'
import { keyOf } from '../../../src/domain/entry-key.js'
import { entriesOf, listingOf, NOW, Scratch } from '../../support/scratch-database.js'

const scratch = new Scratch()
const times = { first: 1, pass: 2, expire: 3, bcount: 4, pcount: 5 }

const bytes = fc.string({
  unit: fc.integer({ min: 1, max: 255 }).map((code) => String.fromCharCode(code)),
  maxLength: 12,
})
const count = fc.nat({ max: 2 ** 31 - 1 })
const seconds = fc.integer({ min: 0, max: 2 ** 40 })
const anyTimes = { first: seconds, pass: seconds, expire: seconds, bcount: count, pcount: count }
const ip = fc.oneof(fc.ipV4(), fc.constantFrom('2001:db8::1', '::1', 'fe80::1'))
const comment = fc.option(
  fc.string({ unit: fc.constantFrom('a', 'é', '😀', '|', '\n'), minLength: 1, maxLength: 5 }),
  {
    nil: undefined,
  },
)

function withoutUndefined<Kind extends Entry>(entry: Kind): Kind {
  return Object.fromEntries(
    Object.entries(entry).filter(([, value]) => value !== undefined),
  ) as unknown as Kind
}

const anyEntry: fc.Arbitrary<Entry> = fc.oneof(
  fc
    .record({ kind: fc.constant('WHITE' as const), ip, ...anyTimes, comment })
    .map((entry) => withoutUndefined(entry as Entry)),
  fc
    .record({ kind: fc.constant('TRAPPED' as const), ip, ...anyTimes, pcount: fc.constant(-1), comment })
    .map((entry) => withoutUndefined(entry as Entry)),
  fc
    .record({
      kind: fc.constant('SPAMTRAP' as const),
      address: bytes.filter((text) => text !== ''),
      first: seconds,
      comment,
    })
    .map((entry) => withoutUndefined(entry as Entry)),
  fc.record({ kind: fc.constant('GREY' as const), ip, helo: bytes, from: bytes, to: bytes, ...anyTimes }),
)

/** Kinds in the order of a listing, within one by key, byte by byte. */
function inListingOrder(entries: readonly Entry[]): Entry[] {
  const rank = { WHITE: '0', TRAPPED: '1', SPAMTRAP: '2', GREY: '3', POOL: '4' }
  const sortText = (entry: Entry): string => {
    if (entry.kind === 'SPAMTRAP') return `${rank[entry.kind]}${entry.address}`
    if (entry.kind !== 'GREY') return `${rank[entry.kind]}${entry.ip}`
    return `${rank[entry.kind]}${entry.ip}\0${entry.helo}\0${entry.from}\0${entry.to}`
  }
  return entries.toSorted((left, right) => (sortText(left) < sortText(right) ? -1 : 1))
}

/** The last entry for each key. */
function latestByKey(entries: readonly Entry[]): Entry[] {
  return [...new Map(entries.map((entry) => [JSON.stringify(keyOf(entry)), entry])).values()]
}

describe('any bytes survive', () => {
  test('upsert, get, list and the text listing agree for every entry', async () => {
    const store = await scratch.store({ durability: 'normal' })
    await fc.assert(
      fc.asyncProperty(fc.array(anyEntry, { maxLength: 12 }), async (entries) => {
        await store.upsert(entries, { ifMissing: false })
        const latest = latestByKey(entries)
        for (const entry of latest) {
          // A later entry without comment keeps the earlier one's: compare the rest.
          const found = await store.get(keyOf(entry))
          expect({ ...found, comment: undefined }).toEqual({ ...entry, comment: undefined })
        }
        const listed = await entriesOf(store)
        expect(listed).toEqual(inListingOrder(listed))
        const lines = listed.map((entry) => `${formatSpamdbLine(entry)}\n`).join('')
        expect(await listingOf(store)).toBe(lines)
        await store.edit(
          listed.map((entry) => ({ operation: 'delete', key: keyOf(entry) })),
          NOW,
        )
        expect(await entriesOf(store)).toEqual([])
        expect((await store.check()).problems).toEqual([])
      }),
      { numRuns: 60 },
    )
  })

  test('the classic lines, character for character', async () => {
    const store = await scratch.store()
    await store.upsert(
      [
        { kind: 'GREY', ip: '192.0.2.8', helo: '', from: '<a@b>', to: '<c@d>', ...times },
        { kind: 'GREY', ip: '192.0.2.7', helo: 'h|x\x1b', from: '<\xff>', to: '<\xc3\xa9>', ...times },
        { kind: 'WHITE', ip: '192.0.2.10', ...times, expire: 0 },
        { kind: 'WHITE', ip: '192.0.2.1', ...times },
        { kind: 'SPAMTRAP', address: 'foo@bar.org', first: 5 },
        { kind: 'TRAPPED', ip: '192.0.2.2', ...times, pcount: -1 },
      ],
      { ifMissing: false },
    )
    expect(await listingOf(store)).toBe(
      [
        'WHITE|192.0.2.1|||1|2|3|4|5',
        'WHITE|192.0.2.10|||1|2|0|4|5',
        'TRAPPED|192.0.2.2|3',
        'SPAMTRAP|foo@bar.org',
        'GREY|192.0.2.7|h|x\\x1b|<\xff>|<\xc3\xa9>|1|2|3|4|5',
        'GREY|192.0.2.8||<a@b>|<c@d>|1|2|3|4|5',
        '',
      ].join('\n'),
    )
  })

  test('NUL and characters that are no bytes are refused', async () => {
    const store = await scratch.store()
    for (const helo of ['a\0b', 'Ω']) {
      const entry: GreyEntry = { kind: 'GREY', ip: '192.0.2.1', helo, from: '', to: '', ...times }
      await expect(store.upsert([entry], { ifMissing: false })).rejects.toThrow(TypeError)
    }
    expect(await entriesOf(store)).toEqual([])
  })

  test('a key of a megabyte', async () => {
    const store = await scratch.store()
    const address = `${'a'.repeat(1 << 20)}@example.org`
    await store.edit([{ operation: 'add', kind: 'SPAMTRAP', address }], NOW)
    expect(await store.get({ kind: 'spamtrap', address })).toEqual({ kind: 'SPAMTRAP', address, first: NOW })
    expect(await listingOf(store)).toBe(`SPAMTRAP|${address}\n`)
  })
})

describe('upsert', () => {
  const white = (ip: string, pcount: number): Entry => ({ kind: 'WHITE', ip, ...times, pcount })

  test('counts what it did; with ifMissing, entries of any kind stay', async () => {
    const store = await scratch.store()
    const grey: Entry = { kind: 'GREY', ip: '192.0.2.1', helo: 'h', from: 'f', to: 't', ...times }
    const trap: Entry = { kind: 'SPAMTRAP', address: 'a@b', first: 1 }
    const all = [white('192.0.2.1', 1), grey, trap]
    expect(await store.upsert(all, { ifMissing: false })).toEqual({ added: 3, updated: 0, skipped: 0 })
    const changed: Entry[] = [
      { kind: 'TRAPPED', ip: '192.0.2.1', ...times, pcount: -1 },
      { ...grey, first: 77 },
      { ...trap, first: 77 },
    ]
    expect(await store.upsert(changed, { ifMissing: true })).toEqual({ added: 0, updated: 0, skipped: 3 })
    expect(await entriesOf(store)).toEqual([white('192.0.2.1', 1), trap, grey])
    expect(await store.upsert(changed, { ifMissing: false })).toEqual({ added: 0, updated: 3, skipped: 0 })
    expect(await entriesOf(store)).toEqual([changed[0], changed[2], changed[1]])
    expect((await store.check()).problems).toEqual([])
  })

  test('upsertAll agrees with upsert, small and staged, new, updated and skipped', async () => {
    const makeEntries = (from: number, to: number, first: number): Entry[] =>
      Array.from({ length: to - from }, (_, index): Entry => {
        const number = from + ((index * 7919) % (to - from))
        const ip = `10.${(number >> 16) & 255}.${(number >> 8) & 255}.${number & 255}`
        if (number % 10 === 0) return { kind: 'WHITE', ip, ...times, first, comment: `n${number}` }
        if (number % 10 === 1) return { kind: 'SPAMTRAP', address: `t${number}@x`, first }
        return { kind: 'GREY', ip, helo: '\xe9', from: 'f', to: 't', ...times, first }
      })
    for (const [firstEnd, secondEnd] of [
      [200, 300],
      [20_500, 21_500],
    ] as const) {
      const one = await scratch.store({ durability: 'normal' })
      const other = await scratch.store({ durability: 'normal' })
      const rounds = [
        { entries: makeEntries(0, firstEnd, 100), ifMissing: false },
        { entries: makeEntries(100, secondEnd, 200), ifMissing: true },
        { entries: [...makeEntries(50, secondEnd, 300), ...makeEntries(60, 70, 400)], ifMissing: false },
      ]
      for (const { entries, ifMissing } of rounds) {
        const batches = [entries.slice(0, 7), entries.slice(7)]
        const counts = await one.upsertAll(batches, { ifMissing })
        expect(counts).toEqual(await other.upsert(entries, { ifMissing }))
      }
      expect((await listingOf(one)) === (await listingOf(other))).toBe(true)
      expect(await one.get({ kind: 'host', ip: '10.0.0.60' })).toMatchObject({ first: 400, comment: 'n60' })
      expect((await one.check()).problems).toEqual([])
    }
  })

  test('upsertAll stores nothing when a batch fails to come', async () => {
    const store = await scratch.store()
    async function* failing(): AsyncGenerator<Entry[]> {
      yield Array.from({ length: 25_000 }, (_, n): Entry => white(`10.0.${n >> 8}.${n & 255}`, 0))
      throw new Error('reading stopped')
    }
    await expect(store.upsertAll(failing(), { ifMissing: false })).rejects.toThrow('reading stopped')
    expect(await entriesOf(store)).toEqual([])
    expect(await store.upsertAll([[white('10.0.0.1', 0)]], { ifMissing: false })).toMatchObject({ added: 1 })
  })
})

test('tuples are counted by the time at which they began', async () => {
  const store = await scratch.store()
  const tuple = (ip: string, first: number): GreyEntry => ({
    kind: 'GREY',
    ip,
    helo: 'mx',
    from: '<a@b>',
    to: '<c@d>',
    first,
    pass: NOW + 60,
    expire: NOW + 60,
    bcount: 1,
    pcount: 0,
  })
  await store.upsert([tuple('192.0.2.1', NOW - 60), tuple('192.0.2.2', NOW), tuple('2001:db8::1', NOW)], {
    ifMissing: false,
  })
  expect(await store.countTuplesBefore([NOW - 60, NOW, NOW + 1])).toEqual([0, 1, 3])
  expect(await store.countTuplesBefore([])).toEqual([])
})
