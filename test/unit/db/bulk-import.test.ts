/** An import of many entries, which no one decides one by one, leaves what deciding each of them would leave. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Store, UpsertCounts } from '../../../src/db/store.js'
import type { MergeRecord } from '../../../src/domain/decide-merge.js'
import type { Entry, EntryKey, GreyEntry, HostEntry } from '../../../src/domain/entry.js'
import type { Stamp } from '../../../src/domain/stamp.js'
import { host as anyHost, optional, stamp, word } from '../../support/merge-records.js'
import { entriesOf, NOW, POLICY, runsWithDatabase, Scratch } from '../../support/scratch-database.js'

const scratch = new Scratch()
const FROM = { policy: POLICY, actor: '198.51.100.1' }
/** Made-up gateways have lower numbers. */
const OWN_NODES = 10_000
/** Stamps that were ahead are behind the next ones from then on, but for those of their own keys. */
const FOLLOW = { ahead: 400, follow: 'follow' as const }
/** When entries are imported. */
const LATER = NOW + 500
const HOUR = 3600

const IPS = ['192.0.2.1', '192.0.2.2', '2001:db8::1']
const ADDRESSES = ['a@example.org', '\xe9@example.org']
const TUPLES = [
  { ip: '192.0.2.1', helo: 'mx', from: '<a@b>', to: '<c@d>' },
  { ip: '192.0.2.1', helo: 'mx', from: '<\xe9@b>', to: '<c@d>' },
  { ip: '2001:db8::1', helo: '', from: '<>', to: '<c@d>' },
  { ip: '10.9.0.0/24', helo: '', from: '<a@b>', to: '<c@d>' },
]

/** How a database came to what it holds: in steps, the clock of each that much later than NOW. */
type Step = { ahead: number } & (
  | { records: MergeRecord[] }
  | { entries: Entry[] }
  | { removed: EntryKey[] }
  | { follow: 'follow' }
)

interface Import {
  entries: Entry[]
  ifMissing: boolean
}

/** Imported before all else: its stamp is of the millisecond of all stamps of an import. */
const PROBE: HostEntry = {
  ...{ kind: 'WHITE', ip: '203.0.113.1', first: 1, pass: 1, expire: NOW * 2, bcount: 1, pcount: 0 },
}

/** Does the same to two databases, but for how entries are imported; what both then hold, and what was counted. */
async function importBothWays(
  steps: readonly Step[],
  { entries, ifMissing }: Import,
): Promise<{ atOnce: unknown[]; oneByOne: unknown[] }> {
  const [atOnce, oneByOne] = [await madeBy(steps), await madeBy(steps)]
  const batches = [[PROBE], entries]
  const counts = await atOnce.upsertAll(batches, { ifMissing, now: LATER, maxDecided: 0 })
  const expected = await oneByOne.upsert(batches.flat(), { ifMissing, now: LATER })
  const found = { atOnce: await contentOf(atOnce, counts), oneByOne: await contentOf(oneByOne, expected) }
  await atOnce.close()
  await oneByOne.close()
  return found
}

async function madeBy(steps: readonly Step[]): Promise<Store> {
  const store = await scratch.store({ durability: 'normal' })
  for (const step of steps) {
    const now = NOW + step.ahead
    if ('records' in step) await store.merge(step.records, FROM, now)
    else if ('entries' in step)
      await store.upsertAll([step.entries], { ifMissing: false, now, maxDecided: 0 })
    else if ('removed' in step) {
      await store.edit(
        step.removed.map((key) => ({ operation: 'delete', key })),
        now,
      )
    } else await store.stampsAhead(step.follow, now)
  }
  return store
}

async function contentOf(store: Store, counts: UpsertCounts): Promise<unknown[]> {
  expect((await store.check()).problems).toEqual([])
  const records: MergeRecord[] = []
  for (let cursor: string | undefined, isFirst = true; isFirst || cursor !== undefined; isFirst = false) {
    const slice = await store.listRecords(cursor, 1000)
    records.push(...slice.records)
    cursor = slice.next
  }
  const isProbe = (record: MergeRecord) => record.kind === 'host' && record.ip === PROBE.ip
  const probe = records.find(isProbe) as MergeRecord & { kind: 'host' }
  const { time } = probe.registers.reset!
  const texts = records.filter((record) => !isProbe(record)).map((record) => textOf(record, time))
  return [counts, ...texts.sort(), ...(await entriesOf(store))]
}

/** Without what is chance: the number of a database, and which of the stamps of an import a key got. */
function textOf(record: MergeRecord, importMs: number): string {
  return JSON.stringify(record, (name, value: unknown) => {
    if (name === 'node' && (value as number) >= OWN_NODES) return 'own'
    if (typeof value !== 'object' || value === null || !('counter' in value)) return value
    const { time, node } = value as Stamp
    return node >= OWN_NODES && time === importMs ? 'of the import' : value
  })
}

async function expectAlike(steps: readonly Step[], imported: Import): Promise<string[]> {
  const { atOnce, oneByOne } = await importBothWays(steps, imported)
  expect(atOnce).toEqual(oneByOne)
  return atOnce.filter((text) => typeof text === 'string')
}

const times = { first: NOW, pass: NOW, expire: NOW + 9999, bcount: 1, pcount: 0 }
const white: HostEntry = { kind: 'WHITE', ip: IPS[0]!, ...times }
const noted: HostEntry = { ...white, comment: 'known' }
const grey: GreyEntry = { kind: 'GREY', ...TUPLES[0]!, ...times }
const EPOCH: Stamp = { time: (NOW - 60) * 1000, counter: 3, node: 7 }
const seen: MergeRecord = {
  kind: 'tuple',
  tuple: TUPLES[0]!,
  state: {
    epoch: EPOCH,
    first: { time: NOW, node: 7 },
    last: { time: NOW, node: 7 },
    expire: NOW + 9999,
    count: 1,
  },
}

describe('entries imported at once are stored as if each had been decided', () => {
  test('where a comment is kept that only the known entry has: it is fixed by hand', async () => {
    const [record] = await expectAlike([{ ahead: 0, entries: [noted] }], {
      entries: [white],
      ifMissing: false,
    })
    expect(record).toContain('"hand":{"stamp":"of the import"')
  })

  test('where a comment is kept that only an earlier one of the same key has', async () => {
    const [record] = await expectAlike([], { entries: [noted, white], ifMissing: false })
    expect(record).toContain('"hand":{"stamp":"of the import"')
  })

  test.each([
    ['accepted by others', HOUR / 3, { time: (LATER + 700) * 1000, counter: 1, node: 'own' }],
    ['not accepted by anybody', 3 * HOUR, { time: (LATER + 60) * 1000, counter: 1, node: 'own' }],
  ])('where the known stamp is later than that of the import, and %s', async (_, ahead, expected) => {
    const steps: Step[] = [
      { ahead, entries: [white, { kind: 'SPAMTRAP', address: ADDRESSES[0]!, first: 1 }] },
      { ahead: 1, follow: 'follow' },
    ]
    const entries: Entry[] = [
      { ...white, expire: NOW + 1 },
      { kind: 'SPAMTRAP', address: ADDRESSES[0]!, first: 2 },
    ]
    const records = await expectAlike(steps, { entries, ifMissing: false })
    expect(records).toHaveLength(2)
    for (const record of records) expect(record).toContain(JSON.stringify(expected))
  })

  test('where one of several known stamps is later', async () => {
    const late: Stamp = { time: (LATER + 700) * 1000, counter: 4, node: 7 }
    const registers = {
      reset: EPOCH,
      white: { grant: EPOCH, stamp: late, first: NOW, pass: NOW, expire: NOW + 9999 },
      hand: { stamp: EPOCH, pinned: false, kind: 'WHITE' as const, comment: 'known' },
      ...{ bcount: 1, pcount: 0 },
    }
    const steps: Step[] = [{ ahead: HOUR / 3, records: [{ kind: 'host', ip: white.ip, registers }] }, FOLLOW]
    const [text] = await expectAlike(steps, { entries: [white], ifMissing: false })
    expect(text).toContain(JSON.stringify({ ...late, counter: 5, node: 'own' }))
  })

  test.each([
    ['known', [{ ahead: 0, records: [seen] }]],
    ['deleted', [{ ahead: 0, records: [{ ...seen, state: { epoch: EPOCH } }] }]],
  ] satisfies [string, Step[]][])('where a tuple that is %s has an epoch', async (_, steps) => {
    const [record] = await expectAlike(steps, { entries: [grey], ifMissing: false })
    expect(record).toContain(JSON.stringify(EPOCH))
  })

  test.each([true, false])(
    'where its key was deleted: no deletion stays beside it (ifMissing: %s)',
    async (ifMissing) => {
      const entries: Entry[] = [noted, grey, { kind: 'SPAMTRAP', address: ADDRESSES[1]!, first: 1 }]
      const removed: EntryKey[] = [
        { kind: 'host', ip: noted.ip },
        { kind: 'tuple', ...TUPLES[0]! },
        { kind: 'spamtrap', address: ADDRESSES[1]! },
      ]
      const steps: Step[] = [
        { ahead: 0, entries },
        { ahead: 1, removed },
      ]
      expect(await expectAlike(steps, { entries, ifMissing })).toHaveLength(3)
    },
  )

  const anyEntry = fc.oneof(
    fc.record({ kind: fc.constant('WHITE' as const), ip: fc.constantFrom(...IPS), times: anyTimes(0) }),
    fc.record({ kind: fc.constant('TRAPPED' as const), ip: fc.constantFrom(...IPS), times: anyTimes(-1) }),
    fc.record({
      kind: fc.constant('SPAMTRAP' as const),
      address: fc.constantFrom(...ADDRESSES),
      times: anyTimes(0),
    }),
    fc.record({ kind: fc.constant('GREY' as const), tuple: fc.constantFrom(...TUPLES), times: anyTimes(0) }),
  )
  const entries = fc.array(
    anyEntry.map((made): Entry => {
      const { comment, ...numbers } = made.times
      const commented = comment === undefined ? {} : { comment }
      if (made.kind === 'GREY') return { kind: 'GREY', ...made.tuple, ...numbers }
      if (made.kind === 'SPAMTRAP') {
        return { kind: 'SPAMTRAP', address: made.address, first: numbers.first, ...commented }
      }
      return { kind: made.kind, ip: made.ip, ...numbers, ...commented }
    }),
    { minLength: 1, maxLength: 12 },
  )
  const seenAt = fc.record({ time: fc.integer({ min: NOW - 99, max: NOW }), node: fc.constantFrom(7, 8) })
  const record: fc.Arbitrary<MergeRecord> = fc.oneof(
    fc
      .tuple(anyHost, fc.constantFrom(...IPS))
      .map(([made, ip]): MergeRecord => ({ ...(made as typeof made & { kind: 'host' }), ip })),
    fc.record({
      kind: fc.constant('tuple' as const),
      tuple: fc.constantFrom(...TUPLES.slice(0, 3)),
      state: fc.oneof(
        fc.record({ epoch: stamp }),
        fc.record({
          epoch: optional(stamp),
          first: seenAt,
          last: seenAt,
          expire: fc.constant(NOW + 9999),
          count: fc.constant(1),
        }),
      ),
    }),
    fc
      .record({
        address: fc.constantFrom(...ADDRESSES),
        stamp,
        isGone: fc.boolean(),
        comment: optional(word),
      })
      .map(({ address, isGone, comment, ...rest }): MergeRecord => {
        const entry = { kind: 'SPAMTRAP' as const, address, first: 5, ...(comment && { comment }) }
        return { kind: 'spamtrap', address, ...rest, entry: isGone ? undefined : entry }
      }),
  )
  const ahead = fc.constantFrom(0, 1, 499, HOUR / 3, 3 * HOUR, 400_000_000)
  const key: fc.Arbitrary<EntryKey> = fc.oneof(
    fc.constantFrom(...IPS).map((ip): EntryKey => ({ kind: 'host', ip })),
    fc.constantFrom(...ADDRESSES).map((address): EntryKey => ({ kind: 'spamtrap', address })),
    fc.constantFrom(...TUPLES).map((tuple): EntryKey => ({ kind: 'tuple', ...tuple })),
  )
  const step: fc.Arbitrary<Step> = fc.oneof(
    fc.record({ ahead, records: fc.array(record, { minLength: 1, maxLength: 9 }) }),
    fc.record({ ahead, entries }),
    fc.record({ ahead, removed: fc.array(key, { minLength: 1, maxLength: 9 }) }),
    fc.constant(FOLLOW),
  )

  test('whatever is on record', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.tuple(fc.array(step, { minLength: 1, maxLength: 5 }), fc.boolean()),
        fc.record({ entries, ifMissing: fc.boolean() }),
        async ([steps, isSettled], imported) => {
          await expectAlike(isSettled ? [...steps, FOLLOW] : steps, imported)
        },
      ),
      { numRuns: runsWithDatabase(60) },
    )
  })

  test('many of each kind among others, in the journal and the history as one', async () => {
    const hosts = (count: number, first: number): HostEntry[] =>
      Array.from({ length: count }, (_, n) => ({ ...white, ip: `10.1.${n >> 8}.${n & 255}`, first }))
    const store = await madeBy([
      { ahead: 0, entries: hosts(5000, 1).map((entry) => ({ ...entry, comment: entry.ip })) },
      { ahead: 1, removed: hosts(100, 1).map(({ ip }): EntryKey => ({ kind: 'host', ip })) },
    ])
    const { newest } = await store.readJournal(0, 0)
    const counts = await store.upsertAll([hosts(6000, 2)], { ifMissing: false, now: LATER, maxDecided: 0 })
    expect(counts).toEqual({ added: 1100, updated: 4900, skipped: 0 })
    const { rows } = await store.readJournal(newest, 10)
    expect(rows).toMatchObject([{ key: undefined, rule: 'import' }])
    const kept = (await entriesOf(store)) as HostEntry[]
    expect(kept.filter(({ comment, ip }) => comment === ip)).toHaveLength(4900)
    expect(kept.every(({ first }) => first === 2)).toBe(true)
  })
})

function anyTimes(pcount: number) {
  return fc.record({
    first: fc.constantFrom(NOW - 7, NOW),
    pass: fc.constant(NOW),
    expire: fc.constantFrom(0, NOW + 9999),
    bcount: fc.nat(9),
    pcount: fc.constant(pcount),
    comment: optional(word.filter((text) => text !== '')),
  })
}
