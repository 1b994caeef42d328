/** Puts entries of the tables on a server into a draft. */
import type { Draft, Selection } from '../../domain/draft.js'
import { type HeldTuple, NO_HOST, NO_SPAMTRAP, NO_TUPLE } from '../../domain/held.js'
import type { Row, Statements } from './pg-link.js'
import { loadPools } from './pg-pools.js'
import { readReleases } from './pg-releases.js'
import { heldHostOfRow, heldSpamtrapOfRow, heldTupleOfRow, netOf, wireText } from './pg-rows.js'
import { HOST_COLUMNS, names, SPAMTRAP_COLUMNS, TUPLE_COLUMNS } from './pg-schema.js'
import { tupleKeys } from './pg-writes.js'

const LOAD_HOSTS = `SELECT n, ${names(HOST_COLUMNS)} FROM spamd.load_hosts($1, $2, $3)`
const LOAD_TUPLES = `SELECT n, tuple_count, ${names(TUPLE_COLUMNS)} FROM spamd.load_tuples($1, $2, $3, $4, $5, $6)`
const LOAD_SPAMTRAPS = `SELECT n, ${names(SPAMTRAP_COLUMNS)} FROM spamd.load_spamtraps($1, $2)`
const OLDEST_TUPLES = `SELECT helo, sender, recipient, ${names(TUPLE_COLUMNS)} FROM spamd.oldest_tuples($1, $2, $3)`
const ALL = 2 ** 40

/** What is locked until the end of the transaction. */
export interface LoadLocks {
  hosts: boolean
  spamtraps: boolean
}

/** State shared by the steps of loading. */
interface Loading {
  statements: Statements
  selection: Selection
  draft: Draft
  locks: LoadLocks
}

/** Loads a selection; each step sends its statement at once, and the server answers in the order of the steps. */
export async function loadSelection(loading: Loading): Promise<void> {
  const { statements, selection, draft, locks } = loading
  const tuples = [...selection.tuples]
  for (const [text] of tuples) for (const field of text.split('\0')) wireText(field)
  const [, , , counts] = await Promise.all([
    loadPools(statements, selection, draft, locks),
    loadReleases(loading),
    loadHosts(loading),
    loadTuples(loading, tuples),
    loadSpamtraps(loading),
    loadOldest(loading),
  ])
  await holdCounted(loading, counts)
}

async function loadReleases({ statements, selection, draft }: Loading): Promise<void> {
  if (selection.releases !== true) return
  for (const held of await readReleases(statements)) draft.holdRelease(held.entry.id, held)
}

async function loadHosts({ statements, selection, draft, locks }: Loading): Promise<void> {
  const hosts = [...selection.hosts]
  if (hosts.length === 0) return
  const rows = await statements.rows(LOAD_HOSTS, [hosts.map(netOf), hosts.map(wireText), locks.hosts])
  const found = byNumber(rows, (row, n) => heldHostOfRow(hosts[n]!, row, 1))
  for (const [n, ip] of hosts.entries()) draft.holdHost(ip, found.get(n) ?? NO_HOST)
}

/** By address: how many tuples it has, without entries if there is no limit, and how many of the selected ones are new and known. */
interface AddressCounts {
  counts: Map<string, number>
  newCounts: Map<string, number>
  knownCounts: Map<string, number>
}

async function loadTuples(
  { statements, selection, draft, locks }: Loading,
  tuples: readonly SelectedTuple[],
): Promise<AddressCounts> {
  const newCounts = new Map<string, number>()
  const knownCounts = new Map<string, number>()
  if (tuples.length === 0) return { counts: new Map(), newCounts, knownCounts }
  const isCounting = selection.maxTuplesPerAddress !== undefined
  const addresses = isCounting ? [...new Set(tuples.map(([, { ip }]) => ip))] : []
  const keys = tupleKeys(tuples.map(([, tuple]) => tuple))
  const rows = await statements.rows(LOAD_TUPLES, [...keys, locks.hosts, addresses.map(netOf), addresses])
  const counts = new Map(addresses.map((ip) => [ip, 0]))
  const found = new Map<number, HeldTuple>()
  for (const row of rows) {
    const n = (row[0] as number) - 1
    const count = row[1] as number | null
    if (count === null) found.set(n, heldTupleOfRow(tuples[n]![1], row, 2))
    else counts.set(addresses[n]!, count)
  }
  for (const [n, [text, { ip }]] of tuples.entries()) {
    const held = found.get(n)
    const selected = held?.entry === undefined ? newCounts : knownCounts
    selected.set(ip, (selected.get(ip) ?? 0) + 1)
    draft.holdTuple(text, held ?? NO_TUPLE)
  }
  return { counts, newCounts, knownCounts }
}

type SelectedTuple = readonly [string, { ip: string; helo: string; from: string; to: string }]

async function loadSpamtraps({ statements, selection, draft, locks }: Loading): Promise<void> {
  const spamtraps = [...selection.spamtraps]
  if (spamtraps.length === 0) return
  const rows = await statements.rows(LOAD_SPAMTRAPS, [spamtraps.map(wireText), locks.spamtraps])
  const found = byNumber(rows, (row, n) => heldSpamtrapOfRow(spamtraps[n]!, row, 1))
  for (const [n, address] of spamtraps.entries()) draft.holdSpamtrap(address, found.get(n) ?? NO_SPAMTRAP)
}

async function loadOldest(loading: Loading): Promise<void> {
  const { selection, draft } = loading
  await Promise.all(
    [...selection.tuplesOf].map(async ([ip, limit]) => {
      const queue = await oldestOf(loading, ip, limit)
      draft.holdAddressTuples(ip, queue.length, queue)
    }),
  )
}

/**
 * Adds to the draft the counts, and the tuples to evict so that the new ones stay within the limit. Known ones may start
 * again, and then others are evicted in their place.
 */
async function holdCounted(
  loading: Loading,
  { counts, newCounts, knownCounts }: AddressCounts,
): Promise<void> {
  const { selection, draft } = loading
  for (const [ip, count] of counts) {
    const newCount = newCounts.get(ip) ?? 0
    const excess = count + newCount - selection.maxTuplesPerAddress!
    const wanted = newCount > 0 && excess > 0 ? excess + (knownCounts.get(ip) ?? 0) : 0
    const queue = wanted > 0 ? await oldestOf(loading, ip, wanted) : []
    draft.holdAddressTuples(ip, count, queue)
  }
}

async function oldestOf({ statements, draft }: Loading, ip: string, limit: number): Promise<HeldTuple[]> {
  const rowCount = Number.isFinite(limit) ? limit + draft.takenCount(ip) : ALL
  const rows = await statements.rows(OLDEST_TUPLES, [netOf(ip), ip, rowCount])
  return rows.map((row) => {
    const [helo, from, to] = row as [string, string, string]
    return heldTupleOfRow({ ip, helo, from, to }, row, 3)
  })
}

function byNumber<Held>(rows: readonly Row[], decode: (row: Row, n: number) => Held): Map<number, Held> {
  return new Map(
    rows.map((row) => {
      const n = (row[0] as number) - 1
      return [n, decode(row, n)]
    }),
  )
}
