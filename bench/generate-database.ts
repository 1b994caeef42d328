/**
 * Fills a database with made-up entries, the same for the same seed: 70 % GREY, 29 % WHITE, 1 % TRAPPED, and as many
 * spamtraps as a small site has. Texts have the lengths of real mail: HELO names of 12 to 28 bytes, addresses of 18
 * to 40.
 *
 * As a program: `npx tsx bench/generate-database.ts FILE [ENTRIES [SEED]]`.
 */
import { pathToFileURL } from 'node:url'
import { createDatabase, openStore } from '../src/db/open-store.js'
import type { Entry } from '../src/domain/entry.js'
import { makeRandom } from '../test/support/random.js'

export interface GenerateOptions {
  entries: number
  seed: number
  /** Time of the youngest entries, seconds since the Epoch. */
  now?: number
}

/** The clock of the recorded transcripts. */
export const GENERATED_NOW = 1_700_000_000
const SPAMTRAPS = 100
const BATCH_ENTRIES = 10_000

/** Makes the database at `path`, which must not exist. */
export async function generateDatabase(path: string, options: GenerateOptions): Promise<void> {
  createDatabase(path)
  const store = await openStore(path, { mode: 'write', durability: 'normal' })
  try {
    await store.upsertAll(generateBatches(options), { ifMissing: true })
  } finally {
    await store.close()
  }
}

/** The entries of such a database in batches, unsorted. */
export function* generateBatches(options: GenerateOptions): Generator<Entry[]> {
  const random = makeRandom(options.seed)
  const now = options.now ?? GENERATED_NOW
  const spamtraps: Entry[] = []
  for (let index = 0; index < SPAMTRAPS; index += 1) {
    spamtraps.push({ kind: 'SPAMTRAP', address: `trap${index}@example.org`, first: now })
  }
  yield spamtraps
  for (let made = 0; made < options.entries; made += BATCH_ENTRIES) {
    const batch: Entry[] = []
    const count = Math.min(BATCH_ENTRIES, options.entries - made)
    for (let index = 0; index < count; index += 1) batch.push(makeEntry(random, now))
    yield batch
  }
}

function makeEntry(random: (below: number) => number, now: number): Entry {
  const share = random(100)
  const ip = makeIp(random)
  if (share < 70) {
    const first = now - random(4 * 3600)
    const expire = first + 4 * 3600
    return {
      kind: 'GREY',
      ip,
      helo: `mail${random(1000)}.${word(random)}.example.com`.slice(0, 12 + random(17)),
      from: `<${word(random)}${random(100000)}@${word(random)}.org>`,
      to: `<${word(random)}${random(500)}@example.net>`,
      first,
      pass: expire,
      expire,
      bcount: 1 + random(3),
      pcount: 0,
    }
  }
  const first = now - random(30 * 86400)
  if (share < 99) {
    const bcount = 1 + random(5)
    return {
      kind: 'WHITE',
      ip,
      first,
      pass: first + 1800,
      expire: now + random(36 * 86400),
      bcount,
      pcount: random(40),
    }
  }
  return { kind: 'TRAPPED', ip, first, pass: 0, expire: now + random(86400), bcount: 1, pcount: -1 }
}

/** One address in fifty is IPv6. */
export function makeIp(random: (below: number) => number): string {
  if (random(50) === 0) {
    return `2001:db8:${random(65535).toString(16)}:${(1 + random(65534)).toString(16)}::${(1 + random(65534)).toString(16)}`
  }
  return `${1 + random(223)}.${random(256)}.${random(256)}.${random(256)}`
}

const SYLLABLES = [
  'ka',
  'lo',
  'mi',
  'ter',
  'san',
  'ber',
  'nov',
  'ris',
  'del',
  'um',
  'por',
  'tex',
  'gal',
  'vin',
]

function word(random: (below: number) => number): string {
  let text = ''
  for (let count = 2 + random(2); count > 0; count -= 1) text += SYLLABLES[random(SYLLABLES.length)]
  return text
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [path, entries = '1000000', seed = '1'] = process.argv.slice(2)
  if (path === undefined) throw new Error('usage: generate-database.ts FILE [ENTRIES [SEED]]')
  await generateDatabase(path, { entries: Number(entries), seed: Number(seed) })
}
