/** Additions that are stored together leave what each by itself would leave. */
import { expect, test } from 'vitest'
import { makeIp } from '../../../bench/generate-database.js'
import { sortedPlaces } from '../../../src/db/sorted-places.js'
import { openSqlite } from '../../../src/db/sqlite-driver.js'
import type { EditOutcome, ManualEdit, Store } from '../../../src/db/store.js'
import { makeRandom } from '../../support/random.js'
import { listingOf, NOW, Scratch, sqliteTest } from '../../support/scratch-database.js'

const scratch = new Scratch()
const random = makeRandom(3)
const addresses = Array.from({ length: 9000 }, () => makeIp(random))
const add = (ip: string, kind: 'WHITE' | 'TRAPPED' = 'WHITE', options = {}): ManualEdit => ({
  operation: 'add',
  kind,
  ip,
  options,
})
const remove = (ip: string): ManualEdit => ({ operation: 'delete', key: { kind: 'host', ip } })

/** Edits of one call, or something else that changes what is on record. */
type Step = ManualEdit[] | ((store: Store, now: number) => Promise<unknown>)
/** A step for a part of the addresses. */
const some = (divisor: number, makeEdit: (ip: string) => ManualEdit): ManualEdit[] =>
  addresses.filter((_, index) => index % divisor === 1).map(makeEdit)
const see = async (store: Store, now: number): Promise<unknown> =>
  await store.recordSightings(
    addresses.filter((_, index) => index % 7 === 1).map((ip) => ({ ip, count: 2 })),
    { whiteExpireSec: 3_110_400, untrap: false },
    now + 3,
  )
const YEAR = 365 * 86_400

/** Edits in several calls, with what is on record before them. */
const CASES: Record<string, Step[]> = {
  'of new addresses': [addresses.map((ip) => add(ip))],
  'of few addresses': [addresses.slice(0, 100).map((ip) => add(ip))],
  'that are repeated, at once and later': [
    [...addresses.slice(0, 3000), ...addresses.slice(0, 50)].map((ip) => add(ip)),
    addresses.slice(2000, 6000).map((ip) => add(ip)),
  ],
  'of addresses that were trapped or deleted': [
    addresses.slice(0, 40).map((ip) => add(ip, 'TRAPPED')),
    [...addresses.slice(40, 90).map((ip) => add(ip)), ...addresses.slice(40, 90).map(remove)],
    addresses.map((ip) => add(ip)),
  ],
  'of both kinds, with deletions among them': [
    addresses.map((ip, index) =>
      index % 500 === 7 ? remove(ip) : add(ip, index % 700 < 350 ? 'WHITE' : 'TRAPPED'),
    ),
  ],
  'with a comment, an expiry or none of them': [
    addresses.map((ip, index) => {
      if (index % 300 === 5) return add(ip, 'WHITE', { comment: 'one' })
      return add(ip, 'WHITE', index % 300 === 9 ? { expire: NOW + 60 } : { ifMissing: true })
    }),
  ],
  'that are repeated by the hour': [
    addresses.map((ip) => add(ip)),
    addresses.map((ip) => add(ip)),
    addresses.map((ip) => add(ip, 'TRAPPED')),
    addresses.map((ip) => add(ip, 'TRAPPED')),
  ],
  'of new addresses among those with a record': [
    some(3, (ip) => add(ip)),
    addresses.map((ip) => add(ip)),
    addresses.map((ip) => add(ip, 'WHITE', { ifMissing: true })),
  ],
  'of addresses that were seen, pinned, noted, trapped or deleted': [
    addresses.slice(0, 6000).map((ip) => add(ip)),
    see,
    some(90, (ip) => add(ip, 'WHITE', { expire: 0 })),
    some(130, (ip) => add(ip, 'WHITE', { comment: 'noted' })),
    some(170, (ip) => add(ip, 'TRAPPED')),
    some(190, remove),
    addresses.map((ip) => add(ip)),
  ],
  'behind other edits of the same addresses': [
    addresses.slice(0, 3000).map((ip) => add(ip)),
    [
      ...some(40, remove),
      ...some(50, (ip) => add(ip, 'WHITE', { comment: 'noted' })),
      ...some(60, (ip) => ({ operation: 'delete-tuples', ip, all: true })),
      ...addresses.slice(1000, 2500).map((ip) => add(ip)),
    ],
    addresses.slice(3000, 3500).flatMap((ip) => [add(ip, 'WHITE', { comment: 'noted' }), add(ip)]),
  ],
  'of addresses of the other kind, some of them pinned': [
    addresses.slice(0, 6000).map((ip) => add(ip)),
    see,
    some(110, (ip) => add(ip, 'TRAPPED', { expire: 0 })),
    addresses.map((ip) => add(ip, 'TRAPPED')),
    addresses.map((ip) => add(ip, 'TRAPPED')),
  ],
  'of addresses that were changed while the clock was ahead': [
    addresses.slice(0, 3000).map((ip) => add(ip)),
    async (store, now) => {
      await store.edit(
        addresses.slice(1000, 1040).map((ip) => add(ip)),
        now + YEAR,
      )
      await see(store, now + YEAR)
      await store.stampsAhead('follow', now)
    },
    addresses.slice(0, 3000).map((ip) => add(ip)),
  ],
  'of spamtraps beside addresses': [
    addresses.flatMap((ip, index): ManualEdit[] =>
      index % 400 === 3
        ? [{ operation: 'add', kind: 'SPAMTRAP', address: `trap${index}@b` }, add(ip)]
        : [add(ip)],
    ),
  ],
}

/** What the edits leave, apart from the number of the database. */
async function traceOf(steps: readonly Step[], forgetsChanges: boolean): Promise<Record<string, unknown>> {
  const path = scratch.create()
  const store = await scratch.open(path)
  const outcomes: EditOutcome[][] = []
  for (const [index, step] of steps.entries()) {
    const now = NOW + index
    if (typeof step === 'function') await step(store, now)
    else outcomes.push((await store.edit(step, now, { actor: 'me', forgetsChanges })).outcomes)
  }
  const trace = {
    outcomes,
    listing: await listingOf(store),
    counts: await store.readCounts(0),
    ...(await logsOf(store)),
  }
  const database = openSqlite(path, { readonly: true })
  const hosts = database.prepare('SELECT ip, stamp, granted, hex(marks) FROM hosts ORDER BY ip').raw().all()
  const removed = database.prepare('SELECT key FROM removed ORDER BY key').raw().all()
  const clock = database.prepare('SELECT time, counter, seq FROM journal_state').get()
  database.close()
  return { ...trace, hosts, removed, clock }
}

async function logsOf(store: Store): Promise<Record<string, unknown>> {
  const { rows } = await store.readJournal(0, 100_000)
  const journal = rows.map(({ stamp: { time, counter }, ...row }) => ({ ...row, time, counter }))
  return { journal, history: await store.readHistory({ after: 0, limit: 100_000 }) }
}

for (const [name, calls] of Object.entries(CASES)) {
  sqliteTest(`additions ${name} are stored, answered and recorded as one by one`, async () => {
    expect(await traceOf(calls, true)).toEqual(await traceOf(calls, false))
  })
}

/** Edits of few addresses, again and again, most of them alike. */
function randomSteps(seed: number): Step[] {
  const below = makeRandom(seed)
  const few = addresses.slice(0, 100 + below(400))
  const oneOf = (): string => few[below(few.length)]!
  return Array.from({ length: 8 }, (): Step => {
    if (below(8) === 0) {
      const sightings = Array.from({ length: 50 }, () => ({ ip: oneOf(), count: 1 + below(3) }))
      const options = { whiteExpireSec: 3_110_400, untrap: below(2) === 0 }
      return async (store, now) => await store.recordSightings(sightings, options, now)
    }
    const [kind, othersAmong] = [below(3) === 0 ? 'TRAPPED' : 'WHITE', [4, 40, 10_000][below(3)]!] as const
    const start = below(few.length)
    const isShuffled = below(3) === 0
    return Array.from({ length: 20 + below(few.length) }, (_, index) => {
      const ip = isShuffled ? oneOf() : few[(start + index) % few.length]!
      switch (below(othersAmong)) {
        case 0:
          return remove(ip)
        case 1:
          return add(ip, kind, { comment: '"quoted"' })
        case 2:
          return add(ip, kind, { expire: below(2) === 0 ? 0 : NOW + 500 })
        case 3:
          return add(ip, 'TRAPPED')
        default:
          return add(ip, kind)
      }
    })
  })
}

sqliteTest('random additions are stored, answered and recorded as one by one', async () => {
  for (let seed = 1; seed <= 25; seed += 1) {
    const steps = randomSteps(seed)
    expect(await traceOf(steps, true), `seed ${seed}`).toEqual(await traceOf(steps, false))
  }
})

sqliteTest('while a network of a pool is open, a TRAPPED address closes it among many', async () => {
  const traces = []
  for (const forgetsChanges of [true, false]) {
    const path = scratch.create()
    const store = await scratch.open(path)
    const database = openSqlite(path, {})
    database.exec("INSERT INTO pool_networks VALUES ('192.0.2.0/24', 'net', 1, 1, 9999999999, 1, 1, NULL)")
    database.close()
    const edits = [...addresses.slice(0, 200), '192.0.2.7'].map((ip) => add(ip, 'TRAPPED'))
    await store.edit(edits, NOW, { forgetsChanges })
    traces.push(await logsOf(store))
  }
  expect(traces[0]).toEqual(traces[1])
  expect(JSON.stringify(traces[0])).toContain('192.0.2.0/24')
})

sqliteTest('the history of many additions is found by address, kept without people, and undone', async () => {
  const store = await scratch.store()
  const some = addresses.slice(0, 5000)
  await store.edit([{ operation: 'add', kind: 'SPAMTRAP', address: 'a@b' }], NOW)
  await store.edit([add(some[9]!)], NOW)
  await store.edit(
    some.map((ip) => add(ip)),
    NOW + 1,
    { forgetsChanges: true },
  )
  const found = await store.readHistory({ after: 0, limit: 10, ip: some[77]! })
  expect(found).toMatchObject([
    { key: { ip: some[77] }, before: undefined, after: { kind: 'WHITE', ip: some[77] } },
  ])
  const all = await store.readHistory({ after: 0, limit: 100_000 })
  expect(all.map(({ seq }) => seq)).toEqual(all.map((_, index) => index + 1))
  await store.saveHistorySettings({ mode: 'hosts', keepSec: 1e9, keepRows: 1_000_000 })
  expect(await store.readHistory({ after: 0, limit: 100_000 })).toEqual(
    all.filter(({ key }) => key?.kind === 'host'),
  )
})

sqliteTest('many additions by one command are one event, which undo takes back', async () => {
  const path = scratch.create()
  const first = await scratch.open(path)
  await first.edit([add(addresses[5]!, 'TRAPPED')], NOW)
  const before = await listingOf(first)
  await first.close()
  const second = await scratch.open(path)
  await second.edit(
    addresses.map((ip) => add(ip)),
    NOW + 1,
    { forgetsChanges: true },
  )
  const { restored } = await second.undo('last', { force: false, isDryRun: false, actor: undefined }, NOW + 2)
  expect(restored).toHaveLength(new Set(addresses).size)
  expect(await listingOf(second)).toBe(before)
})

test('texts are sorted by their beginning, equal ones as they came', () => {
  for (const texts of [
    addresses,
    addresses.filter((ip) => !ip.includes(':')),
    ['b', 'a', 'b', '', 'a', 'ab'],
    ['same', 'same', 'same'],
    Array.from({ length: 300 }, (_, code) => `trap-${String.fromCharCode(255 - (code % 256))}x`),
    [],
  ]) {
    const places = sortedPlaces(texts)
    expect([...places].sort((one, other) => one - other)).toEqual([...texts.keys()])
    const start = [...places].map((place) => texts[place]!)
    const length = 3
    const cut = (text: string): string => text.slice(0, length)
    expect(start.map(cut)).toEqual([...texts].map(cut).sort())
    for (let index = 1; index < places.length; index += 1) {
      if (texts[places[index]!] === texts[places[index - 1]!])
        expect(places[index]!).toBeGreaterThan(places[index - 1]!)
    }
  }
})
