import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { openRenderer, renderLines } from '../../../src/cli/spamdb/entry-renderers.js'
import { ENTRY_KINDS, type Entry } from '../../../src/domain/entry.js'
import { type EntryQuery, SORT_FIELDS } from '../../../src/domain/query.js'
import { compileQuery, sortKeyOf } from '../../../src/domain/query-match.js'
import { bytesToIp, formatCidr, isInNetwork, networkOf } from '../../../src/ip/cidr.js'
import { textRangesOf } from '../../../src/ip/text-ranges.js'
import { entriesOf, listingOf, Scratch } from '../../support/scratch-database.js'

const scratch = new Scratch()

/** Few values for each part, so that networks hold several addresses and zeros stand together. */
const octet = fc.constantFrom(0, 1, 2, 9, 10, 11, 99, 100, 127, 128, 199, 255)
const group = fc.constantFrom(0, 0, 0, 1, 2, 0x10, 0xff, 0x2ff, 0x2000, 0x2001, 0xdb8, 0xfe80, 0xffff)
const address4 = fc.array(octet, { minLength: 4, maxLength: 4 }).map((bytes) => bytes.join('.'))
const address6 = fc
  .array(group, { minLength: 8, maxLength: 8 })
  .filter((groups) => groups.slice(0, 5).some((one) => one !== 0) || groups[5] !== 0xffff)
  .map((groups) => bytesToIp(Uint8Array.from(groups.flatMap((one) => [one >> 8, one & 255]))))
const address = fc.oneof(address4, address6)
const network = fc
  .tuple(address, fc.integer({ min: 0, max: 128 }))
  .map(([ip, length]) => networkOf(ip, ip.includes(':') ? length : length % 33))
  .filter(({ address: ip }) => !ip.startsWith('::ffff:'))

const part = fc.constantFrom(
  'a', 'A', 'b', 'B', '.', '@', '<', '>', '%', '_', '\\', "'", '"', ',', 'x.org', '\xc3', '\xa9', '\xff', '\x01', '\x7f',
) // biome-ignore format: one list
const text = fc.array(part, { maxLength: 5 }).map((parts) => parts.join(''))
const field = fc.oneof(
  text,
  text.map((bare) => `<${bare}>`),
)
const pattern = fc
  .array(fc.oneof(part, fc.constantFrom('*', '?')), { maxLength: 4 })
  .map((parts) => parts.join(''))
const time = fc.integer({ min: -2, max: 12 })
const times = fc.record({
  first: time,
  pass: time,
  expire: time,
  bcount: time,
  pcount: fc.integer({ min: 0, max: 5 }),
})
const note = fc.option(fc.constantFrom('why', 'é "x", y\n'), { nil: undefined })

const host = fc.record({ ip: address, times, isTrapped: fc.boolean(), comment: note }).map(
  ({ ip, times: { pcount, ...rest }, isTrapped, comment }): Entry => ({
    kind: isTrapped ? 'TRAPPED' : 'WHITE',
    ip,
    ...rest,
    pcount: isTrapped ? -1 : pcount,
    ...(comment === undefined ? {} : { comment }),
  }),
)
const spamtrap = fc.record({ name: text, first: time, comment: note }).map(
  ({ name, first, comment }): Entry => ({
    kind: 'SPAMTRAP',
    address: `${name}@x`,
    first,
    ...(comment === undefined ? {} : { comment }),
  }),
)
const tuple = fc
  .record({ ip: fc.oneof(address, network.map(formatCidr)), helo: text, from: field, to: field, times })
  .map(({ times: rest, ...key }): Entry => ({ kind: 'GREY', ...key, ...rest }))
/** Nothing to escape: what SQLite writes by itself. */
const plain = fc.array(
  fc.record({ ip: address4, word: fc.constantFrom('a', 'mx.org', 'caf\xc3\xa9'), times }).map(
    ({ ip, word, times: rest }): Entry => ({
      kind: 'GREY',
      ip,
      helo: word,
      from: `<${word}@x.org>`,
      to: '<b@y>',
      ...rest,
    }),
  ),
  { minLength: 20, maxLength: 30 },
)
const mixed = fc.array(fc.oneof({ weight: 2, arbitrary: host }, spamtrap, { weight: 3, arbitrary: tuple }), {
  minLength: 30,
  maxLength: 60,
})

const entries = fc.oneof(mixed, plain)

const query = fc.record(
  {
    kinds: fc.subarray([...ENTRY_KINDS]),
    ip: address,
    network: network.map(formatCidr),
    from: pattern,
    to: pattern,
    helo: pattern,
    expiresBy: time,
    createdBefore: time,
    sort: fc.constantFrom(...SORT_FIELDS),
    isDescending: fc.boolean(),
    limit: fc.integer({ min: 0, max: 8 }),
  },
  { requiredKeys: [] },
)

/** What a query gives when every entry is looked at. */
function slowly(all: readonly Entry[], { sort, limit, isDescending, ...conditions }: EntryQuery): Entry[] {
  const found = all.filter(compileQuery(conditions))
  if (sort !== undefined) {
    const keys = new Map(found.map((entry) => [entry, sortKeyOf(entry, sort)]))
    found.sort((left, right) => {
      const [one, other] = [keys.get(left), keys.get(right)]
      if (one === other) return 0
      if (one === undefined) return 1
      if (other === undefined) return -1
      return one < other === (isDescending !== true) ? -1 : 1
    })
  }
  return found.slice(0, limit)
}

describe('what SQLite finds by ranges and conditions is what a look at every entry finds', () => {
  test('entries, text and counts, for every combination of conditions, order and limit', async () => {
    await fc.assert(
      fc.asyncProperty(entries, fc.array(query, { minLength: 25, maxLength: 25 }), async (given, queries) => {
        const store = await scratch.store({ durability: 'normal' })
        await store.upsert(given, { ifMissing: false })
        const all = await entriesOf(store)
        const lines = (await listingOf(store)).split('\n')
        const lineOf = new Map(all.map((entry, index) => [JSON.stringify(entry), lines[index]]))
        for (const asked of queries) {
          const wanted = slowly(all, asked)
          expect(await entriesOf(store, asked), JSON.stringify(asked)).toEqual(wanted)
          expect(await listingOf(store, asked), JSON.stringify(asked)).toBe(
            wanted.map((entry) => `${lineOf.get(JSON.stringify(entry))}\n`).join(''),
          )
          for (const format of ['json', 'ndjson', 'csv'] as const) {
            const pieces: Uint8Array[] = []
            for await (const piece of renderLines(format, store, asked)) pieces.push(piece)
            const renderer = openRenderer(format, { nowSec: 0, width: undefined })
            const rendered =
              renderer.start() + wanted.map((entry) => renderer.render(entry)).join('') + renderer.end()
            expect(Buffer.concat(pieces).toString('latin1'), `${format} ${JSON.stringify(asked)}`).toBe(
              rendered,
            )
          }
          const counts = { WHITE: 0, TRAPPED: 0, SPAMTRAP: 0, GREY: 0, POOL: 0 }
          const { sort: _sort, limit: _limit, ...conditions } = asked
          for (const { kind } of slowly(all, conditions)) counts[kind] += 1
          expect(await store.count(asked), JSON.stringify(asked)).toEqual(counts)
        }
        await store.close()
      }),
      { numRuns: 12 },
    )
  }, 120_000)

  test('the ranges of a network hold its addresses, in order, and where exact nothing else', () => {
    fc.assert(
      fc.property(network, fc.array(address, { minLength: 20, maxLength: 20 }), (asked, others) => {
        const { ranges, isExact } = textRangesOf(asked)
        for (const ip of others) {
          const isHeld = ranges.some(({ low, high }) => ip >= low && ip < high)
          if (isInNetwork(ip, asked)) expect(isHeld, `${ip} in ${formatCidr(asked)}`).toBe(true)
          else if (isExact) expect(isHeld, `${ip} not in ${formatCidr(asked)}`).toBe(false)
        }
        for (const [index, { low, high }] of ranges.entries()) {
          expect(low < high).toBe(true)
          if (index > 0) expect(ranges[index - 1]!.high < low).toBe(true)
        }
      }),
      { numRuns: 2000 },
    )
  })
})
