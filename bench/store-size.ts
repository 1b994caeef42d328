/**
 * Bytes of a database by what takes them: after an import, and after its entries arrived one by one through attempts,
 * promotions and sightings, as at a gateway. What the entries take is what the limit is about: tables and indexes, with the
 * stamps of each. Journal and history are bounded by their own settings and reported beside it.
 */
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { createDatabase, openStore } from '../src/db/open-store.js'
import type { GreyPolicy, Store, TupleAttempt } from '../src/db/store.js'
import type { Entry, GreyEntry } from '../src/domain/entry.js'
import { GENERATED_NOW, generateBatches } from './generate-database.js'

type Print = (name: string, value: number, unit: string) => void

/** Entries in one transaction, as many as a busy gateway collects. */
const BATCH = 100

/** What one way of filling a database makes of so many entries. */
export async function benchSize(
  folder: string,
  entryCount: number,
  policy: GreyPolicy,
  print: Print,
): Promise<void> {
  for (const [name, fill] of [
    ['an import', importAll],
    ['attempts, promotions and sightings', arriveAll],
  ] as const) {
    const path = join(folder, `size-${name.length}.sqlite`)
    createDatabase(path)
    const store = await openStore(path, { mode: 'write', durability: 'normal' })
    await fill(store, entryCount, policy)
    const { WHITE, TRAPPED, GREY, SPAMTRAP } = await store.count()
    await store.close()
    printParts(path, WHITE + TRAPPED + GREY + SPAMTRAP, name, print)
  }
}

async function importAll(store: Store, entries: number): Promise<void> {
  await store.upsertAll(generateBatches({ entries, seed: 1 }), { ifMissing: false })
}

/** The entries of an import, each made by what makes such an entry at a gateway. */
async function arriveAll(store: Store, entries: number, policy: GreyPolicy): Promise<void> {
  for (const made of generateBatches({ entries, seed: 1 })) {
    for (let start = 0; start < made.length; start += BATCH) {
      await arrive(store, made.slice(start, start + BATCH), policy)
    }
  }
}

async function arrive(store: Store, entries: readonly Entry[], policy: GreyPolicy): Promise<void> {
  const now = GENERATED_NOW
  const grey = entries.filter((entry) => entry.kind === 'GREY')
  const white = entries.flatMap((entry, index) => (entry.kind === 'WHITE' ? [{ entry, index }] : []))
  const trapped = entries.flatMap((entry) => (entry.kind === 'TRAPPED' ? [entry.ip] : []))
  await store.recordAttempts(grey.map(attemptBy), policy, now - 3600)
  const again = grey.filter(({ bcount }) => bcount > 1).map(attemptBy)
  await store.recordAttempts(again, policy, now - 3000)
  // Two in three became WHITE by a retry, the others by mail that went out.
  const retried = white.flatMap(({ entry, index }) => (index % 3 === 0 ? [] : [attemptBy(greyOf(entry.ip))]))
  await store.recordAttempts(retried, policy, now - 3600)
  await store.recordAttempts(retried, policy, now - 3600 + policy.passSec + 1)
  const options = { whiteExpireSec: policy.whiteExpireSec, untrap: false }
  const sightings = white.map(({ entry }) => ({ ip: entry.ip, count: 1 }))
  await store.recordSightings(sightings, options, now - 60)
  await store.recordSightings(sightings.slice(0, sightings.length / 2), options, now)
  const traps = trapped.map((ip) => ({ ...attemptBy(greyOf(ip)), isDomainTrap: true }))
  await store.recordAttempts(traps, policy, now)
}

function greyOf(ip: string): Pick<GreyEntry, 'ip' | 'helo' | 'from' | 'to'> {
  return { ip, helo: 'mx.example.com', from: '<someone@example.org>', to: '<user@example.net>' }
}

function attemptBy({ ip, helo, from, to }: Pick<GreyEntry, 'ip' | 'helo' | 'from' | 'to'>): TupleAttempt {
  return {
    tuple: { ip, helo, from, to },
    clientIp: ip,
    trapKey: to.slice(1, -1),
    isDomainTrap: false,
    isLowPriorityMx: false,
    mayPromote: true,
  }
}

const OTHERS = ['journal', 'history']

/** The parts of a file, in bytes for each entry. */
function printParts(path: string, count: number, name: string, print: Print): void {
  const database = new Database(path, { readonly: true })
  const rows = database.prepare('SELECT name, sum(pgsize) FROM dbstat GROUP BY name').raw()
  const sizes = new Map(rows.all() as [string, number][])
  database.close()
  const others = OTHERS.map((table) => sizes.get(table) ?? 0)
  const all = [...sizes.values()].reduce((sum, size) => sum + size, 0)
  const entries = all - others.reduce((sum, size) => sum + size, 0)
  print(`after ${name}: what an entry takes (at most 115)`, entries / count, 'bytes')
  for (const [index, table] of OTHERS.entries())
    print(`  ${table} beside them`, others[index]! / count, 'bytes')
}
