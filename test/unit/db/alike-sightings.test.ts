/** Sightings that are stored together leave what each by itself would leave, but for the order of their stamps. */
import { expect } from 'vitest'
import { openSqlite } from '../../../src/db/sqlite-driver.js'
import type { ManualEdit, Sighting, SightingOutcome, Store } from '../../../src/db/store.js'
import type { MergeRecord } from '../../../src/domain/decide-merge.js'
import { makeRandom } from '../../support/random.js'
import { listingOf, NOW, POLICY, Scratch, sqliteTest } from '../../support/scratch-database.js'

const scratch = new Scratch()
const addresses = Array.from({ length: 600 }, (_, index) =>
  index % 5 === 0 ? `2001:db8::${index.toString(16)}` : `192.0.${index >> 8}.${index & 255}`,
)
const DAY = 86_400
const add = (ip: string, kind: 'WHITE' | 'TRAPPED' = 'WHITE', options = {}): ManualEdit => ({
  operation: 'add',
  kind,
  ip,
  options,
})
const every = (divisor: number, start = 0): string[] =>
  addresses.filter((_, index) => index >= start && index % divisor === 1)
const sightings = (ips: readonly string[], count = 1): Sighting[] => ips.map((ip) => ({ ip, count }))

type Step = Sighting[] | ((store: Store, now: number) => Promise<unknown>)
const edit =
  (edits: readonly ManualEdit[]): Step =>
  async (store, now) =>
    await store.edit(edits, now)

/** What another gateway has, to be merged. */
async function recordsOfPeer(ips: readonly string[], now: number): Promise<MergeRecord[]> {
  const peer = await scratch.store()
  await peer.recordSightings(sightings(ips), { whiteExpireSec: 50 * DAY, untrap: false }, now)
  return await peer.readRecords(ips.map((ip) => ({ kind: 'host', ip })))
}

const CASES: Record<string, Step[]> = {
  'of new addresses': [sightings(addresses)],
  'of addresses that were seen before': [sightings(addresses), sightings(addresses), sightings(addresses, 3)],
  'of different numbers': [
    addresses.map((ip, index) => ({ ip, count: 1 + (index % 4) })),
    addresses.map((ip, index) => ({ ip, count: 1 + (index % 40) })),
  ],
  'that name an address twice': [
    sightings([...addresses, ...addresses.slice(0, 200)]),
    sightings([...addresses.slice(0, 100), ...addresses]),
  ],
  'of addresses that were added, noted, pinned, trapped or deleted by hand': [
    sightings(every(3)),
    edit(every(2).map((ip) => add(ip))),
    edit(every(7).map((ip) => add(ip, 'WHITE', { comment: 'noted' }))),
    edit(every(11).map((ip) => add(ip, 'WHITE', { expire: 0 }))),
    edit(every(13).map((ip) => add(ip, 'TRAPPED'))),
    edit(every(5).map((ip) => ({ operation: 'delete', key: { kind: 'host', ip } }))),
    sightings(addresses, 2),
    sightings(addresses, 1),
  ],
  'of entries of another gateway': [
    sightings(every(2)),
    async (store, now) =>
      await store.merge(await recordsOfPeer(addresses.slice(200), now), { policy: POLICY }, now),
    sightings(addresses),
    sightings(addresses),
  ],
  'of TRAPPED addresses': [
    edit(every(2).map((ip) => add(ip, 'TRAPPED'))),
    sightings(addresses),
    sightings(addresses),
  ],
  'of addresses that were changed while the clock was ahead': [
    sightings(addresses.slice(0, 300)),
    async (store, now) => {
      await seeAhead(store, now + 300 * DAY)
      await store.stampsAhead('follow', now)
    },
    sightings(addresses),
    sightings(addresses),
  ],
  'while a clock that was ahead is not yet believed': [
    sightings(addresses.slice(0, 300)),
    async (store, now) => await seeAhead(store, now + 300 * DAY),
    sightings(addresses),
  ],
  'behind a clock that was ahead by minutes': [
    sightings(addresses.slice(0, 300)),
    async (store, now) => {
      await seeAhead(store, now + 400)
      await store.stampsAhead('follow', now)
    },
    ...Array.from({ length: 6 }, () => sightings(addresses)),
  ],
}

async function seeAhead(store: Store, now: number): Promise<void> {
  await store.recordSightings(sightings(every(3)), { whiteExpireSec: 50 * DAY, untrap: false }, now)
}

/** What the sightings leave; stamps without their counters, nodes as whether they are our own. */
async function traceOf(
  steps: readonly Step[],
  forgetsChanges: boolean,
  { untrap = false, isOld = false } = {},
): Promise<Record<string, unknown>> {
  const path = scratch.create()
  const store = await scratch.open(path)
  const outcomes: SightingOutcome[][] = []
  for (const [index, step] of steps.entries()) {
    const now = NOW + index * 60
    if (typeof step === 'function') await step(store, now)
    else {
      const options = { whiteExpireSec: 36 * DAY, untrap, forgetsChanges }
      outcomes.push((await store.recordSightings(step, options, now)).outcomes)
    }
    if (isOld && index === 0) forgetStamps(path)
  }
  const { node } = await store.syncState()
  const blurred = (value: unknown): unknown =>
    JSON.parse(
      JSON.stringify(value, (key, part: unknown) => {
        if (key === 'counter' || key === 'seq') return undefined
        return key === 'node' ? part === node : part
      }),
    )
  const sorted = (rows: readonly unknown[]): string[] =>
    rows.map((row) => JSON.stringify(blurred(row))).sort()
  const { rows } = await store.readJournal(0, 100_000)
  const database = openSqlite(path, { readonly: true })
  const clock = database.prepare('SELECT time, counter FROM journal_state').get()
  database.close()
  return {
    clock,
    outcomes,
    listing: await listingOf(store),
    counts: await store.readCounts(0),
    records: blurred(await store.readRecords(addresses.map((ip) => ({ kind: 'host', ip })))),
    journal: sorted(rows),
    history: sorted(await store.readHistory({ after: 0, limit: 100_000 })),
    lastNumbers: [rows.at(-1)?.seq, await store.newestHistory()],
  }
}

/** As if the entries were older than stamps. */
function forgetStamps(path: string): void {
  const database = openSqlite(path, {})
  database.exec('UPDATE hosts SET stamp = NULL, granted = NULL, node = NULL, marks = NULL')
  database.close()
}

for (const [name, steps] of Object.entries(CASES)) {
  for (const options of [{}, { untrap: true }, { isOld: true }]) {
    const how = JSON.stringify(options).replaceAll(/["{}]/g, '')
    sqliteTest(`sightings ${name} are stored, answered and recorded as one by one (${how})`, async () => {
      expect(await traceOf(steps, true, options)).toEqual(await traceOf(steps, false, options))
    })
  }
}

/** Sightings of few addresses, again and again, among edits. */
function randomSteps(seed: number): Step[] {
  const below = makeRandom(seed)
  const few = addresses.slice(0, 60 + below(540))
  const some = (count: number): string[] => Array.from({ length: count }, () => few[below(few.length)]!)
  return Array.from({ length: 8 }, (): Step => {
    const kind = below(4) === 0 ? 'TRAPPED' : 'WHITE'
    const options = [{}, {}, { expire: 0 }, { comment: 'noted' }][below(4)]
    switch (below(6)) {
      case 0:
        return edit(some(30).map((ip) => add(ip, kind, options)))
      case 1:
        return edit(some(30).map((ip) => ({ operation: 'delete', key: { kind: 'host', ip } })))
      default: {
        const counts = 1 + below(3)
        const ips = below(2) === 0 ? few : some(few.length)
        return ips.map((ip) => ({ ip, count: 1 + below(counts) }))
      }
    }
  })
}

sqliteTest('random sightings are stored, answered and recorded as one by one', async () => {
  for (let seed = 1; seed <= 12; seed += 1) {
    const steps = randomSteps(seed)
    const options = { untrap: seed % 2 === 0, isOld: seed % 3 === 0 }
    expect(await traceOf(steps, true, options), `seed ${seed}`).toEqual(await traceOf(steps, false, options))
  }
})
