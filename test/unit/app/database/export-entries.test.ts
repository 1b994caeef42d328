/** SQLite makes the lines of an export; they must be those that the entries themselves give, byte for byte. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { exportEntries, exportForm } from '../../../../src/app/database/export-entries.js'
import { RANGE_ROWS } from '../../../../src/db/listing/key-ranges.js'
import type { Store } from '../../../../src/db/store.js'
import { CLASSIC_KINDS, type Entry } from '../../../../src/domain/entry.js'
import { entriesOf, NOW, runsWithDatabase, Scratch } from '../../../support/scratch-database.js'

const scratch = new Scratch()

async function exported(store: Store): Promise<string> {
  const chunks: Uint8Array[] = []
  for await (const chunk of exportEntries(store, () => undefined)) chunks.push(chunk)
  return Buffer.concat(chunks).toString('latin1')
}

/** The same made in JavaScript, entry by entry. */
async function rendered(store: Store): Promise<string> {
  return exportForm().render(await entriesOf(store, { kinds: CLASSIC_KINDS }))
}

const ip = fc.oneof(
  fc.constantFrom('192.0.2.1', '10.1.2.3', '2001:db8::1', '::1', '2001:db8:0:1::ff'),
  fc.nat({ max: 255 }).map((last) => `198.51.100.${last}`),
)
/** Ends of pins, and the largest numbers that are stored. */
const number = fc.constantFrom(0, -1, 1, NOW, NOW + 1500, Number.MAX_SAFE_INTEGER)
const times = fc.record({
  first: number,
  pass: number,
  expire: number,
  bcount: fc.constantFrom(0, 1, 2_147_483_647),
})
const comment = fc.constantFrom(undefined, undefined, 'good friend', 'ä\n\\x0a|', '\u{1f4e7}')
const word = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom('mx.example.org', '', '<s@example.org>', '<>', 't@example.net') },
  fc.constantFrom('a|b', '<a|<b>', 'tab\t', '\x01', '\x7f', '\\x7c', 'back\\slash', '\xe9\xff', '"q"', 'a<b'),
)
const tupleIp = fc.oneof(
  { weight: 6, arbitrary: ip },
  fc.constantFrom('192.0.2.0/24', '2001:db8::/64', 'spf:example.org', 'learn', 'release:7kx2m9qa'),
)
const entry: fc.Arbitrary<Entry> = fc.oneof(
  fc.record({ ip, times, comment }).map(
    ({ ip, times, comment }): Entry => ({
      kind: 'WHITE',
      ip,
      ...times,
      pcount: 2,
      ...(comment === undefined ? {} : { comment }),
    }),
  ),
  fc.record({ ip, times, comment }).map(
    ({ ip, times, comment }): Entry => ({
      kind: 'TRAPPED',
      ip,
      ...times,
      pcount: -1,
      ...(comment === undefined ? {} : { comment }),
    }),
  ),
  fc.record({ name: word, first: number, comment }).map(
    ({ name, first, comment }): Entry => ({
      kind: 'SPAMTRAP',
      address: `${name}@x`,
      first,
      ...(comment === undefined ? {} : { comment }),
    }),
  ),
  fc.record({ ip: tupleIp, helo: word, from: word, to: word, times }).map(
    ({ times, ...tuple }): Entry => ({
      kind: 'GREY',
      ...tuple,
      ...times,
      pcount: 0,
    }),
  ),
)

describe('an export', () => {
  test('has the lines of the entries, whichever bytes, comments and pins they have', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(entry, { maxLength: 12 }), async (entries) => {
        const store = await scratch.store({ durability: 'normal' })
        await store.upsert(entries, { ifMissing: false })
        expect(await exported(store)).toBe(await rendered(store))
      }),
      { numRuns: runsWithDatabase(60) },
    )
  })

  // The first range of tuples tells whether they have brackets; each odd entry stands in a later one.
  test.each<[string, Partial<Entry>]>([
    ['an ordinary one', {}],
    ['a bar', { helo: 'a|b', from: 'c', to: 'd' }],
    ['a bar that cannot be misread', { from: '<a|b@c>' }],
    ['a control character', { helo: 'a\x01' }],
    ['a line feed', { helo: 'a\n' }],
    ['a backslash', { helo: '\\x0a' }],
    ['bytes that are not UTF-8', { helo: '\xe9\xff' }],
    ['no brackets', { from: 'c', to: 'd' }],
    ['an empty HELO', { helo: '' }],
    ['the key of a pool', { ip: 'learn', helo: '' }],
    ['a network as key', { ip: '203.0.113.0/24', helo: '' }],
    ['a network that is no key', { ip: '203.0.113.0/24' }],
    ['a domain as key', { ip: 'spf:example.org', helo: '' }],
    ['a released address', { ip: 'release:7kx2m9qa', helo: '' }],
  ])('has them in the middle of many: %s', async (_name, odd) => {
    const store = await scratch.store({ durability: 'normal' })
    const base = { kind: 'GREY', helo: 'h', from: '<f@x>', to: '<t@y>' } as const
    const counts = { first: NOW, pass: NOW, expire: NOW + 9, bcount: 1, pcount: 0 }
    const entries: Entry[] = []
    for (let n = 0; n < RANGE_ROWS * 2 + 10; n += 1) {
      entries.push({ ...base, ...counts, ip: `10.0.${n >> 8}.${n & 255}` })
    }
    entries.push({ ...base, ...counts, ip: '203.0.113.9', ...odd } as Entry)
    await store.upsert(entries, { ifMissing: false })
    const text = await exported(store)
    expect(text).toBe(await rendered(store))
    expect(text.split('\n').length).toBeGreaterThan(RANGE_ROWS * 2 + 10)
  })
})
